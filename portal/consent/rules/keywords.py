"""What a text from a handset says about consent (docs/consent-rules.md#keywords).

Exact keywords count as such, whatever their case. A refusal in other words counts too, marked as interpreted: whoever
texts may leave by any reasonable means (47 CFR 64.1200(a)(10)). A reaction to a text of ours says nothing, whatever it
quotes. What is none of these is for a person to read.
"""

import re
from dataclasses import dataclass
from typing import Literal

from portal.consent.rules.opt_out_detection import is_opt_out_request, normalise_reply
from portal.consent.rules.tapbacks import is_tapback
from portal.core.rules import text_input

ReplyCategory = Literal["stop", "start", "help", "tapback", "unclear"]

_TWILIO_STOP_KEYWORDS = frozenset({"stop", "stopall", "unsubscribe", "cancel", "end", "quit", "revoke", "optout"})
_TWILIO_HELP_KEYWORDS = frozenset({"help", "info"})
STOP_KEYWORDS = _TWILIO_STOP_KEYWORDS | {"opt out", "opt-out", "td", "arret", "arrêt", "alto", "parar"}
"""Twilio's, and what carriers in the United States take for STOP as well."""
START_KEYWORDS = frozenset({"start", "yes", "unstop"})
HELP_KEYWORDS = _TWILIO_HELP_KEYWORDS | {"aide", "ayuda"}
_TWILIO_KEYWORDS = _TWILIO_STOP_KEYWORDS | START_KEYWORDS | _TWILIO_HELP_KEYWORDS
_CATEGORY_BY_KEYWORD: dict[str, ReplyCategory] = {
    **dict.fromkeys(STOP_KEYWORDS, "stop"),
    **dict.fromkeys(START_KEYWORDS, "start"),
    **dict.fromkeys(HELP_KEYWORDS, "help"),
}
_SURROUNDING_PUNCTUATION = " .,;:!¡\"'“”‘’*()"
_PLEASE = "please|pls|por favor|svp|s'il (?:te|vous) plait"
_HELP = re.compile(
    rf"(?:(?:{_PLEASE}) )?(?:help|helpme|info|information|informacion|aide|ayuda|aide[rz]?[ -]moi|ayud[ae](?:me|nme))"
    rf"(?: (?:help|me|us|{_PLEASE}))*[ ?!.]*"
)
_MAX_HELP_LENGTH, _MAX_SIGNED_LENGTH = 60, 200
_SIGNATURE = re.compile(
    r"\n\s*(?:sent from|get outlook|enviado des|envoye (?:de|a partir)).*", re.DOTALL | re.IGNORECASE
)


@dataclass(frozen=True)
class Classification:
    """`exact` is false for a refusal in other words, which the ledger marks as interpreted. A tapback says nothing."""

    category: ReplyCategory
    is_keyword: bool = True


def classify_reply(body: str, opt_out_type: str = "") -> Classification:
    """`opt_out_type` is Twilio's own reading of the text, where it sends one; it wins."""
    named = _CATEGORY_BY_KEYWORD.get(opt_out_type.strip().lower())
    said = named or _CATEGORY_BY_KEYWORD.get(normalise_keyword(body))
    if said is not None:
        return Classification(said)
    if is_tapback(body):
        return Classification("tapback")
    if _is_help_request(body):
        return Classification("help")
    return (
        Classification("stop", is_keyword=False)
        if is_opt_out_request(body)
        else Classification("unclear", is_keyword=False)
    )


def _is_help_request(body: str) -> bool:
    said = body if len(body) > _MAX_SIGNED_LENGTH else _SIGNATURE.sub("", normalise_reply(body))
    return len(said) <= _MAX_HELP_LENGTH and bool(_HELP.fullmatch(normalise_keyword(normalise_reply(said))))


def normalise_keyword(body: str) -> str:
    """The text as keywords are compared: in lower case, without the punctuation around it and what nobody sees."""
    return " ".join(text_input.clean_lines(body, joiners=False).split()).strip(_SURROUNDING_PUNCTUATION).lower()


def is_twilio_keyword(body: str, opt_out_type: str = "") -> bool:
    """Whether Twilio reads the text as a keyword, and so may answer it (docs/twilio.md#opt-out-keywords)."""
    return bool(opt_out_type) or body.strip().lower() in _TWILIO_KEYWORDS
