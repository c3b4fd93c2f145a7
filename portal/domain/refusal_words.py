"""The words that a refusal is made of, in English, Spanish and French, each under what it does in a sentence.

`refusals` writes a sentence as one letter a word and compares the letters with a few patterns, so a wording that nobody
thought of is read like those that somebody did. Words stand here in lower case and without accents; apostrophes and
doubled letters make no difference. A word that is not listed is content: it makes the sentence say something else.
"""

OTHER = "x"
ROLES: dict[str, str] = {
    # s: ends something; the texts, where nothing else is named
    "s": """
        stop stahp stpo sto sotp tsop stopit halt cease desist discontinue terminate end quit anular terminar terminen
        finalizar finalicen parenle parele stoppez stopper cancel disable deactivate sarrete parar pare paren pares
        alto cesar cesen cese cancelar cancele cancelen cancela suspender suspenda suspendan detener detenga detengan
        detengase detenganse desactivar desactive desactiven desactiva arret arrete arretez arreter cesser cessez
        cesse annuler annulez annule desactivez
    """,
    # S: the same, so asked for that it counts beside anything else
    "S": "pleasestop",
    # u: ends texts and nothing else
    "u": """
        unsubscribe unsub optout unsubscribing unenroll unfollow unregister deregister delist salir baja desuscribir
        desuscribirme desuscribanme desuscribame desinscribir desinscribirme desabonner desabonnez desabonne
        desabonnement desinscrire desinscrivez desinscris desinscription resilier resiliez
    """,
    # r: takes something away; rm: takes the person away
    "r": """
        remove delete erase drop lose forget exclude purge quitar quite quiten quita borrar borre borren borra
        eliminar elimine eliminen elimina sacar saque saquen saca remover remueva remuevan retirar retire retiren
        oubliez oublie retirer retirez enlever enlevez enleve supprimer supprimez supprime effacer effacez efface
        rayer rayez radiez otez
    """,
    "rm": """
        quitame quiteme quitenme quitarme borrame borreme borrenme borrarme eliminame elimineme eliminenme eliminarme
        sacame saqueme saquenme sacarme remuevame remuevanme retireme retirenme retirarme
    """,
    # k: contacting
    "k": """
        texting txting txtn txtng textin messaging msging contacting bothering spamming harassing pestering alerting
        pinging bugging hounding nagging disturbing interrupting notifying reminding escribirme escribir escribirnos
        contactarme contactar molestar molestarme acosar acosarme textearme llamarme fastidiar joder chingar ecrire
        texter contacter harceler embeter deranger importuner
    """,
    # c: contact, as an order
    "c": """
        contact disturb harass notify remind bug ping fastidien jodan chinguen escriba escriban escribas contacte
        contacten contactes moleste molesten molestes textee texteen contactado contactada contactez ecrivez ecris
        textez texte derangez embetez importunez sollicitez harcelez
    """,
    # d: send
    "d": """
        send sending mandar mande manden mandes mandarme mandame enviar envie envien envies enviarme enviarnos recibir
        recibiendo recevoir envoyer envoyez envoie envoies menvoyer menvoyez
    """,
    # t: texts
    "t": """
        text texts txt txts message messages msg msgs sms mms notification notifications alert alerts notice notices
        reminder reminders communication communications subscription subscriptions spam stuff crap shit junk nonsense
        garbage bullshit ads advertising marketing promotions solicitations mensaje mensajes textos texto notificacion
        notificaciones alerta alertas recordatorios suscripcion publicidad textos alerte alertes rappels abonnement
        pub publicite
    """,
    # l: where the texts are sent from
    "l": "list lists database system records contacts lista listas sistema liste listes fichier",
    # m: the person and the phone
    "m": """
        me us number numbers phone cell cellphone mobile numero numeros telefono celular nos moi nous telephone
        portable
    """,
    "o": """
        name him her mom moms mother dad dads father wife wifes husband husbands son daughter kid info information
        nombre nom
    """,
    # g: not; n: not, but in a report: “you didn't text me” refuses nothing
    "g": "not no aint dont never nor nolonger ni nunca jamas ne pas plus non jamais aucun aucune",
    "n": "didnt cant couldnt wont wouldnt shouldnt hasnt havent wasnt isnt arent doesnt cannot",
    # e: more
    "e": "more mor anymore further mas",
    # w: want
    "w": """
        want wanna wish choose like need desire prefer quiero queremos quisiera deseo deseamos necesito veux voudrais
        souhaite desire voulons souhaitons aimerais
    """,
    "v": "receive receiving recieve recieving get getting have having hear",
    # p and i: these, it; h: anything
    "p": """
        these this those that them any all updates esto esta estos estas eso esos este ningun todo todos thats ca ces
        cela ceci cet cette
    """,
    "i": "it",
    "h": "anything something everything nothing nada rien",
    "j": "interested interesado interesada interesados interesa interese interessee interesse",
    "a": """
        consent permission authorized allowed authorize authorise autorizo consentimiento permiso consentement consens
        autorise
    """,
    "z": "revoke withdraw revoco retiro retire revoque",
    # N: other ways than texts
    "N": "email emails newsletter newsletters mail mails call calls voicemail voicemails",
    # f and b: what may follow a refusal, of whatever it goes on to say
    "f": "from about regarding concerning sobre sur",
    "b": "because cause cuz bc porque since or before parce car sinon",
    # q: asks, at the beginning
    "q": """
        when how what why where who which whose whats whos does did has if whether should may como cuando donde quien
        cual cuanto comment quand qui quoi combien pourquoi quel quelle si
    """,
    # B: asks at the beginning, and has no weight elsewhere
    "B": "is are am was were est",
    # y: a refusal as it stands
    "y": "yrefusal",
    OTHER: """
        maiden subscribe subscribed unsubscribed removed canceled cancelled canceling disabled deleted ended ending ends
        pending spending contract contracts renove renovar renew remote forgot recibi recibo recover remainder
        remainders suspended contracting spacing tester sensing seeding speeding cancer massage testing texted
        messaged contacted stopped stops stopping received reminded
    """,
    # nothing of weight
    "": """
        a an the i id im ive you u your yours ur youre my mine our ours we they to of off on out up with for by please
        pls plz plese plse kindly thank thanks thx thnx ty tks hi hello hey dear ok okay k yes yeah and just now
        immediately right already again ever even asap today always also else estoy suis sorry oh ugh omg goodbye bye
        as wtf man dude guys folks sir madam people seriously honestly literally really so but then well alright very
        much hereby many via be nope nah con w avec tous think pal buddy bro bruh mate friend anyone anybody someone
        somebody etre ser damn fucking effing freaking bloody stupid goddamn fing f said say told tell ask asked
        asking annoying unwanted por favor porfavor porfa gracias muchas hola ya de del el la los las lo le les un una
        su sus tu tus que a mi mis ustedes usted ahora mismo y o den deme denme dame darme dar svp merci bonjour
        bonsoir salut des du n m l d c j s t ce je une vos votre tes ton ta mon ma toute tout suite immediatement
        maintenant et veuillez desole en es vous tu te aux au
    """,
}

