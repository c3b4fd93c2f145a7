"""The portal's own texts, and what a reviewer of texting would miss in one (docs/consent-rules.md#wording)."""

import re
from dataclasses import dataclass

from portal.domain import markup, sms, wording_defaults

PROMPT = "opt-in-prompt"
WELCOME = "opt-in-text"
INVITATION = "invitation"
STOP_HELP_INFO = "stop-help-information"
STOP_ANSWER = "stop-answer"
HELP_ANSWER = "help-answer"
SIGN_IN_NOTICE = "sign-in-notice"

INVITATION_MOVES = "START ends the texts of another account at this number."
WELCOME_MOVED = "The texts of another account at this number have ended."
"""What follows the words of the block where a number's texts move: nobody may be surprised by it."""

FIELDS: dict[str, str] = {
    "organisation": "Organisation",
    "portal_url": "Address of the portal",
    "sending_number": "Sending number",
    "phone_number": "The person’s number",
}
"""What a block may name, and nothing else."""


@dataclass(frozen=True)
class Block:
    """`kind` is `page` (Markdown) or `sms` (plain text). `expects` lists the points of the wording check that apply."""

    key: str
    group: str
    name: str
    kind: str
    purpose: str
    default: str
    expects: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        return f"{self.group} → {self.name}"

    @property
    def of_sms(self) -> bool:
        """Whether it hides while texts are switched off."""
        return self.key != SIGN_IN_NOTICE


@dataclass(frozen=True)
class Advice:
    """What is missing, in words, and why it matters. Advice, never a lock."""

    point: str
    words: str
    reason: str


_POINTS = {
    "sender": Advice(
        "who sends",
        "It does not say who sends.",
        "People take a text without a name for fraud, and reviewers look for the name and the program it is about.",
    ),
    "purpose": Advice(
        "purpose",
        "It does not say what the texts are about.",
        "Twilio refuses a request for consent that does not name its purpose (30544).",
    ),
    "frequency": Advice(
        "frequency",
        "It does not say how often texts come.",
        "Twilio refuses without it (30545). “Message frequency varies” is enough.",
    ),
    "rates": Advice(
        "data rates may apply",
        "It does not say that message and data rates may apply.",
        "Reviewers want this sentence in the words themselves, not only in the terms (30569).",
    ),
    "help": Advice(
        "HELP",
        "It does not say that HELP brings help.",
        "Twilio refuses without it (30570). “Reply HELP for help” is enough.",
    ),
    "stop": Advice(
        "STOP",
        "It does not say that STOP ends the texts.",
        "Consent counts only where people are told how to end it. “Reply STOP to end” is enough.",
    ),
    "start": Advice(
        "START",
        "It does not say that START is what agrees.",
        "Texts begin when START arrives from the phone; whoever is not told so never gets any.",
    ),
    "contact": Advice(
        "contact",
        "It does not say where to find help.",
        "The answer to HELP must name the organisation and a way to reach it: an address, an email or a phone number.",
    ),
    "ended": Advice(
        "confirmation",
        "It does not say that the texts have ended.",
        "The one answer that STOP may have confirms it and says nothing else.",
    ),
}

_CALL = r"\b(?:reply|text|send)(?:ing)?(?:\s+with)?[\s“\"'‘]+"
_NOT_NON = r"(?<!\bNON[ \-‐‑–])"
"""Texts that come NON-STOP are the opposite of texts that STOP ends."""
_SIGNS = {
    "purpose": r"\b(?:notif\w+|notices?|remind\w*|alerts?|updates?|news|renewals?|deadlines?|regarding"
    r"|about (?:your|the|an?)|(?:tell|let|inform) you)\b",
    "frequency": r"\bfreq|\b(?:daily|weekly|monthly|yearly|once a|up to \d+|at most \d+|no more than \d+)"
    r"|\b(?:msgs?|messages?|texts?)\s?(?:/|per\b|an?\b|each\b|every\b)\s?(?:day|week|mo|year)",
    "rates": r"\bdata\b.{0,12}\brates?\b.{0,20}\bappl(?:y|ies)\b",
    "help": rf"(?-i:\bHELP\b)|{_CALL}help\b",
    "stop": rf"(?-i:{_NOT_NON}\bSTOP\b)|{_CALL}stop\b",
    "start": rf"(?-i:\bSTART\b)|{_CALL}start\b",
    "contact": r"https?://|\bwww\.|\S@\S+\.\w|\+?\d[\d\s().-]{6,}\d|\b[\w-]+\.(?:org|com|net|gov|edu)\b",
    "ended": r"\bno (?:more|further)\b|\b(?:not|never) (?:get|receive|be sent)|\b(?:un|de)subscribed|\bopted out"
    r"|\b(?:stopped|ended)\b",
}
_FOUND = {point: re.compile(pattern, re.IGNORECASE) for point, pattern in _SIGNS.items()}
_FIELD = re.compile(r"\{\{-?\s*(\w{1,40})\b[^{}]{0,200}\}\}")
_ALL_SIX = ("sender", "purpose", "frequency", "rates", "help", "stop")

