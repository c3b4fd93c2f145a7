"""The portal's own texts, and what a reviewer of texting would miss in one (docs/consent-rules.md#wording)."""

import re
from dataclasses import dataclass

from portal.content.rules import content_block_defaults, markdown
from portal.messages.rules import sms_segments

OPT_IN_PROMPT = "opt-in-prompt"
WELCOME_TEXT = "opt-in-text"
INVITATION_TEXT = "invitation"
STOP_HELP_INFO = "stop-help-information"
STOP_REPLY = "stop-answer"
HELP_REPLY = "help-answer"
SIGN_IN_NOTICE = "sign-in-notice"

INVITATION_MOVE_NOTICE = "START ends the texts of another account at this number."
WELCOME_MOVE_NOTICE = "The texts of another account at this number have ended."
"""What follows the words of the block where a number's texts move: nobody may be surprised by it."""

BLOCK_FIELDS: dict[str, str] = {
    "organisation": "Organisation",
    "portal_url": "Address of the portal",
    "sending_number": "Sending number",
    "phone_number": "The person’s number",
}
"""What a block may name, and nothing else."""


@dataclass(frozen=True)
class ContentBlock:
    """`kind` is `page` (Markdown) or `sms` (plain text). `expects` lists the points of the wording check that apply."""

    key: str
    group: str
    name: str
    kind: str
    purpose: str
    default: str
    required_points: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        return f"{self.group} → {self.name}"

    @property
    def is_sms(self) -> bool:
        """Whether it hides while texts are switched off."""
        return self.key != SIGN_IN_NOTICE


@dataclass(frozen=True)
class WordingIssue:
    """What is missing, in words, and why it matters. Advice, never a lock."""

    point: str
    message: str
    reason: str


_ISSUES = {
    "sender": WordingIssue(
        "who sends",
        "It does not say who sends.",
        "People take a text without a name for fraud, and reviewers look for the name and the program it is about.",
    ),
    "purpose": WordingIssue(
        "purpose",
        "It does not say what the texts are about.",
        "Twilio refuses a request for consent that does not name its purpose (30544).",
    ),
    "frequency": WordingIssue(
        "frequency",
        "It does not say how often texts come.",
        "Twilio refuses without it (30545). “Message frequency varies” is enough.",
    ),
    "rates": WordingIssue(
        "data rates may apply",
        "It does not say that message and data rates may apply.",
        "Reviewers want this sentence in the words themselves, not only in the terms (30569).",
    ),
    "help": WordingIssue(
        "HELP",
        "It does not say that HELP brings help.",
        "Twilio refuses without it (30570). “Reply HELP for help” is enough.",
    ),
    "stop": WordingIssue(
        "STOP",
        "It does not say that STOP ends the texts.",
        "Consent counts only where people are told how to end it. “Reply STOP to end” is enough.",
    ),
    "start": WordingIssue(
        "START",
        "It does not say that START is what agrees.",
        "Texts begin when START arrives from the phone; whoever is not told so never gets any.",
    ),
    "contact": WordingIssue(
        "contact",
        "It does not say where to find help.",
        "The answer to HELP must name the organisation and a way to reach it: an address, an email or a phone number.",
    ),
    "ended": WordingIssue(
        "confirmation",
        "It does not say that the texts have ended.",
        "The one answer that STOP may have confirms it and says nothing else.",
    ),
}

_REPLY_WITH = r"\b(?:reply|text|send)(?:ing)?(?:\s+with)?[\s“\"'‘]+"
_NOT_NONSTOP = r"(?<!\bNON[ \-‐‑–])"
"""Texts that come NON-STOP are the opposite of texts that STOP ends."""
_PATTERNS = {
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
}
_COMPILED_PATTERNS = {point: re.compile(pattern, re.IGNORECASE) for point, pattern in _PATTERNS.items()}
_FIELD = re.compile(r"\{\{-?\s*(\w{1,40})\b[^{}]{0,200}\}\}")
_ALL_SIX = ("sender", "purpose", "frequency", "rates", "help", "stop")

_ALL_BLOCKS = (
    ContentBlock(
        OPT_IN_PROMPT,
        "MyAccount",
        "SMS Opt-in Confirmation Prompt",
        "page",
        "Stands in the window in which somebody asks for texts. What it says is what they agree to.",
        content_block_defaults.OPT_IN_PROMPT,
        _ALL_SIX,
    ),
    ContentBlock(
        WELCOME_TEXT,
        "MyAccount",
        "SMS Opt-in Confirmation Text",
        "sms",
        "The welcome text that follows at once after START.",
        content_block_defaults.WELCOME_TEXT,
        _ALL_SIX,
    ),
    ContentBlock(
        INVITATION_TEXT,
        "MyAccount",
        "SMS Invitation Text",
        "sms",
        "The text somebody asked for in the portal. It asks them to reply START.",
        content_block_defaults.INVITATION_TEXT,
        (*_ALL_SIX, "start"),
    ),
    ContentBlock(
        STOP_HELP_INFO,
        "MyAccount",
        "SMS STOP and HELP Information",
        "page",
        "Stands on the page of one’s phone numbers: how to stop texts, have them again and get help.",
        content_block_defaults.STOP_HELP_INFO,
        ("start", "rates", "help", "stop"),
    ),
    ContentBlock(
        STOP_REPLY,
        "SMS",
        "Answer to STOP",
        "sms",
        "The one text that may follow STOP. Used only where Twilio does not answer by itself.",
        content_block_defaults.STOP_REPLY,
        ("sender", "ended"),
    ),
    ContentBlock(
        HELP_REPLY,
        "SMS",
        "Answer to HELP",
        "sms",
        "The answer to HELP and INFO. Used only where Twilio does not answer by itself.",
        content_block_defaults.HELP_REPLY,
        ("sender", "contact"),
    ),
    ContentBlock(
        SIGN_IN_NOTICE,
        "SignIn",
        "Sign-in Notice",
        "page",
        "Stands on the sign-in page, for everybody to read. Empty, it does not show.",
        content_block_defaults.SIGN_IN_NOTICE,
    ),
)
BLOCKS: dict[str, ContentBlock] = {block.key: block for block in _ALL_BLOCKS}


def block_title(key: str) -> str:
    """Such as “MyAccount → SMS Opt-in Confirmation Prompt”."""
    return BLOCKS[key].title


def find_wording_issues(key: str, text: str, organisation: str) -> tuple[WordingIssue, ...]:
    """The wording check: what a reviewer would miss in these words. Fields not filled in yet count as filled."""
    block = BLOCKS[key]
    words = _FIELD.sub(lambda found: _sample_value(found.group(1), organisation), text)
    words = _plain(markdown.to_text(words) if block.kind == "page" else words)
    return tuple(_ISSUES[point] for point in block.required_points if not _mentions(point, words, _plain(organisation)))


def _mentions(point: str, words: str, organisation: str) -> bool:
    """A board called “Alerts and Renewals” has not said what its texts are about by giving its name."""
    if point == "sender":
        return organisation.casefold() in words.casefold()
    elsewhere = re.sub(re.escape(organisation), " ", words, flags=re.IGNORECASE) if organisation else words
    return _COMPILED_PATTERNS[point].search(elsewhere) is not None


def _sample_value(field: str, organisation: str) -> str:
    return {"organisation": organisation, "portal_url": "https://portal"}.get(field, "the number")


def _plain(text: str) -> str:
    """As a text has it: its look-alikes are not what is looked for."""
    return sms_segments.normalize_text(text)
