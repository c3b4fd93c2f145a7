"""SMTP rejections by enhanced status code (RFC 3463): a sentence and what to do.

The first digit only says whether the rejection is temporary (4) or permanent (5), so the table has subject and detail.
An unknown code falls back to its subject; a server without enhanced codes has the plain reply code (RFC 5321 4.2.3).
Many servers say more in the reply text than in the code, so the text is matched as well.
"""

import re
from dataclasses import dataclass

from portal.core.translation import N_
from portal.core.translation import gettext as _

_ENHANCED = re.compile(r"\s*([245]\.\d{1,3}\.\d{1,3})\b")


@dataclass(frozen=True)
class SmtpStatus:
    """`is_sender_fault`: the rejection concerns the portal or its mail server, not this recipient."""

    code: str
    sentence: str
    remedy: str
    is_sender_fault: bool = False


_ASK = N_("Ask the person for another address, and correct it on the account.")
_LATER = N_("Ask the person to make room, then send it again; or use another address.")
_SHORTER = N_("Shorten the template, then send it again.")
_OURS = N_("Have the mail server’s administrator look at it, then send it again.")
_REPUTATION = N_("Have the sending domain’s SPF, DKIM and DMARC checked, then send it again.")

_DESCRIPTIONS: dict[str, tuple[str, str, bool]] = {
    "1.0": (N_("Something is wrong with the address."), _ASK, False),
    "1.1": (N_("There is no such mailbox."), _ASK, False),
    "1.2": (N_("There is no such mail domain."), _ASK, False),
    "1.3": (N_("The address is malformed."), _ASK, False),
    "1.6": (N_("The mailbox has moved, and its new address is unknown."), _ASK, False),
    "1.7": (N_("The mail server does not accept the sender’s address."), N_("Correct PORTAL_MAIL_FROM."), True),
    "1.8": (N_("The mail server does not know the sender’s domain."), N_("Correct PORTAL_MAIL_FROM."), True),
    "1.10": (N_("The domain does not accept email."), _ASK, False),
    "2.0": (N_("The mailbox does not accept email at the moment."), _ASK, False),
    "2.1": (N_("The mailbox is closed."), _ASK, False),
    "2.2": (N_("The mailbox is full."), _LATER, False),
    "2.3": (N_("The email is too big for this mailbox."), _SHORTER, False),
    "3.0": (N_("The mail server has an internal error."), _OURS, True),
    "3.1": (N_("The mail server’s disk is full."), _OURS, True),
    "3.2": (N_("The mail server does not accept email at the moment."), _OURS, True),
    "3.4": (N_("The email is too big for the mail server."), _SHORTER, False),
    "4.0": (N_("The recipient’s mail server could not be reached."),
            N_("Send it again later, or use another address."), False),
    "4.1": (N_("The recipient’s mail server did not answer."),
            N_("Send it again later, or use another address."), False),
    "4.4": (N_("No mail server could be found for this address."), _ASK, False),
    "4.7": (N_("The email could not be delivered in time."), N_("Send it again later, or use another address."), False),
    "5.0": (N_("The mail server did not understand the portal."), _OURS, True),
    "6.0": (N_("The mail server could not process the format of the email."), _OURS, False),
    "6.7": (N_("The mail server does not support an address with such characters."), _ASK, False),
    "7.0": (N_("The mail server rejected it by its own policy."), _REPUTATION, True),
    "7.1": (N_("The mail server rejected it by its own policy."), _REPUTATION, True),
    "7.8": (N_("The mail server does not accept our sign-in."),
            N_("Correct the user and password in PORTAL_SMTP_URL."), True),
    "7.9": (N_("The mail server requires another sign-in method."),
            N_("Have the mail server’s administrator allow it."), True),
    **dict.fromkeys(
        ("7.124", "7.129", "7.133", "7.134"), (N_("The mailbox accepts email only from certain senders."), _ASK, False)
    ),
    "7.26": (N_("The recipient’s server could not verify that the email is ours."), _REPUTATION, True),
    "421": (N_("The mail server does not accept email at the moment."), _OURS, True),
    "450": (N_("The mailbox does not accept email at the moment."), _ASK, False),
    "451": (N_("The mail server has an internal error."), _OURS, True),
    "452": (N_("The mail server’s disk is full."), _OURS, True),
    "550": (N_("The mailbox does not exist, or does not accept our email."), _ASK, False),
    "551": (N_("The mailbox has moved, and its new address is unknown."), _ASK, False),
    "552": (N_("The mailbox is full, or the email is too big for it."), _LATER, False),
    "553": (N_("The mail server does not accept this address."), _ASK, False),
    "554": (N_("The mail server rejected it by its own policy."), _REPUTATION, True),
}  # fmt: skip
_RECIPIENT_NOUN = (
    r"\b(user|mailbox|recipient|address|alias|inbox|customer|this account|e?-?mail account|user account)s?\b"
)
_TEXT_PATTERNS: tuple[tuple[str, str], ...] = (
    (r"authrequired|authenticatedforgroup|restrictedto|for the group", "7.133"),
    (r"send(ing)? to (this|the) (group|list|recipient|mailbox)", "7.133"),
    # sender faults: the address, the connection, the reputation, the volume
    (r"\brelay(?! recipient)|rcpthosts", "7.1"),
    (r"\bsender\b|\bmail from\b|\bfrom (address|domain|header)|return.path|email address is not verified", "1.7"),
    (r"\bspf\b|\bdkim\b|\bdmarc\b|unauthenticated|required authentication level", "7.26"),
    (r"authenticat|authori[sz]|credentials|starttls|encrypt|\bhelo\b|\behlo\b", "7.1"),
    (r"\bips?\b|client host|\bptr\b|reverse dns", "7.1"),
    (r"spamhaus|spamcop|barracudacentral|dnsbl|\brbl\b|black.?list|block.?list|blocked (using|by|for)|banned", "7.1"),
    (r"reputation|unsolicited|\bspam\b|complaints|unexpected volume|rate.?limit|sending (paused|quota|limit)", "7.1"),
    (r"\b(your|sending) (server|host|domain|account|network)|too many (connect|messages|mails|err)", "7.1"),
    (r"(daily|hourly|message|recipient) (\w+ )?(limit|rate|quota)", "7.1"),
    # recipient faults
    (r"(over|exceed\w*|out of|reached|above)( \w+){0,4} (quota|storage|space)", "2.2"),
    (r"over.?quota|quota (is )?(exceed|full)", "2.2"),
    (r"(mailbox|inbox|storage)( \S+){0,3} full\b|insufficient (mailbox|storage|disk)|storage (limit|quota)", "2.2"),
    (r"(message|mail|size)( \w+){0,3} (too (big|large)|exceeds( \w+){0,5} size)", "3.4"),
    (rf"{_RECIPIENT_NOUN}[^.;]{{0,60}}\b(disabled|inactive|suspended|deactivated|closed|locked|expired|discontinued)",
     "2.1"),
    (r"\b(disabled|inactive|suspended|deactivated|locked|expired)( \w+)? (user|mailbox|recipient|inbox)", "2.1"),
    (r"(no such|unknown|invalid) domain|domain (not found|(does not|doesn't) exist)|\bnxdomain\b", "1.2"),
    (r"no longer (\w+ )?(at|with|works?|in use|valid|available|active|on)\b", "1.6"),
    (rf"(no such|unknown|invalid|unrouteable|undeliverable|illegal|bad|wrong)( \w+){{0,3}} {_RECIPIENT_NOUN}", "1.1"),
    (rf"{_RECIPIENT_NOUN}[^.;]{{0,60}}\b(unknown|invalid|unavailable|undeliverable|non-?existent)", "1.1"),
    (rf"{_RECIPIENT_NOUN}[^.;]{{0,60}}\b(not (be )?(found|exist|known|valid|local|listed|present)|does ?n.t|do ?n.t)\b",
     "1.1"),
    (rf"{_RECIPIENT_NOUN}[^.;]{{0,60}}\b(does not|do not|did not|has no|rejected|refused)\b|recipnotfound", "1.1"),
    (rf"no {_RECIPIENT_NOUN} (here|by|with|found)|not our customer|(not|n't) have an?( \S+)? account", "1.1"),
    # sender faults, if nothing above matches
    (r"\bpolic(y|ies)\b|content (rejected|not allowed|blocked)|virus", "7.1"),
)  # fmt: skip
"""Patterns of reply texts and their codes; the first match counts. Many vendors' codes are too vague."""
_COMPILED_TEXT_PATTERNS = tuple((re.compile(pattern, re.IGNORECASE), code) for pattern, code in _TEXT_PATTERNS)
_GREYLISTED = re.compile(r"gr[ea]y.?list", re.IGNORECASE)

