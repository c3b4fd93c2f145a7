"""The content blocks, and the points a messaging reviewer expects in each (docs/consent-rules.md#wording)."""

from dataclasses import dataclass, replace

from portal.content.rules import markdown
from portal.content.rules.block_languages import english_blocks, spanish_blocks
from portal.content.rules.markdown_literals import unmark_literals
from portal.content.rules.wording_points import WordingIssue, missing_points
from portal.core.translation import ENGLISH, LANGUAGES, N_
from portal.core.translation import gettext as _

OPT_IN_PROMPT = "opt-in-prompt"
WELCOME_TEXT = "opt-in-text"
INVITATION_TEXT = "invitation"
STOP_HELP_INFO = "stop-help-information"
STOP_REPLY = "stop-answer"
HELP_REPLY = "help-answer"
SIGN_IN_NOTICE = "sign-in-notice"
TERMS, PRIVACY, OPT_IN_PAGE = "sms-terms", "sms-privacy", "sms-opt-in"
PUBLIC_PAGES = (TERMS, PRIVACY, OPT_IN_PAGE)
"""Shown to everybody, signed in or not, and whether texts are on or off."""

BLOCK_FIELDS: dict[str, str] = {
    "organisation": N_("Organization"),
    "portal_url": N_("Portal address"),
    "sending_number": N_("Sending number"),
    "phone_number": N_("Recipient’s phone number"),
    "support_contact": N_("Support contact"),
}
"""The only merge fields that a block may use."""


@dataclass(frozen=True)
class ContentBlock:
    """One wording in one language: the key of an English block is a word, and that of its Spanish one ends in “.es”.

    Whatever refers to a block so names the language as well, such as the ledger of consent. `kind` is `page` (Markdown)
    or `sms` (plain text); `required_points` are keys of the wording check.
    """

    key: str
    group: str
    name: str
    kind: str
    purpose: str
    default: str
    required_points: tuple[str, ...] = ()

    @property
    def base_key(self) -> str:
        """The same for all languages."""
        return self.key.partition(".")[0]

    @property
    def language(self) -> str:
        return self.key.partition(".")[2] or ENGLISH.code

    @property
    def language_name(self) -> str:
        return LANGUAGES[self.language]

    @property
    def localized_name(self) -> str:
        return _(self.name) if self.language == ENGLISH.code else f"{_(self.name)}, {self.language_name}"

    @property
    def title(self) -> str:
        """For example “MyAccount → SMS Opt-in Confirmation Prompt”, and “…, Español”."""
        return _("%(group)s → %(name)s", group=_(self.group), name=self.localized_name)

    @property
    def is_sms(self) -> bool:
        """Hidden while texts are switched off."""
        return self.base_key != SIGN_IN_NOTICE


_ALL_SIX = ("sender", "purpose", "frequency", "rates", "help", "stop")

