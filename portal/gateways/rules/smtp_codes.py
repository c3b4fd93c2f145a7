"""The one table of mail servers' refusals, by enhanced status code (RFC 3463): a plain sentence and what to do.

Many servers say in words alone what they mean, or more than their number does: these are read beside it.
The first digit says only whether the server wants to be asked again (4) or not (5); subject and detail say why, so the
table has those alone. A code it does not know falls back to its subject; of a server without such codes there is the
plain reply code (RFC 5321 4.2.3).
"""

import re
from dataclasses import dataclass

_ENHANCED = re.compile(r"\s*([245]\.\d{1,3}\.\d{1,3})\b")


@dataclass(frozen=True)
class SmtpStatus:
    """`is_about_us`: the refusal meant the portal or the mail server rather than this one recipient."""

    code: str
    sentence: str
    remedy: str
    is_sender_fault: bool = False


_ASK = "Ask the person for another address, and correct it on the account."
_LATER = "Ask the person to make room, then send it again; or use another address."
_SHORTER = "Shorten the template, then send it again."
_OURS = "Have the mail server's administrator look at it, then send it again."
_REPUTATION = "Have the sending domain's SPF, DKIM and DMARC checked, then send it again."

_DESCRIPTIONS: dict[str, tuple[str, str, bool]] = {
    "1.0": ("Something is wrong with the address.", _ASK, False),
    "1.1": ("There is no such mailbox.", _ASK, False),
    "1.2": ("There is no such mail domain.", _ASK, False),
    "1.3": ("The address is not written as an address can be.", _ASK, False),
    "1.6": ("The mailbox has moved, and its new address is not known.", _ASK, False),
    "1.7": ("The mail server does not accept the sender's address.", "Correct PORTAL_MAIL_FROM.", True),
    "1.8": ("The mail server does not know the sender's domain.", "Correct PORTAL_MAIL_FROM.", True),
    "1.10": ("The domain does not take mail.", _ASK, False),
    "2.0": ("The mailbox does not take mail now.", _ASK, False),
    "2.1": ("The mailbox is closed.", _ASK, False),
    "2.2": ("The mailbox is full.", _LATER, False),
    "2.3": ("The mail is too big for this mailbox.", _SHORTER, False),
    "3.0": ("The mail server has a fault of its own.", _OURS, True),
    "3.1": ("The mail server's disk is full.", _OURS, True),
    "3.2": ("The mail server takes no mail at the moment.", _OURS, True),
    "3.4": ("The mail is too big for the mail server.", _SHORTER, False),
    "4.0": ("The recipient's mail server could not be reached.", "Send it again later, or use another address.", False),
    "4.1": ("The recipient's mail server did not answer.", "Send it again later, or use another address.", False),
    "4.4": ("No mail server could be found for this address.", _ASK, False),
    "4.7": ("The mail could not be delivered in time.", "Send it again later, or use another address.", False),
    "5.0": ("The mail server did not understand the portal.", _OURS, True),
    "6.0": ("The mail server could not take the mail as it was written.", _OURS, False),
    "6.7": ("The mail server cannot take an address with such letters.", _ASK, False),
    "7.0": ("The mail server refused it by its own rules.", _REPUTATION, True),
    "7.1": ("The mail server refused it by its own rules.", _REPUTATION, True),
    "7.8": ("The mail server does not accept our sign-in.", "Correct user and password in PORTAL_SMTP_URL.", True),
    "7.9": ("The mail server wants another way of signing in.", "Have the mail server's administrator allow it.", True),
    **dict.fromkeys(
        ("7.124", "7.129", "7.133", "7.134"), ("The mailbox takes mail from certain senders only.", _ASK, False)
    ),
    "7.26": ("The recipient's server could not verify that the mail is ours.", _REPUTATION, True),
    "421": ("The mail server takes no mail at the moment.", _OURS, True),
    "450": ("The mailbox does not take mail now.", _ASK, False),
    "451": ("The mail server has a fault of its own.", _OURS, True),
    "452": ("The mail server's disk is full.", _OURS, True),
    "550": ("The mailbox does not exist, or takes no mail from us.", _ASK, False),
    "551": ("The mailbox has moved, and its new address is not known.", _ASK, False),
    "552": ("The mailbox is full, or the mail is too big for it.", _LATER, False),
    "553": ("The mail server does not take this address.", _ASK, False),
    "554": ("The mail server refused it by its own rules.", _REPUTATION, True),
}  # fmt: skip
_RECIPIENT_NOUN = (
    r"\b(user|mailbox|recipient|address|alias|inbox|customer|this account|e?-?mail account|user account)s?\b"
)
_TEXT_PATTERNS: tuple[tuple[str, str], ...] = (
    (r"authrequired|authenticatedforgroup|restrictedto|for the group", "7.133"),
    (r"send(ing)? to (this|the) (group|list|recipient|mailbox)", "7.133"),
    # Ours: the sender, the way we come, what we are known for, how much we send.
    (r"\brelay(?! recipient)|rcpthosts", "7.1"),
    (r"\bsender\b|\bmail from\b|\bfrom (address|domain|header)|return.path|email address is not verified", "1.7"),
    (r"\bspf\b|\bdkim\b|\bdmarc\b|unauthenticated|required authentication level", "7.26"),
    (r"authenticat|authori[sz]|credentials|starttls|encrypt|\bhelo\b|\behlo\b", "7.1"),
    (r"\bips?\b|client host|\bptr\b|reverse dns", "7.1"),
    (r"spamhaus|spamcop|barracudacentral|dnsbl|\brbl\b|black.?list|block.?list|blocked (using|by|for)|banned", "7.1"),
    (r"reputation|unsolicited|\bspam\b|complaints|unexpected volume|rate.?limit|sending (paused|quota|limit)", "7.1"),
    (r"\b(your|sending) (server|host|domain|account|network)|too many (connect|messages|mails|err)", "7.1"),
    (r"(daily|hourly|message|recipient) (\w+ )?(limit|rate|quota)", "7.1"),
    # The recipient's.
    (r"(over|exceed\w*|out of|reached|above)( \w+){0,4} (quota|storage|space)", "2.2"),
    (r"over.?quota|quota (is )?(exceed|full)", "2.2"),
    (r"(mailbox|inbox|storage)( \S+){0,3} full\b|insufficient (mailbox|storage|disk)|storage (limit|quota)", "2.2"),
    (r"(message|mail|size)( \w+){0,3} (too (big|large)|exceeds( \w+){0,5} size)", "3.4"),
    (rf"{_RECIPIENT_NOUN}[^.;]{{0,60}}\b(disabled|inactive|suspended|deactivated|closed|locked|expired|discontinued)", "2.1"),
    (r"\b(disabled|inactive|suspended|deactivated|locked|expired)( \w+)? (user|mailbox|recipient|inbox)", "2.1"),
    (r"(no such|unknown|invalid) domain|domain (not found|(does not|doesn't) exist)|\bnxdomain\b", "1.2"),
    (r"no longer (\w+ )?(at|with|works?|in use|valid|available|active|on)\b", "1.6"),
    (rf"(no such|unknown|invalid|unrouteable|undeliverable|illegal|bad|wrong)( \w+){{0,3}} {_RECIPIENT_NOUN}", "1.1"),
    (rf"{_RECIPIENT_NOUN}[^.;]{{0,60}}\b(unknown|invalid|unavailable|undeliverable|non-?existent)", "1.1"),
    (rf"{_RECIPIENT_NOUN}[^.;]{{0,60}}\b(not (be )?(found|exist|known|valid|local|listed|present)|does ?n.t|do ?n.t)\b", "1.1"),
    (rf"{_RECIPIENT_NOUN}[^.;]{{0,60}}\b(does not|do not|did not|has no|rejected|refused)\b|recipnotfound", "1.1"),
    (rf"no {_RECIPIENT_NOUN} (here|by|with|found)|not our customer|(not|n't) have an?( \S+)? account", "1.1"),
    # Ours again, where nothing else was said.
    (r"\bpolic(y|ies)\b|content (rejected|not allowed|blocked)|virus", "7.1"),
)  # fmt: skip
"""What servers write beside the number, first match first, and what it means: many vendors' numbers say too little."""
_COMPILED_TEXT_PATTERNS = tuple((re.compile(pattern, re.IGNORECASE), meant) for pattern, meant in _TEXT_PATTERNS)
_GREYLISTED = re.compile(r"gr[ea]y.?list", re.IGNORECASE)

