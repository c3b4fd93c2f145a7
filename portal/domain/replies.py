"""What a text from a handset says about consent (TWILIO.md 2.8, 4, 6.3).

Exact keywords count as such, whatever their case. A refusal in other words counts too, marked as interpreted: whoever
texts may leave by any reasonable means (47 CFR 64.1200(a)(10)). What is neither is for a person to read.
"""

import re
import unicodedata
from dataclasses import dataclass
from typing import Literal

from portal.domain import text_input

Word = Literal["stop", "start", "help", "unclear"]

STOP_WORDS = frozenset(
    {"stop", "stopall", "unsubscribe", "cancel", "end", "quit", "revoke", "optout", "opt out", "opt-out"}
)
START_WORDS = frozenset({"start", "yes", "unstop"})
HELP_WORDS = frozenset({"help", "info"})
_TWILIOS = (STOP_WORDS - {"opt out", "opt-out"}) | START_WORDS | HELP_WORDS
_EXACT: dict[str, Word] = {
    **dict.fromkeys(STOP_WORDS, "stop"),
    **dict.fromkeys(START_WORDS, "start"),
    **dict.fromkeys(HELP_WORDS, "help"),
}
_EDGES = " .,;:!\"'“”‘’*()"
_HELP = re.compile(r"^(?:please )?(?:help|info)(?: (?:me|us|please))*[ ?!.]*$")
_CLAUSE = re.compile(r"[.,;:!]+(?:\s+|$)|\n+|\s[-–—]+\s")
_SPELLED = re.compile(r"\b[a-z](?: [a-z]){2,}\b")
_BETWEEN = re.compile(r"[^a-z0-9'?]+")
_LONGEST_REFUSAL = 200
"""Characters. Whoever writes more than that has something else to say as well: a person reads it."""

_LEAVE = (
    "(?:stop|stopall|un ?subscribe|cancel|end|quit|revoke|terminate|cease(?: and desist)?|opt ?out|optout|parar?|pare|"
    "arrete[rz]?)"
)
_FILLER = (
    "(?:a|again|all|any|anymore|annoying|at|bothering|communications?|contact|contacting|everything|from|further|"
    "getting|immediately|it|list|me|messages?|messaging|more|my|now|number|of|ok|okay|on|out|phone|please|pls|plz|"
    "right|send|sending|sms|spam|spamming|subscription|texts?|texting|thank|thanks|that|the|them|these|this|those|to|"
    "txt|txting|u|up|us|you|your)"
)
_NOT = "(?:do not|don't|dont)"
_OPENING = r"(?:(?:please|pls|plz|ok|okay|hi|hello|hey|just|kindly|sorry|no|and|also|thanks) )*"
_WISH = r"i (?:want|wish|would like|'d like|need) (?:you )?(?:to )?|i'd like (?:you )?(?:to )?"
_INSISTING = "i said |i (?:told|asked) you to "
_REQUEST = "(?:can|could|would|will) you "
_ASKING = rf"{_OPENING}(?:{_REQUEST}|{_WISH}|{_INSISTING})?{_OPENING}"
_TEXTING = "(?:texting|messaging|txting|spamming|sending)"


def _table(*patterns: str) -> tuple[re.Pattern[str], ...]:
    return tuple(re.compile(f"^{pattern}$") for pattern in patterns)


