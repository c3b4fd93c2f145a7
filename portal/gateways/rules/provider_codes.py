"""Twilio's error codes: meaning, remedy and whether to retry (docs/twilio.md#error-codes).

The table has the codes for messages, accounts and senders in Twilio's own list. Twilio adds and splits codes at any
time, so ranges cover new ones. A code in neither does not say whose fault it is: it is shown with Twilio's message, and
several of them in a row for different recipients pause the sender (`delivery.rules.unexplained_rejections`).
"""

from dataclasses import dataclass, replace
from enum import Enum


class RetryPolicy(Enum):
    """What the portal does automatically."""

    NEVER = "never"
    LATER = "later"
    PAUSE = "pause"
    """The fault is in the account or the sending number: pause the lane and do not count the attempt."""


class ResendAdvice(Enum):
    """Whether resending the text helps, as advice to the sender (docs/adr/0017)."""

    NO = "Sending it again does not help."
    ONCE = "If it is important, send it again once after some hours."
    LATER = "Send it again later if it is still relevant."
    AFTER_FIX = "Then send it again if it is still relevant."
    AUTOMATIC = "It is retried automatically."
    ON_RESUME = "Waiting texts are sent then."
    UNKNOWN = ""


class Cooldown(Enum):
    """How long a sending number pauses after it reaches a limit (`delivery.rules.provider_quotas`)."""

    MINUTE = "minute"
    FEW_MINUTES = "few minutes"
    HALF_HOUR = "half an hour"
    PACIFIC_MIDNIGHT = "midnight, Pacific time"
    NEXT_DAY = "next day"


@dataclass(frozen=True)
class ProviderCode:
    """`fix` is what to do, or "" if there is nothing to do."""

    code: str
    sentence: str
    fix: str
    resend_advice: ResendAdvice
    retry_policy: RetryPolicy = RetryPolicy.NEVER
    is_phone_invalid: bool = False
    """The phone number itself is invalid: it gets no more texts until its owner has checked it."""
    is_account_fault: bool = False
    """The fault is in the account and concerns all its sending numbers."""
    cooldown: Cooldown | None = None
    """A limit is reached: the sending number pauses, and texts that were not accepted wait."""
    is_documented: bool = True
    """If False, the fault may be the recipient's, the text's or ours."""

    @property
    def docs_url(self) -> str:
        return f"https://www.twilio.com/docs/api/errors/{self.code}"

    @property
    def remedy(self) -> str:
        return f"{self.fix} {self.resend_advice.value}".strip()


def _permanent(code: str, sentence: str, fix: str = "", advice: ResendAdvice = ResendAdvice.NO) -> ProviderCode:
    return ProviderCode(code, sentence, fix, advice)


def _invalid_phone(code: str, sentence: str) -> ProviderCode:
    return ProviderCode(code, sentence, _ASK_RECIPIENT, ResendAdvice.NO, is_phone_invalid=True)


def _retryable(code: str, sentence: str, cooldown: Cooldown | None = None) -> ProviderCode:
    return ProviderCode(code, sentence, "", ResendAdvice.AUTOMATIC, RetryPolicy.LATER, cooldown=cooldown)


def _rate_limited(
    code: str, sentence: str, cooldown: Cooldown, fix: str = "", account_fault: bool = False
) -> ProviderCode:
    """In a receipt the text has failed, and it may be sent again."""
    return ProviderCode(code, sentence, fix, ResendAdvice.LATER, cooldown=cooldown, is_account_fault=account_fault)


def _sender_fault(code: str, sentence: str, fix: str, advice: ResendAdvice = ResendAdvice.ON_RESUME) -> ProviderCode:
    return ProviderCode(code, sentence, fix, advice, RetryPolicy.PAUSE)


def _account_fault(code: str, sentence: str, fix: str, advice: ResendAdvice = ResendAdvice.ON_RESUME) -> ProviderCode:
    return ProviderCode(code, sentence, fix, advice, RetryPolicy.PAUSE, is_account_fault=True)


