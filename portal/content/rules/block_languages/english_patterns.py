"""How the wording check finds its points in English."""

_REPLY_WITH = r"\b(?:reply|text|send)(?:ing)?(?:\s+with)?[\s“\"'‘]+"
_NOT_NONSTOP = r"(?<!\bNON[ \-‐‑–])"
"""“NON-STOP texts” does not explain how to stop them."""

PATTERNS = {
    "purpose": r"\b(?:notif\w+|notices?|remind\w*|alerts?|updates?|news|renewals?|deadlines?|regarding"
    r"|about (?:your|the|an?)|(?:tell|let|inform) you)\b",
    "frequency": r"\bfreq|\b(?:daily|weekly|monthly|yearly|once a|up to \d+|at most \d+|no more than \d+)"
    r"|\b(?:msgs?|messages?|texts?)\s?(?:/|per\b|an?\b|each\b|every\b)\s?(?:day|week|mo|year)",
    "rates": r"\bdata\b.{0,12}\brates?\b.{0,20}\bappl(?:y|ies)\b",
    "help": rf"(?-i:\bHELP\b)|{_REPLY_WITH}help\b",
    "stop": rf"(?-i:{_NOT_NONSTOP}\bSTOP\b)|{_REPLY_WITH}stop\b",
    "start": rf"(?-i:\bSTART\b)|{_REPLY_WITH}start\b",
    "contact": r"https?://|\bwww\.|\S@\S+\.\w|\+?\d[\d\s().-]{6,}\d|\b[\w-]+\.(?:org|com|net|gov|edu)\b",
    "ended": r"\bno (?:more|further)\b|\b(?:not|never) (?:get|receive|be sent)|\b(?:un|de)subscribed|\bopted out"
    r"|\b(?:stopped|ended)\b",
    "program": r"\bprogram\b\W{0,3}\s\w",
    "content": r"\b(?:what )?we send\b|\byou(?: will)? (?:get|receive) (?:texts?|messages?|notices?) about\b",
    "channel": r"(?-i:\bSMS\b)|\btext messag",
    "bold_stop": r"(?-i:\*\*[^*\n]*\bSTOP\b[^*\n]*\*\*)",
    "bold_help": r"(?-i:\*\*[^*\n]*\bHELP\b[^*\n]*\*\*)",
    "support": r"\b(?:contact|write to|call|email) [^.\n]{0,40}?(?:\S@\S+\.\w|\d[\d\s().-]{6,}\d)",
    "complaint": r"\bcomplain\b[^\n]{0,60}(?:\S@\S+\.\w|\d[\d\s().-]{6,}\d|https?://)",
    "carriers": r"\bcarriers?\b[^.]{0,60}\bnot (?:liable|responsible)\b"
    r"|\bnot (?:liable|responsible)\b[^.]{0,60}\bcarriers?\b",
    "collected": r"\b(?:collect|store|keep|record)\b[^.]{0,60}\bnumber\b",
    "no_sharing": r"\b(?:no|not|never)\b[^.]{0,80}\b(?:share[ds]?|sell|sold)\b[^.]{0,120}\bthird[ -]part(?:y|ies)\b"
    r"[^.]{0,80}\b(?:marketing|promotional)\b",
    "consent_not_shared": r"\bconsent\b[^.]{0,80}\b(?:not|never)\b[^.]{0,40}\b(?:shared|sold)\b",
    "optional": r"\bnot a condition\b|\bnot required (?:to|as|for)\b|\b(?:texts|consent) (?:are|is) optional\b",
    "terms_link": r"/sms/terms\b",
    "privacy_link": r"/sms/privacy\b",
}
"""By point, in any case."""

EXAMPLES = {
    "frequency": "Message frequency varies",
    "help": "Reply HELP for help",
    "stop": "Reply STOP to end",
    "program": "Program: account notices",
    "carriers": "Carriers are not liable for delayed or undelivered messages.",
}
"""What is enough for a point."""