_LIST = (
    Block(
        PROMPT,
        "MyAccount",
        "SMS Opt-in Confirmation Prompt",
        "page",
        "Stands in the window in which somebody asks for texts. What it says is what they agree to.",
        wording_defaults.PROMPT,
        _ALL_SIX,
    ),
    Block(
        WELCOME,
        "MyAccount",
        "SMS Opt-in Confirmation Text",
        "sms",
        "The welcome text that follows at once after START.",
        wording_defaults.WELCOME,
        _ALL_SIX,
    ),
    Block(
        INVITATION,
        "MyAccount",
        "SMS Invitation Text",
        "sms",
        "The text somebody asked for in the portal. It asks them to reply START.",
        wording_defaults.INVITATION,
        (*_ALL_SIX, "start"),
    ),
    Block(
        STOP_HELP_INFO,
        "MyAccount",
        "SMS STOP and HELP Information",
        "page",
        "Stands on the page of one’s phone numbers: how to stop texts, have them again and get help.",
        wording_defaults.STOP_HELP_INFO,
        ("start", "rates", "help", "stop"),
    ),
    Block(
        STOP_ANSWER,
        "SMS",
        "Answer to STOP",
        "sms",
        "The one text that may follow STOP. Used only where Twilio does not answer by itself.",
        wording_defaults.STOP_ANSWER,
        ("sender", "ended"),
    ),
    Block(
        HELP_ANSWER,
        "SMS",
        "Answer to HELP",
        "sms",
        "The answer to HELP and INFO. Used only where Twilio does not answer by itself.",
        wording_defaults.HELP_ANSWER,
        ("sender", "contact"),
    ),
    Block(
        SIGN_IN_NOTICE,
        "SignIn",
        "Sign-in Notice",
        "page",
        "Stands on the sign-in page, for everybody to read. Empty, it does not show.",
        wording_defaults.SIGN_IN_NOTICE,
    ),
)
BLOCKS: dict[str, Block] = {block.key: block for block in _LIST}


def title(key: str) -> str:
    """Such as “MyAccount → SMS Opt-in Confirmation Prompt”."""
    return BLOCKS[key].title


def missing(key: str, text: str, organisation: str) -> tuple[Advice, ...]:
    """The wording check: what a reviewer would miss in these words. Fields not filled in yet count as filled."""
    block = BLOCKS[key]
    words = _FIELD.sub(lambda found: _stand_in(found.group(1), organisation), text)
    words = _plain(markup.to_text(words) if block.kind == "page" else words)
    return tuple(_POINTS[point] for point in block.expects if not _says(point, words, _plain(organisation)))


def _says(point: str, words: str, organisation: str) -> bool:
    """A board called “Alerts and Renewals” has not said what its texts are about by giving its name."""
    if point == "sender":
        return organisation.casefold() in words.casefold()
    elsewhere = re.sub(re.escape(organisation), " ", words, flags=re.IGNORECASE) if organisation else words
    return _FOUND[point].search(elsewhere) is not None


def _stand_in(field: str, organisation: str) -> str:
    return {"organisation": organisation, "portal_url": "https://portal"}.get(field, "the number")


def _plain(text: str) -> str:
    """As a text has it: its look-alikes are not what is looked for."""
    return sms.plain(text)