_PRECISE, _ROUTING = ("1", "2"), "4"
"""Subjects that are precise without the text (addresses and mailboxes), and one that servers use for anything."""

_REPORT = N_("Report this to whoever runs the portal: its log has the details.")
PORTAL_ERROR_CODES: dict[str, tuple[str, str, bool]] = {
    "address": (N_("This is not a valid email address."), _ASK, False),
    "compose": (N_("The email could not be composed."), _REPORT, True),
    "portal": (N_("The portal could not send the email."), _REPORT, True),
}
"""Errors in the portal itself."""


def smtp_status_code(reply_code: int, reply_text: str) -> str:
    """The enhanced status code at the start of the reply text, else the plain reply code.

    If that code is vague, or blames the other side than the text does, the code that the text means.
    """
    match = _ENHANCED.match(reply_text)
    code = match.group(1) if match and match.group(1)[0] == str(reply_code)[0] else str(reply_code)
    text_code = code_from_reply_text(reply_text)
    if text_code is None or _GREYLISTED.search(reply_text) or _is_specific(code, f"5.{text_code}"):
        return code
    return f"{str(reply_code)[0]}.{text_code}"


def code_from_reply_text(reply_text: str) -> str | None:
    """Subject and detail (RFC 3463) that the text means; None if no pattern matches."""
    return next((code for pattern, code in _COMPILED_TEXT_PATTERNS if pattern.search(reply_text)), None)