_ASK_RECIPIENT = "Ask the person to check the number on their account."
_SETTINGS = "Correct the gateway settings, then resume sending."
_AT_MIDNIGHT = "It resets at midnight Pacific time."
_CONTACT_TWILIO = "Resolve it with Twilio, then resume sending."
_REPORT = "Report this: the portal should not send it."
_CHECK_WEBHOOK = "Run the gateway diagnostics. The text itself is on its way."
_CODES = (
    _permanent("11200", "Twilio got an error from our webhook.", _CHECK_WEBHOOK),
    _permanent("11205", "Twilio could not connect to our webhook.", _CHECK_WEBHOOK),
    _permanent("12200", "Twilio could not parse our webhook's response.", _CHECK_WEBHOOK),
    _permanent("12300", "Our webhook's response has a content type that Twilio does not accept.", _CHECK_WEBHOOK),
    _account_fault("20003", "Twilio does not accept the account's credentials.", _SETTINGS),
    _account_fault("20005", "The Twilio account is not active.", _CONTACT_TWILIO),
    _account_fault("20006", "Access to the Twilio account is denied.", _SETTINGS),
    _sender_fault("20404", "Twilio does not know the account or service.", _SETTINGS),
    _retryable("20429", "There were too many requests to Twilio."),
    _invalid_phone("21211", "This is not a phone number Twilio can text."),
    _sender_fault("21212", "The sending number is malformed or may not be used.", _SETTINGS),
    _permanent("21266", "The number is the same as the sending number.", _ASK_RECIPIENT),
    _permanent(
        "21408",
        "Texts to this country are not enabled; others go on.",
        "Enable it in Twilio's geo permissions.",
        ResendAdvice.AFTER_FIX,
    ),
    _sender_fault("21601", "The sending number cannot send texts.", _SETTINGS),
    _permanent("21602", "The text was empty.", _REPORT),
    _sender_fault("21603", "No sending number was given.", _SETTINGS, ResendAdvice.NO),
    _permanent("21604", "No recipient was given.", _REPORT),
    _sender_fault("21606", "The sending number does not belong to the account or cannot text.", _SETTINGS),
    # either one number, or a trial account that reaches nobody: several recipients in a row will show
    ProviderCode(
        "21608",
        "The account may only text verified phone numbers, and this is not one; others go on.",
        "Upgrade the Twilio account, or verify the number there.",
        ResendAdvice.AFTER_FIX,
        is_documented=False,
    ),
    _sender_fault("21609", "Twilio rejects the URL for status callbacks.", "Correct PORTAL_PUBLIC_URL, then resume."),
    _permanent("21610", "The person replied STOP.", "Only a START from that phone turns texts on again."),
    _retryable("21611", "The sending number's queue at Twilio is full.", Cooldown.FEW_MINUTES),
    _permanent("21612", "The sending number cannot reach this number.", "Try another sending number."),
    _invalid_phone("21614", "This number cannot receive texts."),
    _permanent("21617", "The text is too long.", "Shorten it to 1,600 characters.", ResendAdvice.AFTER_FIX),
    _permanent("21619", "The text had no content.", _REPORT),
    _invalid_phone("21635", "This is a landline."),
    _permanent("21658", "The text is too long.", "Shorten it to 1,600 characters.", ResendAdvice.AFTER_FIX),
    _sender_fault("21659", "The sending number is not one of the account's.", _SETTINGS),
    _sender_fault("21661", "The sending number cannot send texts.", _SETTINGS),
    _sender_fault("21701", "Twilio does not know the messaging service.", _SETTINGS),
    _sender_fault("21703", "The messaging service has no number that can reach this phone number.", _SETTINGS),
    _sender_fault("21704", "The messaging service has no sending number.", _SETTINGS),
    _sender_fault("21705", "The messaging service's id is wrong.", _SETTINGS),
    _rate_limited("30001", "Twilio's queue overflowed.", Cooldown.FEW_MINUTES),
    _account_fault("30002", "The Twilio account is suspended.", _CONTACT_TWILIO, ResendAdvice.AFTER_FIX),
    _permanent(
        "30003",
        "The phone is off, out of range or cannot receive texts.",
        "This is often temporary. If it happens again: " + _ASK_RECIPIENT,
        ResendAdvice.ONCE,
    ),
    _permanent("30004", "The message was blocked by the phone or the carrier.", _ASK_RECIPIENT),
    _invalid_phone("30005", "The number is unknown or no longer in use."),
    _invalid_phone("30006", "This is a landline, or its carrier cannot be reached."),
    _permanent(
        "30007",
        "Twilio or the carrier filtered the message as spam.",
        "Change the wording: resending the same text makes it worse.",
    ),
    _permanent("30008", "The carrier gave no reason.", advice=ResendAdvice.ONCE),
    _permanent("30017", "The carrier's network was congested.", advice=ResendAdvice.LATER),
    _rate_limited(
        "30022",
        "The registered campaign's rate was exceeded.",
        Cooldown.MINUTE,
        "Lower the rate in the gateway settings.",
    ),
    _rate_limited("30023", "The carrier's daily limit is reached.", Cooldown.PACIFIC_MIDNIGHT, _AT_MIDNIGHT),
    _permanent(
        "30024",
        "The sending number is still being set up with the carrier.",
        "Check in Twilio's console that it is ready.",
        ResendAdvice.LATER,
    ),
    _permanent("30025", "Half of the carrier's daily limit is used.", _AT_MIDNIGHT, ResendAdvice.LATER),
    _permanent("30026", "Most of the carrier's daily limit is used.", _AT_MIDNIGHT, ResendAdvice.LATER),
    _rate_limited("30027", "The carrier's daily limit is reached.", Cooldown.PACIFIC_MIDNIGHT, _AT_MIDNIGHT),
    _sender_fault(
        "30032",
        "The toll-free number is not verified.",
        "Verify it with Twilio, then resume sending.",
        ResendAdvice.AFTER_FIX,
    ),
    _sender_fault(
        "30034",
        "The sending number is not registered to a campaign.",
        "Register it with Twilio, then resume sending.",
        ResendAdvice.AFTER_FIX,
    ),
    _permanent(
        "30035",
        "The sending number is still being registered.",
        "Check in Twilio's console that it is ready.",
        ResendAdvice.LATER,
    ),
    _permanent("30036", "The text expired in Twilio's queue.", advice=ResendAdvice.LATER),
    _permanent(
        "30410",
        "The carrier did not answer in time.",
        "It may still arrive, so another one may be a duplicate.",
        ResendAdvice.LATER,
    ),
    _rate_limited("30450", "Twilio blocked the message as possible abuse.", Cooldown.HALF_HOUR, "Wait half an hour."),
    _permanent(
        "30610", "Twilio's Compliance Toolkit blocked it: it is night for the recipient.", advice=ResendAdvice.LATER
    ),
    _permanent(
        "30640",
        "Twilio's Compliance Toolkit blocked it: the phone number is on a do-not-text list.",
        "Use email only.",
    ),
    _rate_limited("63038", "The account's daily limit is reached.", Cooldown.NEXT_DAY, "It resets the next day.", True),
)
_ACCOUNT = _account_fault("", "The account or its API key lacks a permission at Twilio.", _CONTACT_TWILIO)
_INACTIVE = _account_fault("", "The Twilio account is not active.", _CONTACT_TWILIO)
_SENDER = _sender_fault("", "Twilio does not accept texts from the sending number.", _SETTINGS)
_SERVICE = _sender_fault("", "The messaging service cannot send.", _SETTINGS)
_REGISTRATION = _sender_fault(
    "", "The sending number or its campaign is not registered.", _CONTACT_TWILIO, ResendAdvice.AFTER_FIX
)
_SHARED_CODES = (
    ("10001 21472 21476 21477 21478 21479 90010", _INACTIVE),
    ("20008", _account_fault("", "These are test credentials, which send nothing.", _SETTINGS)),
    ("20403 20426 30037", _ACCOUNT),
    ("21210 21213 21267 21401 21407 21607 21616 21657 21660 21910 63002 63007 63020", _SENDER),
    ("21702 21706 21708 21709 21711 21713 21714 21715 30124 30127", _SERVICE),
    ("30033 30125 21729", _REGISTRATION),
    (
        "21624 21626 21627 30012 30013 30028 30029 30031",
        _sender_fault("", "Twilio does not accept the request.", _REPORT),
    ),
    (
        "20500 20503 30020 30021 30500 63009 63010 63012",
        _permanent("", "Something failed at Twilio.", advice=ResendAdvice.LATER),
    ),
    ("21730", _rate_limited("", "Twilio is under maintenance.", Cooldown.FEW_MINUTES, account_fault=True)),
    ("63017 63018", _rate_limited("", "Texts were submitted too fast.", Cooldown.MINUTE, account_fault=True)),
    (
        "30454",
        _rate_limited("", "The account's limit is reached.", Cooldown.NEXT_DAY, "It resets the next day.", True),
    ),
    ("21217 21421", _invalid_phone("", "This is not a phone number Twilio can text.")),
    ("21265", _invalid_phone("", "This is a short code, which does not accept our texts.")),
    (
        "21214 30014 30485 63003 63024 63036",
        _permanent("", "The phone cannot be reached.", _ASK_RECIPIENT, ResendAdvice.ONCE),
    ),
    ("21216 63014 63032 63033", _permanent("", "The message was blocked by the phone or by Twilio.", _ASK_RECIPIENT)),
    (
        "21219",
        _permanent(
            "",
            "The account may only text verified phone numbers, and this is not one; others go on.",
            "Upgrade the Twilio account, or verify the number there.",
            ResendAdvice.AFTER_FIX,
        ),
    ),
    (
        "21215 30018 30040 30041 30043",
        _permanent(
            "",
            "Texts to this country or carrier need a sender that is registered there; others go on.",
            "Register one with Twilio.",
            ResendAdvice.AFTER_FIX,
        ),
    ),
    ("21605 30019", _permanent("", "The text is too long.", "Shorten it.", ResendAdvice.AFTER_FIX)),
    ("21618 30038 63005 63013 63021 63026", _permanent("", "Twilio or the carrier rejects the content.", "Change it.")),
    (
        "21620 21621 21622 21623 21654 21655 21656 30011 30015 30016",
        _permanent("", "Twilio does not accept this kind of text.", _REPORT),
    ),
    ("30009 30010 30100 30409", _permanent("", "Twilio gave up on the text.", advice=ResendAdvice.ONCE)),
)
"""Codes with the same meaning to us, from Twilio's own list (May 2023) and those added since."""
_EXPANDED_SHARED_CODES = (replace(entry, code=code) for codes, entry in _SHARED_CODES for code in codes.split())
CODES: dict[str, ProviderCode] = {entry.code: entry for entry in (*_EXPANDED_SHARED_CODES, *_CODES)}
_RANGES = (
    (20_000, 20_399, _ACCOUNT),
    (20_430, 20_499, _ACCOUNT),
    (21_470, 21_480, _INACTIVE),
    (21_700, 21_728, _SERVICE),
)
"""The entries for new codes in ranges where all known codes have the same meaning."""
_FAMILIES = (
    (20_000, 20_999, "accounts and their keys"),
    (21_100, 21_999, "requests"),
    (30_000, 30_399, "delivery"),
    (30_400, 30_999, "delivery rules and registration"),
    (63_000, 63_999, "channels"),
)