_PRECISE, _ROUTING = ("1", "2"), "4"
"""Subjects of codes that need no words beside them: addresses and mailboxes; and of one that many use for anything."""

_REPORT = "Report this: the portal's log says why."
PORTAL_ERROR_CODES: dict[str, tuple[str, str, bool]] = {
    "address": ("This is not an address that mail can be sent to.", _ASK, False),
    "compose": ("The mail could not be written.", _REPORT, True),
    "portal": ("The portal could not send the mail.", _REPORT, True),
}
"""What the portal itself finds before a server is asked, or breaks at."""


def smtp_status_code(reply_code: int, words: str) -> str:
    """The enhanced status code with which the server's words begin, else its plain reply code.

    Where the number is vague, or lays on us what the words lay on the recipient (or the other way round), the words'.
    """
    found = _ENHANCED.match(words)
    number = found.group(1) if found and found.group(1)[0] == str(reply_code)[0] else str(reply_code)
    meant = code_from_reply_text(words)
    if meant is None or _GREYLISTED.search(words) or _is_specific(number, f"5.{meant}"):
        return number
    return f"{str(reply_code)[0]}.{meant}"


def code_from_reply_text(words: str) -> str | None:
    """Subject and detail (RFC 3463) of what a server says in words; None when it says nothing that is known."""
    return next((meant for pattern, meant in _COMPILED_TEXT_PATTERNS if pattern.search(words)), None)


def _is_specific(number: str, meant: str) -> bool:
    subject, _, detail = number.partition(".")[2].partition(".")
    if subject in _PRECISE and detail != "0":
        return True
    vague = detail == "0" or subject == _ROUTING or (not subject and number not in _DESCRIPTIONS)
    return not vague and describe_smtp_status(number).is_sender_fault == describe_smtp_status(meant).is_sender_fault


def describe_smtp_status(code: str) -> SmtpStatus:
    """In plain words; a code that nobody has described says so."""
    if code in PORTAL_ERROR_CODES:
        return SmtpStatus(code, *PORTAL_ERROR_CODES[code])
    detail = code.partition(".")[2] or code
    subject = detail.partition(".")[0]
    for known in (detail, f"{subject}.0"):
        if known in _DESCRIPTIONS:
            return SmtpStatus(code, *_DESCRIPTIONS[known])
    return SmtpStatus(code, "The mail server refused it.", "Its own words, on the communication's page, say why.")


def is_ambiguous_rejection(code: str, words: str) -> bool:
    """Whether a refusal counts as ours by a number alone that servers use for anything."""
    return is_sender_fault(code, words) and code_from_reply_text(words) is None


def is_sender_fault(code: str, words: str) -> bool:
    """Whether another mail is likely to fare no better. A greylisting server asks each mail to come again."""
    return describe_smtp_status(code).is_sender_fault and not _GREYLISTED.search(words)
