"""The content blocks, and the points a messaging reviewer expects in each (docs/consent-rules.md#wording)."""

import re
from dataclasses import dataclass

from portal.content.rules import content_block_defaults, markdown
from portal.core.translation import N_
from portal.core.translation import gettext as _
from portal.messages.rules import sms_segments

OPT_IN_PROMPT = "opt-in-prompt"
WELCOME_TEXT = "opt-in-text"
INVITATION_TEXT = "invitation"
STOP_HELP_INFO = "stop-help-information"
STOP_REPLY = "stop-answer"
HELP_REPLY = "help-answer"
SIGN_IN_NOTICE = "sign-in-notice"

INVITATION_MOVE_NOTICE = "START ends the texts to another account at this number."
WELCOME_MOVE_NOTICE = "Texts to another account at this number have ended."
"""Appended when texts move from one account on a number to another."""

BLOCK_FIELDS: dict[str, str] = {
    "organisation": N_("Organization"),
    "portal_url": N_("Portal address"),
    "sending_number": N_("Sending number"),
    "phone_number": N_("Recipient’s phone number"),
}
"""The only merge fields that a block may use."""


@dataclass(frozen=True)
class ContentBlock:
    """`kind` is `page` (Markdown) or `sms` (plain text); `required_points` are keys of the wording check."""

    key: str
    group: str
    name: str
    kind: str
    purpose: str
    default: str
    required_points: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """For example “MyAccount → SMS Opt-in Confirmation Prompt”."""
        return _("%(group)s → %(name)s", group=_(self.group), name=_(self.name))

    @property
    def is_sms(self) -> bool:
        """Hidden while texts are switched off."""
        return self.key != SIGN_IN_NOTICE


@dataclass(frozen=True)
class WordingIssue:
    """What is missing and why it matters. Advice only: the block can still be saved."""

    point: str
    message: str
    reason: str


_ISSUES = {
    "sender": WordingIssue(
        N_("who sends"),
        N_("It does not say who is sending."),
        N_("People mistake a text without a name for fraud, and reviewers look for the sender and the program."),
    ),
    "purpose": WordingIssue(
        N_("purpose"),
        N_("It does not say what the texts are about."),
        N_("Twilio rejects an opt-in message that does not state its purpose (30544)."),
    ),
    "frequency": WordingIssue(
        N_("frequency"),
        N_("It does not say how often texts are sent."),
        N_("Twilio rejects an opt-in message without it (30545). “Message frequency varies” is enough."),
    ),
    "rates": WordingIssue(
        N_("data rates may apply"),
        N_("It does not say that message and data rates may apply."),
        N_("Reviewers require this sentence in the message itself, not only in the terms (30569)."),
    ),
    "help": WordingIssue(
        N_("HELP"),
        N_("It does not say how to get help."),
        N_("Twilio rejects an opt-in message without it (30570). “Reply HELP for help” is enough."),
    ),
    "stop": WordingIssue(
        N_("STOP"),
        N_("It does not say how to stop the texts."),
        N_("Consent is valid only if people know how to withdraw it. “Reply STOP to end” is enough."),
    ),
    "start": WordingIssue(
        N_("START"),
        N_("It does not say that replying START gives consent."),
        N_("Texts begin only after the phone replies START, so people must be told to do it."),
    ),
    "contact": WordingIssue(
        N_("contact"),
        N_("It does not say where to get help."),
        N_("The reply to HELP must name the organization and how to reach it: a web address, an email or a number."),
    ),
    "ended": WordingIssue(
        N_("confirmation"),
        N_("It does not say that the texts have ended."),
        N_("The only reply allowed after STOP confirms the opt-out and says nothing else."),
    ),
}

_REPLY_WITH = r"\b(?:reply|text|send)(?:ing)?(?:\s+with)?[\s“\"'‘]+"
_NOT_NONSTOP = r"(?<!\bNON[ \-‐‑–])"
"""“NON-STOP texts” does not explain how to stop them."""
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
_ALL_SIX = ("sender", "purpose", "frequency", "rates", "help", "stop")

_ALL_BLOCKS = (
    ContentBlock(
        OPT_IN_PROMPT,
        N_("MyAccount"),
        N_("SMS Opt-in Confirmation Prompt"),
        "page",
        N_("Shown in the opt-in dialog. It says what people agree to."),
        content_block_defaults.OPT_IN_PROMPT,
        _ALL_SIX,
    ),
    ContentBlock(
        WELCOME_TEXT,
        N_("MyAccount"),
        N_("SMS Opt-in Confirmation Text"),
        "sms",
        N_("The welcome text, sent immediately after START."),
        content_block_defaults.WELCOME_TEXT,
        _ALL_SIX,
    ),
    ContentBlock(
        INVITATION_TEXT,
        N_("MyAccount"),
        N_("SMS Invitation Text"),
        "sms",
        N_("Sent when somebody asks for texts in the portal. It asks them to reply START."),
        content_block_defaults.INVITATION_TEXT,
        (*_ALL_SIX, "start"),
    ),
    ContentBlock(
        STOP_HELP_INFO,
        N_("MyAccount"),
        N_("SMS STOP and HELP Information"),
        "page",
        N_("Shown with a person’s phone numbers: how to stop texts, restart them and get help."),
        content_block_defaults.STOP_HELP_INFO,
        ("start", "rates", "help", "stop"),
    ),
    ContentBlock(
        STOP_REPLY,
        N_("SMS"),
        N_("Reply to STOP"),
        "sms",
        N_("The only text allowed after STOP. Used only if Twilio does not reply itself."),
        content_block_defaults.STOP_REPLY,
        ("sender", "ended"),
    ),
    ContentBlock(
        HELP_REPLY,
        N_("SMS"),
        N_("Reply to HELP"),
        "sms",
        N_("The reply to HELP and INFO. Used only if Twilio does not reply itself."),
        content_block_defaults.HELP_REPLY,
        ("sender", "contact"),
    ),
    ContentBlock(
        SIGN_IN_NOTICE,
        N_("SignIn"),
        N_("Sign-in Notice"),
        "page",
        N_("Shown to everybody on the sign-in page. If it is empty, nothing is shown."),
        content_block_defaults.SIGN_IN_NOTICE,
    ),
)
BLOCKS: dict[str, ContentBlock] = {block.key: block for block in _ALL_BLOCKS}


def find_wording_issues(key: str, text: str, organisation: str) -> tuple[WordingIssue, ...]:
    """The required points that are missing in a text whose fields are filled in."""
    block = BLOCKS[key]
    plain = sms_segments.normalize_text(markdown.to_text(text) if block.kind == "page" else text)
    name = sms_segments.normalize_text(organisation)
    return tuple(_ISSUES[point] for point in block.required_points if not _mentions(point, plain, name))


def _mentions(point: str, text: str, organisation: str) -> bool:
    """The name alone states no purpose, even if the organisation is called “Alerts and Renewals”."""
    if point == "sender":
        return organisation.casefold() in text.casefold()
    without_name = re.sub(re.escape(organisation), " ", text, flags=re.IGNORECASE) if organisation else text
    return re.search(_PATTERNS[point], without_name, re.IGNORECASE) is not None
