"""What a text from a handset says about consent (docs/consent-rules.md#keywords).

A keyword counts whatever its case. An opt-out in other words counts too and is marked as interpreted: people may opt
out by any reasonable means (47 CFR 64.1200(a)(10)). A tapback says nothing, whatever it quotes. Anything else is
unclear, and an administrator reads it.
"""

import re
from dataclasses import dataclass
from enum import StrEnum

from portal.consent.rules.opt_out_detection import is_opt_out_request, normalise_reply
from portal.consent.rules.tapbacks import is_tapback
from portal.core.rules import text_input


class ReplyCategory(StrEnum):
    STOP = "stop"
    START = "start"
    HELP = "help"
    TAPBACK = "tapback"
    UNCLEAR = "unclear"


_TWILIO_STOP_KEYWORDS = frozenset({"stop", "stopall", "unsubscribe", "cancel", "end", "quit", "revoke", "optout"})
_TWILIO_HELP_KEYWORDS = frozenset({"help", "info"})
_SPANISH_STOP_KEYWORDS = frozenset({"alto", "parar", "pare", "cancelar", "baja"})
STOP_KEYWORDS = _TWILIO_STOP_KEYWORDS | _SPANISH_STOP_KEYWORDS | {"opt out", "opt-out", "td", "arret", "arrêt"}
"""Twilio's keywords, what carriers in the United States treat as STOP as well, and the usual words in Spanish."""
START_KEYWORDS = frozenset({"start", "yes", "unstop"})
"""In every language: no other word lifts Twilio's own block, and “sí” answers any question."""
HELP_KEYWORDS = _TWILIO_HELP_KEYWORDS | {"aide", "ayuda"}
_TWILIO_KEYWORDS = _TWILIO_STOP_KEYWORDS | START_KEYWORDS | _TWILIO_HELP_KEYWORDS
_CATEGORY_BY_KEYWORD: dict[str, ReplyCategory] = {
    **dict.fromkeys(STOP_KEYWORDS, ReplyCategory.STOP),
    **dict.fromkeys(START_KEYWORDS, ReplyCategory.START),
    **dict.fromkeys(HELP_KEYWORDS, ReplyCategory.HELP),
}
_SURROUNDING_PUNCTUATION = " .,;:!¡\"'“”‘’*()"
_PLEASE = "please|pls|por favor|svp|s'il (?:te|vous) plait"
_HELP = re.compile(
    rf"(?:(?:{_PLEASE}) )?(?:help|helpme|info|information|informacion|aide|ayuda|aide[rz]?[ -]moi|ayud[ae](?:me|nme))"
    rf"(?: (?:help|me|us|{_PLEASE}))*[ ?!.]*"
)
_SPANISH = re.compile(
    r"\b(?:alto|par(?:ar|en?)|cesen?|cancel(?:ar|en?)|detengan?|baja|suscripcion|ayud\w+|informacion|por favor"
    r"|avisos?|mensajes|textos|quiero|deseo|necesito|interesa|no mas|ya no|basta|dejen?|escrib\w+|molest(?:en?|ar)"
    r"|mand(?:ar|en?)|envi(?:ar|en)|(?:quit|borr|elimin)(?:en?|ar)|(?:quit|borr|elimin|saqu)\w*me|numero"
    r"|equivocad[oa])\b"
)
_MAX_HELP_LENGTH, _MAX_SIGNED_LENGTH = 60, 200
_SIGNATURE = re.compile(
    r"\n\s*(?:sent from|get outlook|enviado des|envoye (?:de|a partir)).*", re.DOTALL | re.IGNORECASE
)


@dataclass(frozen=True)
class Classification:
    """`is_keyword` is false for an opt-out in other words, which the ledger marks as interpreted."""

    category: ReplyCategory
    is_keyword: bool = True


def classify_reply(body: str, opt_out_type: str = "") -> Classification:
    """`opt_out_type` is Twilio's own reading of the text, if it sends one, and takes precedence."""
    twilio_category = _CATEGORY_BY_KEYWORD.get(opt_out_type.strip().lower())
    category = twilio_category or _CATEGORY_BY_KEYWORD.get(normalise_keyword(body))
    if category is not None:
        return Classification(category)
    if is_tapback(body):
        return Classification(ReplyCategory.TAPBACK)
    if _is_help_request(body):
        return Classification(ReplyCategory.HELP)
    category = ReplyCategory.STOP if is_opt_out_request(body) else ReplyCategory.UNCLEAR
    return Classification(category, is_keyword=False)


def _is_help_request(body: str) -> bool:
    text = body if len(body) > _MAX_SIGNED_LENGTH else _SIGNATURE.sub("", normalise_reply(body))
    return len(text) <= _MAX_HELP_LENGTH and bool(_HELP.fullmatch(normalise_keyword(normalise_reply(text))))


def normalise_keyword(body: str) -> str:
    """Lower the case, and drop surrounding punctuation and invisible characters."""
    return " ".join(text_input.clean_lines(body, joiners=False).split()).strip(_SURROUNDING_PUNCTUATION).lower()


def language_of_words(body: str) -> str:
    """The language in which somebody asks for help or opts out; "" unless it is Spanish."""
    return "es" if _SPANISH.search(normalise_reply(body)) else ""


def is_twilio_keyword(body: str, opt_out_type: str = "") -> bool:
    """Return whether Twilio reads the text as a keyword and may answer it (docs/twilio.md#opt-out-keywords)."""
    return bool(opt_out_type) or body.strip().lower() in _TWILIO_KEYWORDS