PHRASES: tuple[tuple[str, str], ...] = (
    # other senses
    (r"non ?stop|stop (?:sign|date|order|payment|light|watch|smoking)s?", "other"),
    (r"(?:the|an?|at|in|by|bus|pit|truck|next|last) (?:end|stop)(?! (?:text|mes+ag|send|contact))", "other"),
    (r"(?:good|fair|close|sure|not) enough|enough said", "other"),
    (r"make (?:it|this|these|them|the texts) stop", "stop"),
    (r"(?:please|pls|plz|por favor|svp) (?:stop(?: (?:it|this|now|thanks))*|(?:unsubscribe|remove) me)$", "pleasestop"),
    (r"(?:le|un|en) arret|arret (?:de|maladie)", "other"),
    # not
    (r"(?:no )+(?:please )?(?:just )?(stop|unsubscribe|quit|remove)", r"\1"),
    (r"(?:dont|never|not) (?:ever )?want (?:these|this|it|them|the \w+) to (?:stop|end)", "dont stop"),
    (r"no need|pas besoin|no more for|no (?:\w+ ){1,2}(?:today|here|at all)", "other"),
    (r"(?:dont|nolonger) (?:want|need) (?:it|that)(?: anymore)?$", "other"),
    (r"(?:my |this is my )?(?:first|second|third|fourth|last|final) (?:request|time)(?: asking)?(?: to)?", ""),
    (r"no (?:thank you|thanks|thx|ty)|no gracias|non merci", ""),
    (r"do not|don t|dnt", "dont"),
    (r"(?:did|can|could|will|would|has|have|was|is|does) not", "didnt"),
    (r"no longer|not any ?more", "nolonger"),
    (r"any ?more", "anymore"),
    (r"(?:rather|prefer|like|want|wish)(?: to)? not|refuse|rehuso|prefiero no", "not want"),
    (r"(\w+(?:ez|er|e)) pas", r"pas \1"),
    (r"not (?:my|a|the|our|for)(?! right)", "other"),
    # polite, impatient
    (
        r"(?:can|could|may) (?:i|we|my number) (?:please )?(?:be|get)"
        r" (?:removed|taken|deleted|unsubscribed|opted out|off)(?: off)?",
        "remove me",
    ),
    (r"(?:can|could|would|will) (?:you|u|someone|somebody|anyone)(?: mind)?", ""),
    (r"(?:pueden?|puedes|podrian?|pouvez vous|peux tu|pourriez vous)", ""),
    (r"(?:how about|why dont) you|how (?:many times|often) do i (?:have|need) to (?:say|tell you)", ""),
    (r"you (?:can|may|should|must|need to|have to)|i (?:think|believe|guess)", ""),
    (r"for the (?:last time|love of \w+)|i mean it|at once|right away|once and for all|from now on", ""),
    (r"s? ?il (?:te|vous) plait|por que|est ce que", ""),
    # questions, and what has to be done about something else
    (r"(?:have|has|had|got|going) to", "other"),
    (r"^(?:i|we) (?:will|can)", "when"),
    (r"(?:texting|messaging|bothering|contacting|spamming|sending) you", "other"),
    (r"(i|we|you|they|it|this|these|that) (?:would|am|are|is|was|were)", r"\1"),
    (r"un subscribe", "unsubscribe"),
    (
        r"(?:do|can|could|may|will|would|should|must) (?:i|you|they|we|he|she|it|this|the|my|your)"
        r"|^have (?:i|you|they)",
        "when",
    ),
    # several words for one
    (r"if you (?:would |could )?(?:please )?stop(?:ed)?", "stop"),
    (r"(?:opt ?out|unsubscribe|removal) request", "optout"),
    (r"(?:requests?|requesting|demand|asking) (?:to|that|for)|(?:consider|accept) this", ""),
    (r"(?:request|requesting|want) (?:a )?removal", "remove me"),
    (r"(?:dont|not|never) use (?:this|my) (?:number|phone)", "dont text me"),
    (r"^(?:get )?off (?:the |your |this )?list", "remove me list"),
    (r"(?:for this|these|anymore|already|again|here|retired|interested) stop$", "pleasestop"),
    (r"(?:trying|choose|decided) to", "want"),
    (r"blowing up|writing(?: to)? me|using (?:this|my) (?:number|phone)", "texting me"),
    (r"(?:text|txt|message|msg|sms) (me|us|this (?:number|phone)|my (?:number|phone|cell|mobile))", r"texting \1"),
    (r"(?:stopping|get stopped)", "stop"),
    (r"(?:be|get|have me) (?:unsubscribed|opted out)", "unsubscribe"),
    (r"be (?:removed|deleted|taken off)", "remove me"),
    (r"(?:be|being) (?:texted|messaged|contacted|notified|bothered)|hear from (?:you|them|this)", "receive texts"),
    (r"interested in", "interested"),
    (r"bother me|reach out(?: to me)?", "contact me"),
    (r"calling (?:and|or) texting", "texting"),
    (r"unsubscribed (please|pls|me)", r"unsubscribe \1"),
    (r"opt(?:ing)? (?:(me|us|my number|this number) )?out", r"optout \1"),
    (r"(?:want|like|need)(?: to (?:be|get))? (?:off|out)", "want remove me"),
    (r"(me|my (?:phone )?number|my name|this number) (?:be )?(?:removed|deleted|taken off)", r"remove \1"),
    (r"(?:leave|keep) (me|us|my number) (?:off|out)", r"remove \1"),
    (r"(?:take|get|scratch|cross|strike|pull) ((?:\w+ ){1,4})(?:off|out of)", r"remove \1"),
    (r"take (?:off|out)", "remove"),
    (r"(?:turn|switch|shut) ((?:\w+ ){0,3})off", r"disable \1"),
    (r"(?:my )?contact (?:info|information|details)|(?:this|my) contact|phone numbers?", "number"),
    (
        r"(?:text|texting|sms|message|messaging)"
        r" (?:messages?|list|system|alerts?|service|program|updates?|notifications?|reminders?)",
        "texts",
    ),
    (r"dej(?:a|e|en|ar|es) de|para de", "stop"),
    (r"^para(?: ya| por favor| gracias| stop)*$", "stop"),
    (r"nomas", "no mas"),
    # as they stand
    (
        r"(?:done with|(?:sick|tired) of|enough of) (?:(?:getting|receiving|these|the|your|all) )*"
        r"(?:texts?|messages?|alerts|notifications|reminders)",
        "yrefusal",
    ),
    (r".*(?:report|sue|police|fcc|lawyer).* if you (?:text|message|contact).*", "yrefusal"),
    (r"^(?:texts?|notifications|alerts|sms) off$", "yrefusal"),
    (r"^(?:i )?dont want$", "yrefusal"),
    (r"(?:texts|mesages|sms|alerts|these) (?:not|nolonger) (?:needed|wanted|required|necessary)", "yrefusal"),
    (
        r"count (?:me|us) out$|go to hell|screw (?:off|you)|stfu|gtfo|shut up|(?:degage|vayanse|larguense)\w*",
        "yrefusal",
    ),
    (r"(?:no one|nobody) (?:here )?(?:by|with) that name(?: here)?|not (?:the (?:person|one)|who) you .*", "yrefusal"),
    (r"(?:je )?(?:n |en )*ai (?:assez|marre)(?: de)?|y en a marre(?: de)?", "yrefusal"),
    (r"(?:basta|assez|enough)(?: (?:con|with))?", "yrefusal"),
    (r"(?:(?:youve|have|got) )*(?:the )?wrong (?:number|person|phone)", "yrefusal"),
    (r"(?:not|isnt) the right (?:number|person)", "yrefusal"),
    (r"(?:tienen? (?:el|la) )?(?:numero|persona) equivocad[oa]", "yrefusal"),
    (r"(?:vous avez )?(?:le )?(?:mauvais|faux) numero|mauvaise personne|erreur de (?:numero|personne)", "yrefusal"),
    (r"(?:se )?(?:equivoc|tromp)\w+ de (?:numero|persona|personne)", "yrefusal"),
    (r"leave (?:me|us) (?:alone|be)|go away|get lost|give it a rest|knock it off|cut it out", "yrefusal"),
    (r"(?:fuck|f|piss|bug|buzz|eff|bugger|sod|back) off", "yrefusal"),
    (r"dej(?:a|e|en)(?:me|nos) (?:en paz|tranquil[oa])", "yrefusal"),
    (r"(?:laiss|fout|fich)\w* (?:moi|nous) (?:tranquille|la paix|en paix)|ca suffit", "yrefusal"),
    (r"(?:this|its|reported(?: as)?|marked as) (?:spam|harassment|junk)|^spam$", "yrefusal"),
    (r"(?:i am |im |ill )?block(?:ed|ing)? (?:you|this number|me)", "yrefusal"),
    (
        r"e ?mail only|only e ?mail(?: me)?|e ?mail (?:me )?instead of texting|solo (?:por )?(?:correo|email)",
        "yrefusal",
    ),
    (r"(?:courriel|e ?mail) (?:seulement|uniquement)", "yrefusal"),
)
"""What several words mean together: a pattern and what is read in its place. They are tried in this order."""