_ENGLISH_BLOCKS = (
    ContentBlock(
        OPT_IN_PROMPT,
        N_("MyAccount"),
        N_("SMS Opt-in Confirmation Prompt"),
        "page",
        N_("Shown in the opt-in dialog. It says what people agree to."),
        english_blocks.OPT_IN_PROMPT,
        _ALL_SIX,
    ),
    ContentBlock(
        WELCOME_TEXT,
        N_("MyAccount"),
        N_("SMS Opt-in Confirmation Text"),
        "sms",
        N_("The welcome text, sent immediately after START."),
        english_blocks.WELCOME_TEXT,
        _ALL_SIX,
    ),
    ContentBlock(
        INVITATION_TEXT,
        N_("MyAccount"),
        N_("SMS Invitation Text"),
        "sms",
        N_("Sent when somebody asks for texts in the portal. It asks them to reply START."),
        english_blocks.INVITATION_TEXT,
        (*_ALL_SIX, "start"),
    ),
    ContentBlock(
        STOP_HELP_INFO,
        N_("MyAccount"),
        N_("SMS STOP and HELP Information"),
        "page",
        N_("Shown with a person’s phone numbers: how to stop texts, restart them and get help."),
        english_blocks.STOP_HELP_INFO,
        ("start", "rates", "help", "stop"),
    ),
    ContentBlock(
        STOP_REPLY,
        N_("SMS"),
        N_("Reply to STOP"),
        "sms",
        N_("The only text allowed after STOP. Used only if Twilio does not reply itself."),
        english_blocks.STOP_REPLY,
        ("sender", "ended"),
    ),
    ContentBlock(
        HELP_REPLY,
        N_("SMS"),
        N_("Reply to HELP"),
        "sms",
        N_("The reply to HELP and INFO. Used only if Twilio does not reply itself."),
        english_blocks.HELP_REPLY,
        ("sender", "contact"),
    ),
    ContentBlock(
        SIGN_IN_NOTICE,
        N_("SignIn"),
        N_("Sign-in Notice"),
        "page",
        N_("Shown to everybody on the sign-in page. If it is empty, nothing is shown."),
        english_blocks.SIGN_IN_NOTICE,
    ),
    ContentBlock(
        TERMS,
        N_("Public pages"),
        N_("SMS Terms"),
        "page",
        N_("The public page /sms/terms. Carriers read it before they let a number send."),
        english_blocks.PUBLIC_TERMS,
        (
            *("sender", "channel", "program", "content", "start", "frequency", "rates", "stop", "bold_stop"),
            *("help", "bold_help", "support", "complaint", "carriers", "privacy_link"),
        ),
    ),
    ContentBlock(
        PRIVACY,
        N_("Public pages"),
        N_("SMS Privacy Policy"),
        "page",
        N_("The public page /sms/privacy. Carriers read it before they let a number send."),
        english_blocks.PUBLIC_PRIVACY,
        (
            *("sender", "channel", "collected", "no_sharing", "consent_not_shared", "stop", "bold_stop"),
            *("support", "complaint", "terms_link"),
        ),
    ),
    ContentBlock(
        OPT_IN_PAGE,
        N_("Public pages"),
        N_("SMS Opt-in Page"),
        "page",
        N_("The public page /sms/opt-in, above the form with which people ask for texts."),
        english_blocks.PUBLIC_OPT_IN,
        (
            *("sender", "channel", "content", "start", "frequency", "rates", "stop", "bold_stop", "help", "bold_help"),
            *("optional", "terms_link", "privacy_link"),
        ),
    ),
)
_TRANSLATED_DEFAULTS = {
    "es": {
        OPT_IN_PROMPT: spanish_blocks.OPT_IN_PROMPT,
        WELCOME_TEXT: spanish_blocks.WELCOME_TEXT,
        INVITATION_TEXT: spanish_blocks.INVITATION_TEXT,
        STOP_HELP_INFO: spanish_blocks.STOP_HELP_INFO,
        STOP_REPLY: spanish_blocks.STOP_REPLY,
        HELP_REPLY: spanish_blocks.HELP_REPLY,
        SIGN_IN_NOTICE: spanish_blocks.SIGN_IN_NOTICE,
        TERMS: spanish_blocks.PUBLIC_TERMS,
        PRIVACY: spanish_blocks.PUBLIC_PRIVACY,
        OPT_IN_PAGE: spanish_blocks.PUBLIC_OPT_IN,
    }
}
_TRANSLATED_BLOCKS = (
    replace(block, key=f"{block.key}.{language}", default=defaults[block.key])
    for language, defaults in _TRANSLATED_DEFAULTS.items()
    for block in _ENGLISH_BLOCKS
)
BLOCKS: dict[str, ContentBlock] = {block.key: block for block in (*_ENGLISH_BLOCKS, *_TRANSLATED_BLOCKS)}
MOVE_NOTICES = {
    INVITATION_TEXT: {"en": english_blocks.INVITATION_MOVE_NOTICE, "es": spanish_blocks.INVITATION_MOVE_NOTICE},
    WELCOME_TEXT: {"en": english_blocks.WELCOME_MOVE_NOTICE, "es": spanish_blocks.WELCOME_MOVE_NOTICE},
}
"""Appended when texts move from one account on a number to another."""
UNKNOWN_VALUES = {"en": english_blocks.UNKNOWN_VALUES, "es": spanish_blocks.UNKNOWN_VALUES}


def localizations(key: str) -> list[ContentBlock]:
    """The block in every language, English first."""
    base_key = BLOCKS[key].base_key
    return [block for block in BLOCKS.values() if block.base_key == base_key]


def localized_block(key: str, language: str) -> ContentBlock:
    """The block in the language, or in English if it has none there."""
    return next((block for block in localizations(key) if block.language == language), BLOCKS[BLOCKS[key].base_key])


def find_wording_issues(key: str, text: str, organisation: str) -> tuple[WordingIssue, ...]:
    """The required points that are missing in a text whose fields are filled in."""
    block = BLOCKS[key]
    plain = markdown.to_text(text) if block.kind == "page" else text
    return missing_points(block.required_points, plain, unmark_literals(text), organisation, block.language)
