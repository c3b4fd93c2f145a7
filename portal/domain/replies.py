"""What a text from a handset says about consent (docs/consent-rules.md#keywords).

Exact keywords count as such, whatever their case. A refusal in other words counts too, marked as interpreted: whoever
texts may leave by any reasonable means (47 CFR 64.1200(a)(10)). A reaction to a text of ours says nothing, whatever it
quotes. What is none of these is for a person to read.
"""

import re
from dataclasses import dataclass
from typing import Literal

from portal.domain import text_input
from portal.domain.refusals import plain, refuses
from portal.domain.tapbacks import is_tapback

Word = Literal["stop", "start", "help", "tapback", "unclear"]

_TWILIOS_STOP = frozenset({"stop", "stopall", "unsubscribe", "cancel", "end", "quit", "revoke", "optout"})
_TWILIOS_HELP = frozenset({"help", "info"})
STOP_WORDS = _TWILIOS_STOP | {"opt out", "opt-out", "td", "arret", "arrêt", "alto", "parar"}
"""Twilio's, and what carriers in the United States take for STOP as well."""
START_WORDS = frozenset({"start", "yes", "unstop"})
HELP_WORDS = _TWILIOS_HELP | {"aide", "ayuda"}
_TWILIOS = _TWILIOS_STOP | START_WORDS | _TWILIOS_HELP
_EXACT: dict[str, Word] = {
    **dict.fromkeys(STOP_WORDS, "stop"),
    **dict.fromkeys(START_WORDS, "start"),
    **dict.fromkeys(HELP_WORDS, "help"),
}
_EDGES = " .,;:!¡\"'“”‘’*()"
_PLEASE = "please|pls|por favor|svp|s'il (?:te|vous) plait"
_HELP = re.compile(
    rf"(?:(?:{_PLEASE}) )?(?:help|helpme|info|information|informacion|aide|ayuda|aide[rz]?[ -]moi|ayud[ae](?:me|nme))"
    rf"(?: (?:help|me|us|{_PLEASE}))*[ ?!.]*"
)
_LONGEST_HELP, _LONGEST_SIGNED = 60, 200
_SIGNATURE = re.compile(
    r"\n\s*(?:sent from|get outlook|enviado des|envoye (?:de|a partir)).*", re.DOTALL | re.IGNORECASE
)


@dataclass(frozen=True)
class Reading:
    """`exact` is false for a refusal in other words, which the ledger marks as interpreted. A tapback says nothing."""

    word: Word
    exact: bool = True


def read(body: str, opt_out_type: str = "") -> Reading:
    """`opt_out_type` is Twilio's own reading of the text, where it sends one; it wins."""
    named = _EXACT.get(opt_out_type.strip().lower())
    said = named or _EXACT.get(keyword(body))
    if said is not None:
        return Reading(said)
    if is_tapback(body):
        return Reading("tapback")
    if _asks_for_help(body):
        return Reading("help")
    return Reading("stop", exact=False) if refuses(body) else Reading("unclear", exact=False)


def _asks_for_help(body: str) -> bool:
    said = body if len(body) > _LONGEST_SIGNED else _SIGNATURE.sub("", plain(body))
    return len(said) <= _LONGEST_HELP and bool(_HELP.fullmatch(keyword(plain(said))))


def keyword(body: str) -> str:
    """The text as keywords are compared: in lower case, without the punctuation around it and what nobody sees."""
    return " ".join(text_input.lines(body, joiners=False).split()).strip(_EDGES).lower()


def is_twilios(body: str, opt_out_type: str = "") -> bool:
    """Whether Twilio reads the text as a keyword, and so may answer it (docs/twilio.md#opt-out-keywords)."""
    return bool(opt_out_type) or body.strip().lower() in _TWILIOS
