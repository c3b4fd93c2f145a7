"""What changes the meaning of opt-out words: a question about how to opt out, texts to keep, a joke."""

import re

_POLITE = "please|pls|plz|hi|hello|hey|ok|okay|so|and|then|can you|could you|hola|oye|bonjour|por favor|svp"
_TELL = "tell (?:me|us)|let (?:me|us) know|show me|(?:i )?(?:want|need|would like) to know|diganme|digame|dites moi"
HOW_TO_QUESTION = (
    rf"(?:(?:{_POLITE}|{_TELL}) )*(?:how (?:the \w+ |tf )?(?:do|can|could|would|should|might) (?:i|we|one|you|u)|how to"
    r"|where (?:do|can) (?:i|we)|(?:can|could|may) (?:i|we)(?: please)?|(?:se )?pued[eo]|puis je|(?:je|on) peu[tx]"
    r"|what (?:do|can|should|must) (?:i|we) (?:have to |need to )?(?:do|text|txt|send|reply|say|type|press) to"
    r"|(?:is there|whats|what is) (?:a|any|the)(?: \w+)? way (?:to|i can|for me to)"
    r"|(?:que|como) (?:hago|le hago|puedo hacer|debo hacer|tengo que hacer) para|como (?:puedo|podemos|se puede)|como"
    r"|(?:hay )?(?:alguna|una) (?:manera|forma) de"
    r"|comment (?:(?:on|je) (?:fais|fait|peux|peut)|faire|puis je|peut on) pour|que (?:dois je )?faire pour"
    r"|comment (?:(?:on|je) peux|puis je|peut on|faire)|comment) "
)
"""How a question about how to do something begins."""
ENDS_MESSAGES = re.compile(
    r"v?m*(?:s+[mp]*[ptkdv][tkdmpve]*|u[mtpl]*|r[mp]*f?[tl]+|rm|g[gmwve]*d[tpme]*t[tpm]*)(?:f[tlmp]*)?"
)
"""What only somebody who wants no more texts asks: “How do I stop these?”, not “How do I stop?”."""
ENDS_ANYTHING = re.compile(
    r"(?:cancel(?:ar|o)?|remove|delete|end|terminate|anul(?:ar|o)|termin(?:ar|o|er)|anuler)"
    r" (?:this|that|it|es[ot]o|ca|cela)"
)

_PRAISE = (
    r"lol|l?m+f?ao|(?:ha|ja|he){2,}|jk|kidding|blush\w*|flatter\w*|kind|sweet|nice|funny|hilarious|cute|adorable|silly"
    r"|too (?:much|good)|amazing|awesome|the best|making me (?:laugh|smile|cry)|killing me|love (?:you|it|this)"
)
_JOKE = re.compile(
    rf"^(?:(?:oh+|aw+|ha|haha|lol|omg|no|ok|you guys|please|just)[ ,!.]+)*stop+(?: it)?\b(?! t?e?xting)[ ,.!]*"
    rf"(?:[^.!?\n]*\b(?:{_PRAISE})\b|[😂🤣😆😅😊☺😉😜😝🥰😍🥹☺️\s]+$)"
)
_OTHER_NUMBER = re.compile(
    r"\b(?:don'?t|do not|stop|quit) (?:text|txt)(?:ing)?\b.*[,.;]\s*(?:just |please )?text (?:me|us|my|this|at)\b"
    r"|\b(?:remove|delete|drop|erase)\b.*\b(?:add|use|put|keep) (?:this|my|the|it|number)\b(?! e?-?mail)"
    r"|\b(?:it'?s|mine(?:'?s| is)?|new(?: one| number)? is|use|should be"
    r"|correct(?: one| number)? is|add|and text) number\b"
)
"""Texts that should go to another number or person."""
_KEEP_TEXTS = re.compile(
    r"(?:^|[,.;!-]\s*|\b(?:but|and|please|just|to|want to|i will|ill) )keep (?:the |my |getting |sending )*"
    r"(?:texts?|sms|text messages)\b"
    r"|\b(?:the |by )?(?:texts?|texting|sms) (?:is|are|r) (?:still )?(?:fine|ok|okay|better|best|good|great|welcome)\b"
    r"|\btext (?:me )?instead\b|\b(?:garde[zr]?|conserve[zr]) les (?:textos|sms)\b"
    r"|\bmantenga[n]? los (?:textos|sms|mensajes)\b"
)


def reverses_meaning(text: str) -> bool:
    """Return whether `text`, in lower case, says “stop it” as a joke, or wants texts to go on, here or elsewhere."""
    return any(pattern.search(text) for pattern in (_JOKE, _KEEP_TEXTS, _OTHER_NUMBER))