def _is_specific(code: str, text_code: str) -> bool:
    subject, _dot, detail = code.partition(".")[2].partition(".")
    if subject in _PRECISE and detail != "0":
        return True
    is_vague = detail == "0" or subject == _ROUTING or (not subject and code not in _DESCRIPTIONS)
    agree = describe_smtp_status(code).is_sender_fault == describe_smtp_status(text_code).is_sender_fault
    return agree and not is_vague


def describe_smtp_status(code: str) -> SmtpStatus:
    """In the language of the reader."""
    sentence, remedy, is_ours = _find_description(code)
    return SmtpStatus(code, _(sentence), _(remedy), is_ours)


def _find_description(code: str) -> tuple[str, str, bool]:
    if code in PORTAL_ERROR_CODES:
        return PORTAL_ERROR_CODES[code]
    detail = code.partition(".")[2] or code
    subject = detail.partition(".")[0]
    for key in (detail, f"{subject}.0"):
        if key in _DESCRIPTIONS:
            return _DESCRIPTIONS[key]
    return N_("The mail server rejected it."), N_("See the server’s reply on the communication’s page."), False


def is_ambiguous_rejection(code: str, reply_text: str) -> bool:
    """Whether only the code, and not the text, makes the rejection a sender fault."""
    return is_sender_fault(code, reply_text) and code_from_reply_text(reply_text) is None


def is_sender_fault(code: str, reply_text: str) -> bool:
    """Whether other emails would probably fail too. Greylisting delays each email, so it does not count."""
    return describe_smtp_status(code).is_sender_fault and not _GREYLISTED.search(reply_text)