_OF_TEXTS = _table(
    rf"{_ASKING}{_LEAVE} {_TEXTING}(?: {_FILLER})*(?: about [^?]+)?",
    rf"{_ASKING}(?:stop|quit) (?:texting|messaging|txting|spamming) (?:my|our) [a-z']+(?: {_FILLER})*",
    rf"{_ASKING}(?:remove|delete|take|drop) (?:me|my (?:phone )?number|this number|us)\b(?: {_FILLER}| off| list)*",
    rf"{_ASKING}(?:un ?subscribe|opt ?out)(?: me| us)? from [^?]+",
)
"""Refusals so plain that they count whatever else is said beside them."""
_REFUSALS = (
    *_OF_TEXTS,
    *_table(
        rf"{_ASKING}{_LEAVE}(?: {_LEAVE}| {_FILLER})*",
        rf"{_ASKING}opt (?:me|us) out(?: {_FILLER})*",
        rf"{_OPENING}remove(?: (?:please|pls|now|thanks))*",
        rf"{_OPENING}(?:i )?(?:hereby )?(?:revoke|withdraw) (?:my |all )?consent(?: {_FILLER})*",
        rf"{_OPENING}no more(?: {_FILLER})*",
        rf"{_OPENING}(?:{_NOT}|never|quit|no longer) (?:ever )?(?:text|message|contact|sms|txt|send|bother)\b"
        rf"(?: {_FILLER})*",
        rf"{_OPENING}i (?:{_NOT}|no longer) (?:want|wish|need)(?: to)?(?: (?:get|receive|have|be))?(?: {_FILLER})+",
        "(?:sorry )?(?:(?:you have|you've got|this is) )?(?:the )?wrong (?:number|person)",
        "(?:please )?leave me alone(?: please)?",
        "(?:i'm |i am |im )?not interested(?: anymore)?",
        "(?:fuck off|go away|piss off)",
        "(?:ya )?no mas(?: (?:mensajes|textos|por favor))*",
        "(?:arret|alto|basta|desuscribir|desabonner|stopp)",
    ),
)
_ASIDES = _table(
    rf"i (?:did not|didn't|didnt|never) (?:ask(?:ed)?|sign(?:ed)? up|subscribed?|agreed?|opt(?:ed)? in)"
    rf"(?: {_FILLER}| for)*",
    "sent from my [^?]+",
    "get outlook for [a-z]+",
)
"""What takes nothing from a refusal beside it: how the texts came about, and what a mail program adds."""
_POLITE = re.compile(rf"^{_OPENING}{_REQUEST}[^?]+\?+$")


@dataclass(frozen=True)
class Reading:
    """`exact` is false for a refusal in other words, which the ledger marks as interpreted."""

    word: Word
    exact: bool = True


def read(body: str, opt_out_type: str = "") -> Reading:
    """`opt_out_type` is Twilio's own reading of the text, where it sends one; it wins."""
    named = _EXACT.get(opt_out_type.strip().lower())
    said = named or _EXACT.get(keyword(body))
    if said is not None:
        return Reading(said)
    if _HELP.match(keyword(body[:_LONGEST_REFUSAL])):
        return Reading("help")
    return Reading("stop", exact=False) if _is_refusal(body) else Reading("unclear", exact=False)


def keyword(body: str) -> str:
    """The text as keywords are compared: in lower case, without the punctuation around it and what nobody sees."""
    return " ".join(_visible(body).split()).strip(_EDGES).lower()


def is_twilios(body: str, opt_out_type: str = "") -> bool:
    """Whether Twilio itself reads the text as a keyword, and so may answer it (TWILIO.md 4)."""
    return bool(opt_out_type) or body.strip().lower() in _TWILIOS


def _is_refusal(body: str) -> bool:
    if len(body) > _LONGEST_REFUSAL:
        return False
    letters = unicodedata.normalize("NFKD", _visible(body).lower().replace("’", "'").replace("🛑", " stop "))
    plain = "".join(letter for letter in letters if not unicodedata.combining(letter))
    clauses = [words for clause in _CLAUSE.split(plain) if (words := _words(clause))]
    if _fits(" ".join(clauses), _REFUSALS) or any(_fits(clause, _OF_TEXTS) for clause in clauses):
        return True
    rest = [clause for clause in clauses if not _fits(clause, _ASIDES)]
    return bool(rest) and all(_fits(clause, _REFUSALS) for clause in rest)


def _words(clause: str) -> str:
    """A word spelled out, as in S.T.O.P, is that word."""
    return _SPELLED.sub(lambda found: found[0].replace(" ", ""), _BETWEEN.sub(" ", clause).strip())


def _fits(words: str, table: tuple[re.Pattern[str], ...]) -> bool:
    """A polite question asks for what it says."""
    asked = words.rstrip("? ") if _POLITE.match(words) else words
    return any(pattern.match(asked) for pattern in table)


def _visible(text: str) -> str:
    """Without zero-width characters and their like, which phones and copying slip in."""
    return text_input.lines(text, joiners=False)
