"""The words of an opt-out in English, Spanish and French, each under its role in a sentence.

`opt_out_detection` writes a sentence as one letter per word and compares the letters with a few patterns, so that it
also recognises wordings that nobody listed. Words are in lower case without accents; apostrophes and doubled letters
make no difference. A word that is not listed has the role `OTHER_ROLE`: the sentence says something else.
"""

OTHER_ROLE = "x"
WORD_ROLES: dict[str, str] = {
    # s: ends something; the texts, if nothing else is named
    "s": """
        stop stopall stahp stpo sto sotp tsop stopit halt cease desist discontinue terminate end quit anular terminar
        terminen finalizar finalicen parenle parele stoppez stopper cancel disable deactivate sarrete parar pare paren
        pares parad alto fin cesar cesen cese cancelar cancele cancelen cancela cancelo suspender suspenda suspendan
        detener detenga detengan detengase detenganse desactivar desactive desactiven desactiva arret arrete arretez
        arreter cesser cessez cesse annuler annulez annule desactivez desactiver
    """,
    # S: ends the texts so clearly that it counts next to anything else
    "S": "pleasestop",
    # u: ends texts and nothing else
    "u": """
        unsubscribe unsub td optout unsubscribing unenroll unfollow unregister deregister delist salir baja desuscribir
        desuscribirme desuscribanme desuscribame desinscribir desinscribirme desabonner desabonnez desabonne
        desabonnement desinscrire desinscrivez desinscris desinscription resilier resiliez
    """,
    # r: takes something away; rm: takes the person away
    "r": """
        remove rmv rmve delete erase drop lose forget exclude purge quitar quite quiten quita borrar borre borren borra
        eliminar elimine eliminen elimina sacar saque saquen saca remover remueva remuevan retirar retire retiren
        oubliez oublie retirer retirez enlever enlevez enleve supprimer supprimez supprime effacer effacez efface rayer
        rayez radiez otez suppression retrait
    """,
    "rm": """
        quitame quiteme quitenme quitarme borrame borreme borrenme borrarme eliminame elimineme eliminenme eliminarme
        sacame saqueme saquenme sacarme bajame bajeme bajenme remuevame remuevanme retireme retirenme retirarme
    """,
    # k: contacting
    "k": """
        texting txting txtn txtng textin messaging msging contacting bothering spamming harassing pestering alerting
        pinging bugging hounding nagging disturbing interrupting notifying reminding escribirme escribir escribirnos
        contactarme contactar molestar molestarme acosar acosarme textearme llamarme fastidiar joder chingar ecrire
        texter contacter harceler embeter deranger importuner
    """,
    # c: contact, as an imperative
    "c": """
        contact disturb harass notify remind bug ping fastidien jodan chinguen escriba escriban escribas contacte
        contacten contactes moleste molesten molestes textee texteen contactado contactada contactez ecrivez ecris
        textez texte derangez embetez importunez sollicitez harcelez
    """,
    # d: send
    "d": """
        send sending mandando enviando mandar mande manden mandes mandarme mandame enviar envie envien envies enviarme
        enviarnos recibir recibiendo recevoir envoyer envoyez envoie envoies menvoyer menvoyez
    """,
    # t: texts
    "t": """
        text texts txt txts message messages msg msgs sms mms notification notifications alert alerts notice notices
        reminder reminders communication communications subscription subscriptions spam stuff crap shit junk nonsense
        garbage bullshit ads advertising marketing promotions solicitations mensaje mensajes textos texto notificacion
        notificaciones alerta alertas recordatorios suscripcion publicidad textos alerte alertes rappels abonnement pub
        publicite aviso avisos avis envoi envois recordatorio rappel
    """,
    # l: lists and systems that the texts come from
    "l": "list lists database system records contacts lista listas sistema liste listes fichier",
    # m: the person and the phone
    "m": """
        me us number numbers phone cell cellphone mobile numero numeros telefono celular nos moi nous telephone portable
    """,
    "o": """
        name him her mom moms mother dad dads father wife wifes husband husbands son daughter kid info information
        nombre nom
    """,
    # g: not; n: not, in a report: “you didn't text me” is no opt-out
    "g": "not no aint dont never nor nolonger ni nunca jamas ne pas plus non jamais aucun aucune",
    "n": "didnt cant couldnt wont wouldnt shouldnt hasnt havent wasnt isnt arent doesnt cannot",
    # e: more
    "e": "more mor anymore further mas",
    # w: want
    "w": """
        want wanna wish choose like need besoin desire prefer quiero queremos quisiera deseo deseamos necesito veux
        voudrais souhaite desire voulons souhaitons aimerais
    """,
    "v": "receive receiving recieve recieving get getting have having hear",
    # p and i: these, it; h: anything
    "p": """
        these this those that them any all updates esto esta estos estas eso esos este ningun todo todos thats ca ces
        cela ceci cet cette
    """,
    "i": "it",
    "h": "anything something everything nothing nada rien",
    "j": "interested interesado interesada interesados interesa interesan interese interessee interesse",
    "a": """
        consent permission authorized allowed authorize authorise autorizo consentimiento permiso consentement consens
        autorise
    """,
    "z": "revoke withdraw revoco retiro retire revoque",
    # N: channels other than texts
    "N": """
        email emails newsletter newsletters mail mails call calls voicemail voicemails journal journals magazine
        magazines newspaper revue revista catalog catalogue podcast infolettre correo correos courriel courriels
    """,
    # f and b: what may follow an opt-out, whatever it goes on to say
    "f": "from about regarding concerning sobre sur",
    "b": "because cause cuz bc porque since or before parce car sinon",
    # q: asks, at the beginning
    "q": """
        when how what why where who which whose whats whos does did has if whether should may como cuando donde quien
        cual cuanto comment quand qui quoi combien pourquoi quel quelle si
    """,
    # B: asks at the beginning, and means nothing elsewhere
    "B": "is are am was were est",
    # y: an opt-out as a whole
    "y": "yoptout",
    OTHER_ROLE: """
        maiden subscribe subscribed unsubscribed removed canceled cancelled canceling disabled deleted ended ending ends
        pending spending contract contracts renove renovar renew remote forgot parece recibi recibo recover remainder
        remainders suspended contracting spacing tester sensing seeding speeding cancer massage testing texted messaged
        contacted stopped stops stopping received reminded
    """,
    # no meaning for an opt-out
    "": """
        a an the i id im ive you u your yours ur youre my mine our ours we they to of off on out up with for by please
        pls plz plese plse kindly thank thanks thx thnx ty tks hi hello hey dear ok okay k yes yeah and just now
        immediately right already again ever even asap today always also else estoy suis sorry oh ugh omg goodbye bye as
        wtf man dude guys folks sir madam people seriously honestly literally really so but then well alright very much
        hereby many via be nope nah con w estar avec tous think pal buddy bro bruh mate friend anyone anybody someone
        somebody etre ser damn fucking effing freaking bloody stupid goddamn fing f said say told tell ask asked asking
        annoying unwanted por favor porfavor porfa porfis xfa xfavor gracias muchas hola ya de del el la los las lo le
        les un una su sus tu tus que a mi mis ustedes usted ahora mismo y o q den deme denme dame darme dar doy svp
        merci bonjour bonsoir salut des du n m l d c j s t ce je par une vos votre tes ton ta mon ma toute tout suite
        immediatement maintenant et veuillez desole en es vous tu te aux au
    """,
}