OPTED_OUT, TOO_MANY_REQUESTS, HANDSET_UNREACHABLE = "21610", "20429", "30003"
TWILIO_SERVER_ERRORS = ("20500", "20503")
"""Codes that only say that something failed at Twilio; the outcome of the text is unknown."""
MAX_UNREACHABLE_IN_A_ROW = 3
"""After so many failures in a row, the phone number counts as unreachable."""


def explain_error_code(code: str, provider_message: str = "") -> ProviderCode:
    """The entry for a code or its range; an unknown code has the provider's message."""
    entry = CODES.get(code) or _code_in_range(code)
    if entry is not None:
        return entry
    message = provider_message.strip() or "Twilio gave no explanation."
    family = f" Nearby codes are about {name}." if (name := _family(code)) else ""
    fix = f"Look up code {code} in Twilio's error dictionary.{family}"
    return ProviderCode(code, f"{message.rstrip('.')}.", fix, ResendAdvice.UNKNOWN, is_documented=False)


def code_in_pause_reason(reason: str) -> str:
    """The code in a sending number's pause reason; "" if it was paused for another reason."""
    code = reason.partition(":")[0]
    return code if _numeric_code(code) else ""


def _code_in_range(code: str) -> ProviderCode | None:
    entries = (entry for first, last, entry in _RANGES if first <= _numeric_code(code) <= last)
    return next((replace(entry, code=code) for entry in entries), None)


def _family(code: str) -> str:
    return next((name for first, last, name in _FAMILIES if first <= _numeric_code(code) <= last), "")


def _numeric_code(code: str) -> int:
    return int(code) if code.isdecimal() and len(code) <= _LONGEST_CODE else 0


_LONGEST_CODE = 6
