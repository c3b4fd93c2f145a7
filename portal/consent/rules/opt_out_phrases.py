"""Phrases of an opt-out and what they are read as, in English, Spanish and French."""

PHRASE_REWRITES: tuple[tuple[str, str], ...] = (
    # other senses
    (
        r"non ?stop|stop (?:sign|date|order|payment|light|watch|smoking|los+|gap|work)s?"
        r"|^i quit$|^no (?:mes+age|text)$",
        "other",
    ),
    (r"(?:the|an?|at|in|by|bus|pit|truck|next|last) (?:end|stop)(?! (?:text|mes+ag|send|contact))", "other"),
    (r"(?:good|fair|close|sure|not|well|soon|easy|clear|oddly|funnily) enough|enough said", "other"),
    (r"make (?:it|this|that) stop", "stop texts"),
    (r"make (\w+(?: \w+)?) stop", r"stop \1"),
    (
        r"(?:please|pls|plz|por favor|svp) (?:stop(?: (?:it|this|now|thanks))*"
        r"|(?:unsubscribe|remove|delete) (?:me|(?:this|my) (?:phone )?number))$",
        "pleasestop",
    ),
    (r"(?:le|un|en) arret(?! des? (?:sms|texto|mes))|arret (?:de|maladie)", "other"),
    (r"(?:wait|waiting|standby|guest|class|candidate|seating|speaker)s? ?lists?|waitlists?", "other"),
    (r"cancel (?:that|it)|cancel number$|^(?:ya |si )*termine$", "other"),
    (
        r"(?:al|por|en|el|la|le|a la|de) fin|fin (?:del?|du|de la) (?:mes|mois|semana|semaine|ano|annee|curso|cours)",
        "other",
    ),
    (r"(?:estoy|estuve|estaba|estare|esta|sigo|ando|la) de baja|baja (?:medica|laboral|por(?! favor))", "other"),
    (r"(?:(?:con|de) (?:eso|esto)|me|nos) basta|deje de recibir", "other"),
    (r"stop(?:ing)? (?:by|over)(?!(?: the)? way)", "other"),
    (
        r"(?:subscription|suscripcion|abonnement) (?:to|for|a|al|aux?)(?! (?:(?:the|these|your|los|las|sus|les|vos) )*"
        r"(?:text|sms|me(?:n|s)|alert|notif|rem|recor|rap))",
        "other",
    ),
    (r"subscription (?:renewal|fee|charge|payment|plan|box)s?", "other"),
    (
        r"(?:escrib|contact|envi|mand|ecri)\w+ (?:(?:me|mas|nada|nos|moi|rien|plus) )*"
        r"(?:a|al|por|by|via|at|on|through|par|au|sur)"
        r" (?:\w+ )?(?:correo|e ?mail|courriel|mail)",
        "other",
    ),
    (r"(?:x|por) (?:favor|fa)", "por favor"),
    (r"dar(?:se|nos)? de baja", "desuscribirme"),
    (r"(?:solicito|pido|exijo)(?= (?:(?:la|mi|darme de) )?baja| (?:desuscribir|que (?:no|dej)))", ""),
    (r"me (?:quito|borro|salgo|elimino|desuscribo)", "remove me"),
    (r"paro(?= (?:\w+ )?(?:mensajes|textos|sms|esto|eso))", "stop"),
    (r"(?:le )?arret (?:des?|de vos|de tous les|de ces)(?= (?:sms|textos?|mes+ages?|alertes|rappels|envois))", "stop"),
    (r"je (?:vous )?demande", "want"),
    (r"etre (?:retire|enleve|supprime|desabonne|desinscrit|radie|efface)e?", "remove me"),
    (r"retire (moi|nous|mon numero|mi numero)", r"remove \1"),
    (r"vuelv(?:an?|as) a|volver a|volvais a|(?:(?<=no )|(?<=no me )|(?<=no nos ))vay(?:an?|as) a", ""),
    (r"recibir (?:mas nada|nada mas)", "recibir mas"),
    (r"^stop ?(?:2|to) ?(?:end|quit|stop)$|^t d$", "stop"),
    (r"se(?= des(?:abon|inscri))", ""),
    (r"base de (?:datos|donnees)", "database"),
    (r"^para (?:ya )?(?:los|estos|esos|tus|sus) (mensajes|textos|sms)$", r"stop \1"),
    (
        r"(?:have |am |im |ive |been )*"
        r"(?:told|asked|begged|begging|telling|asking) (?:you|u|yall|you guys)(?: already)?(?: to)?",
        "",
    ),
    (r"(?:like )?(?:\d+|two|three|four|five|several|many|so many) times(?= ?(?:to|already|now|$))", ""),
    (r"(?:reply|respond|write|talk|speak) to me", "contact me"),
    (r"i (?:object to|oppose)", "i not want"),
    (r"(?:my )?(consent|permission) (?:(?:is|has been|was|hereby) )*(?:withdrawn|revoked|ended)", r"revoke \1"),
    # negation
    (r"(?:no )+(?:please )?(?:just )?(stop|unsubscribe|quit|remove)", r"\1"),
    (r"(?:dont|never|not) (?:ever )?want (?:these|this|it|them|the \w+) to (?:stop|end)", "dont stop"),
    (r"ne en (?:veux|voulons|souhaite) plus", "yoptout"),
    (
        r"no need(?! for (?:these|your|the) (?:texts?|mes))|pas besoin(?! de (?:ces|vos|tes) (?:texto|sms|mes))"
        r"|no more for|no (?:\w+ ){1,2}(?:today|here|at all)",
        "other",
    ),
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
    # politeness, impatience
    (
        r"(?:can|could|may) (?:i|we|my number) (?:please )?(?:be|get)"
        r" (?:removed|taken|deleted|unsubscribed|opted out|off)(?: off)?",
        "remove me",
    ),
    (r"(?:can|could|would|will) (?:you|u|someone|somebody|anyone)(?: mind)?", ""),
    (r"(?:pueden?|puedes|podrian?|pouvez vous|peux tu|pourriez vous)", ""),
    (r"(?:how about|why dont) you|how (?:many times|often) do i (?:have|need) to (?:say|tell you)", ""),
    (r"you (?:can|may|should|must|need to|have to)|i (?:think|believe|guess)", ""),
    (r"for (?:the (?:last time|love of \w+)|\w+s sake)|i mean it|at once|right away|once and for all|from now on", ""),
    (r"s? ?il (?:te|vous) plait|por que|est ce que", ""),
    # questions, and what somebody has to do about something else
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
    (r"take (?:off|out of) (?:the |this |your )?list", "remove me list"),
    (r"take (?:off|out)", "remove"),
    (r"(?:turn|switch|shut) ((?:\w+ ){0,3})off", r"disable \1"),
    (r"(?:my )?contact (?:info|information|details)|(?:this|my) contact|phone numbers?", "number"),
    (
        r"(?:text|texting|sms|message|messaging)"
        r" (?:messages?|list|system|alerts?|service|program|updates?|notifications?|reminders?)",
        "texts",
    ),
    (r"dej(?:a|e|en|ar|es|o) de|para de", "stop"),
    (r"^para(?: ya| por favor| gracias| stop)*$", "stop"),
    (r"nomas", "no mas"),
    # opt-outs as a whole
    (
        r"(?:done with|(?:sick|tired) of|enough of) (?:(?:getting|receiving|these|the|your|all) )*"
        r"(?:texts?|messages?|alerts|notifications|reminders|(?<=ing )(?:these|them))",
        "yoptout",
    ),
    (
        r"(?:(?:me|nos) tienen? )?(?:hart[oa]s?|aburrid[oa]s?|cansad[oa]s?|canse) (?:ya )?(?:de|con)"
        r" (?:(?:recibir|estos|estas|sus|los|las|tantos|tantas) )*"
        r"(?:mensajes|textos|sms|avisos|alertas|notificaciones|recordatorios)",
        "yoptout",
    ),
    (r".*(?:report|sue|police|fcc|lawyer).* if you (?:text|message|contact).*", "yoptout"),
    (r"^(?:texts?|notifications|alerts|sms) off$", "yoptout"),
    (r"^(?:(?:i )?dont want|(?:yo )?no quiero(?: nada)?)$", "yoptout"),
    (r"(?:texts|mesages|sms|alerts|these) (?:not|nolonger) (?:needed|wanted|required|necessary)", "yoptout"),
    (r"count (?:me|us) out$|go to hell|screw (?:off|you)|stfu|gtfo|shut up|(?:degage|vayanse|larguense)\w*", "yoptout"),
    (r"(?:no one|nobody) (?:here )?(?:by|with) that name(?: here)?|not (?:the (?:person|one)|who) you .*", "yoptout"),
    (r"(?:je )?(?:n |en )*ai (?:assez|marre)(?: de)?|y en a marre(?: de)?", "yoptout"),
    (r"(?:basta|assez|enough)(?: (?:con|with))?", "yoptout"),
    (r"(?:(?:youve|have|got) )*(?:the )?wrong (?:number|person|phone)", "yoptout"),
    (r"(?:not|isnt) the right (?:number|person)", "yoptout"),
    (r"(?:tienen? (?:el|la) )?(?:numero|persona) (?:equivocad|incorrect|errone)[oa]", "yoptout"),
    (r"(?:vous avez )?(?:le )?(?:mauvais|faux) numero|mauvaise personne|erreur de (?:numero|personne)", "yoptout"),
    (r"(?:se )?(?:equivoc|tromp)\w+ de (?:numero|persona|personne)", "yoptout"),
    (r"leave (?:me|us) (?:alone|be)|go away|get lost|give it a rest|knock it off|cut it out", "yoptout"),
    (r"(?:fuck|f|piss|bug|buzz|eff|bugger|sod|back) off", "yoptout"),
    (r"dej(?:a|e|en)(?:me|nos) (?:en paz|tranquil[oa])", "yoptout"),
    (r"(?:laiss|fout|fich)\w* (?:moi|nous) (?:tranquille|la paix|en paix)|ca suffit", "yoptout"),
    (r"(?:this|its|reported(?: as)?|marked as) (?:spam|harassment|junk)|^spam$", "yoptout"),
    (
        r"(?:i am |im |ill )?block(?:ed|ing)? (?:you|this number|me)|(?:los|las|te) (?:voy a bloquear|bloqueo)",
        "yoptout",
    ),
    (r"e ?mail only|only e ?mail(?: me)?|e ?mail (?:me )?instead of texting|solo (?:por )?(?:correo|email)", "yoptout"),
    (r"(?:courriel|e ?mail) (?:seulement|uniquement)", "yoptout"),
)
"""A pattern and the words that replace it, tried in this order."""
