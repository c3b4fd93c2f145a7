"""The points that a messaging reviewer expects in a wording, and how each is found (docs/consent-rules.md#wording)."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from portal.core.translation import N_
from portal.messages.rules import sms_segments


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
    "program": WordingIssue(
        N_("program"),
        N_("It does not name the program."),
        N_("Reviewers compare its name with the registration. “Program: account notices” is enough."),
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
        N_("Carriers require the sentence “Carriers are not liable for delayed or undelivered messages.”"),
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


def missing_points(points: Iterable[str], text: str, marked: str, organisation: str) -> tuple[WordingIssue, ...]:
    """The points that are not in `text` or, for bold print, not in `marked`: the same text with **bold** marks."""
    plain, name = sms_segments.normalize_text(text), sms_segments.normalize_text(organisation)
    sources = {True: marked, False: plain}
    return tuple(_ISSUES[point] for point in points if not _mentions(point, sources[point.startswith("bold_")], name))


def _mentions(point: str, text: str, organisation: str) -> bool:
    """The name alone states no purpose, even if the organisation is called “Alerts and Renewals”."""
    if point == "sender":
        return organisation.casefold() in text.casefold()
    without_name = re.sub(re.escape(organisation), " ", text, flags=re.IGNORECASE) if organisation else text
    return re.search(_PATTERNS[point], without_name, re.IGNORECASE) is not None
