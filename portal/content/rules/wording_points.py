"""The points that a messaging reviewer expects in a wording, and how each is found (docs/consent-rules.md#wording)."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from portal.content.rules.block_languages import english_patterns, spanish_patterns
from portal.core.translation import N_
from portal.core.translation import gettext as _
from portal.messages.rules import sms_segments
from portal.messages.rules.named_texts import says_organisation
from portal.messages.rules.sms_lookalikes import without_accents


@dataclass(frozen=True)
class WordingIssue:
    """What is missing and why it matters. Advice only: the block can still be saved.

    `example` is what would be enough, in the language of the wording, which need not be the reader's.
    """

    point: str
    message: str
    reason: str
    example: str = ""

    @property
    def explanation(self) -> str:
        return _(self.reason, example=self.example) if self.example else _(self.reason)


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
        N_("Twilio rejects an opt-in message without it (30545). “%(example)s” is enough."),
    ),
    "rates": WordingIssue(
        N_("data rates may apply"),
        N_("It does not say that message and data rates may apply."),
        N_("Reviewers require this sentence in the message itself, not only in the terms (30569)."),
    ),
    "help": WordingIssue(
        N_("HELP"),
        N_("It does not say how to get help."),
        N_("Twilio rejects an opt-in message without it (30570). “%(example)s” is enough."),
    ),
    "stop": WordingIssue(
        N_("STOP"),
        N_("It does not say how to stop the texts."),
        N_("Consent is valid only if people know how to withdraw it. “%(example)s” is enough."),
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
    "program": WordingIssue(
        N_("program"),
        N_("It does not name the program."),
        N_("Reviewers compare its name with the registration. “%(example)s” is enough."),
    ),
    "content": WordingIssue(
        N_("what is sent"),
        N_("It does not say what we send."),
        N_("Reviewers compare it with the samples of the registration (30544)."),
    ),
    "channel": WordingIssue(
        N_("text messages"),
        N_("It does not say that the messages are text messages or SMS."),
        N_("Consent to “communications” does not count as consent to texts (30551)."),
    ),
    "bold_stop": WordingIssue(
        N_("STOP in bold"),
        N_("The word STOP is not in bold."),
        N_("Reviewers want the instructions to stand out. Write it as **STOP**."),
    ),
    "bold_help": WordingIssue(
        N_("HELP in bold"),
        N_("The word HELP is not in bold."),
        N_("Reviewers want the instructions to stand out. Write it as **HELP**."),
    ),
    "support": WordingIssue(
        N_("support contact"),
        N_("It gives no email address or phone number for support."),
        N_("Terms without a support contact are rejected (30560). Set it under Settings, Business."),
    ),
    "complaint": WordingIssue(
        N_("complaints"),
        N_("It does not say where to complain."),
        N_("Several countries require a way to complain about messages, such as an email address."),
    ),
    "carriers": WordingIssue(
        N_("carriers"),
        N_("It does not say that carriers are not liable."),
        N_("Carriers require the sentence “%(example)s”"),
    ),
    "collected": WordingIssue(
        N_("what is collected"),
        N_("It does not say which information is collected."),
        N_("A privacy policy without it is rejected."),
    ),
    "no_sharing": WordingIssue(
        N_("no sharing for marketing"),
        N_("It does not say that no mobile information is shared with third parties for marketing."),
        N_("This is the most common reason why a privacy policy is rejected (30882)."),
    ),
    "consent_not_shared": WordingIssue(
        N_("consent is not shared"),
        N_("It does not say that opt-in data and consent are not shared."),
        N_("Consent is given to one organization only, and reviewers look for this sentence."),
    ),
    "optional": WordingIssue(
        N_("consent is optional"),
        N_("It does not say that consent is not a condition of a service or purchase."),
        N_("Consent that people cannot refuse is not valid (47 CFR 64.1200(f)(9))."),
    ),
    "terms_link": WordingIssue(
        N_("link to the terms"),
        N_("It has no link to the terms."),
        N_("Reviewers follow it. Link to {{ portal_url }}/sms/terms."),
    ),
    "privacy_link": WordingIssue(
        N_("link to the privacy policy"),
        N_("It has no link to the privacy policy."),
        N_("Reviewers follow it. Link to {{ portal_url }}/sms/privacy."),
    ),
}

PATTERNS = {"en": english_patterns.PATTERNS, "es": spanish_patterns.PATTERNS}
EXAMPLES = {"en": english_patterns.EXAMPLES, "es": spanish_patterns.EXAMPLES}


def missing_points(
    points: Iterable[str], text: str, marked: str, organisation: str, language: str = "en"
) -> tuple[WordingIssue, ...]:
    """The points that are not in `text` or, for bold print, not in `marked`: the same text with **bold** marks.

    `language` is that of the wording: a text in another one lacks most points.
    """
    plain, name = sms_segments.normalize_text(text), sms_segments.normalize_text(organisation)
    sources, examples = {True: marked, False: plain}, EXAMPLES[language]
    return tuple(
        replace(_ISSUES[point], example=examples.get(point, ""))
        for point in points
        if not _mentions(point, sources[point.startswith("bold_")], name, language)
    )


def _mentions(point: str, text: str, organisation: str, language: str) -> bool:
    """The name alone states no purpose, even if the organisation is called “Alerts and Renewals”."""
    if point == "sender":
        return says_organisation(text, (organisation,))
    without_name = re.sub(re.escape(organisation), " ", text, flags=re.IGNORECASE) if organisation else text
    return re.search(PATTERNS[language][point], without_accents(without_name), re.IGNORECASE) is not None
