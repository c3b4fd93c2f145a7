"""The one table of Twilio's error codes: meaning, remedy and whether to try again (docs/twilio.md#error-codes).

It has what Twilio's own list names of messages, accounts and senders. Twilio splits its codes and adds new ones at any
time, so ranges stand behind them. A code that is in neither says nothing of whose fault it is: it is shown with
Twilio's own words, and who gets several of them for different people in a row stops (`delivery.rules.unexplained_rejections`).
"""

from dataclasses import dataclass, replace
from enum import Enum


class RetryPolicy(Enum):
    """What we do by ourselves."""

    NEVER = "never"
    LATER = "later"
    PAUSE = "pause"
    """The fault lies with the account or the sending number: stop the lane until it is mended, burn no attempts."""


class ResendAdvice(Enum):
    """Whether it makes sense to send the text again, in the words for whoever may do so (docs/adr/0017)."""

    NO = "Sending it again does not help."
    ONCE = "If it matters, send it again once, some hours later."
    LATER = "Send it again later if it is still of use."
    AFTER_FIX = "Then send it again if it is still of use."
    AUTOMATIC = "It is tried again by itself."
    ON_RESUME = "What waits leaves then."
    UNKNOWN = ""


class Cooldown(Enum):
    """How long a sending number rests for a limit that is used up (`delivery.rules.provider_quotas`)."""

    MINUTE = "minute"
    FEW_MINUTES = "few minutes"
    HALF_HOUR = "half an hour"
    PACIFIC_MIDNIGHT = "midnight, Pacific time"
    NEXT_DAY = "next day"


@dataclass(frozen=True)
class ProviderCode:
    """`fix` is what to do about it; "" where there is nothing to do."""

    code: str
    sentence: str
    fix: str
    resend_advice: ResendAdvice
    retry_policy: RetryPolicy = RetryPolicy.NEVER
    is_phone_invalid: bool = False
    """The verdict is on the number itself: no more texts there until its owner has looked at it."""
    is_account_fault: bool = False
    """The fault lies with the account: none of its sending numbers gets anything through."""
    cooldown: Cooldown | None = None
    """A limit is used up: nothing leaves from the number until its time, and what was not taken is kept."""
    is_documented: bool = True
    """Otherwise nobody knows whether the fault is the recipient's, the text's own, or ours."""

    @property
    def docs_url(self) -> str:
        """What Twilio says of it."""
        return f"https://www.twilio.com/docs/api/errors/{self.code}"

    @property
    def remedy(self) -> str:
        return f"{self.fix} {self.resend_advice.value}".strip()


def _permanent(code: str, sentence: str, fix: str = "", again: ResendAdvice = ResendAdvice.NO) -> ProviderCode:
    return ProviderCode(code, sentence, fix, again)


def _invalid_phone(code: str, sentence: str) -> ProviderCode:
    return ProviderCode(code, sentence, _ASK_RECIPIENT, ResendAdvice.NO, is_phone_invalid=True)


def _retryable(code: str, sentence: str, rest: Cooldown | None = None) -> ProviderCode:
    return ProviderCode(code, sentence, "", ResendAdvice.AUTOMATIC, RetryPolicy.LATER, cooldown=rest)


def _rate_limited(code: str, sentence: str, rest: Cooldown, fix: str = "", of_account: bool = False) -> ProviderCode:
    """By a receipt the text itself is over; it may be sent again."""
    return ProviderCode(code, sentence, fix, ResendAdvice.LATER, cooldown=rest, is_account_fault=of_account)


def _sender_fault(code: str, sentence: str, fix: str, again: ResendAdvice = ResendAdvice.ON_RESUME) -> ProviderCode:
    return ProviderCode(code, sentence, fix, again, RetryPolicy.PAUSE)


def _account_fault(code: str, sentence: str, fix: str, again: ResendAdvice = ResendAdvice.ON_RESUME) -> ProviderCode:
    return ProviderCode(code, sentence, fix, again, RetryPolicy.PAUSE, is_account_fault=True)


_ASK_RECIPIENT = "Ask the person to check the number on their account."
_SETTINGS = "Correct the gateway settings, then resume sending."
_AT_MIDNIGHT = "It begins anew at midnight Pacific time."
_CONTACT_TWILIO = "Settle it with Twilio, then resume sending."
_REPORT = "Report this: the portal should not send it."
_CHECK_WEBHOOK = "Have the gateway doctor look at our address. The text itself is on its way."
_CODES = (
    _permanent("11200", "Twilio got no proper answer from our webhook.", _CHECK_WEBHOOK),
    _permanent("11205", "Twilio could not connect to our webhook.", _CHECK_WEBHOOK),
    _permanent("12200", "Twilio could not make sense of our webhook's answer.", _CHECK_WEBHOOK),
    _permanent("12300", "Our webhook's answer was of a kind that Twilio does not take.", _CHECK_WEBHOOK),
    _account_fault("20003", "Twilio does not accept the account's credentials.", _SETTINGS),
    _account_fault("20005", "The Twilio account is not active.", _CONTACT_TWILIO),
    _account_fault("20006", "Access to the Twilio account is denied.", _SETTINGS),
    _sender_fault("20404", "Twilio does not know the account or service.", _SETTINGS),
    _retryable("20429", "Twilio was asked too much at once."),
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
    # One stranger's number, or a trial account that reaches nobody: several different people in a row tell.
    ProviderCode(
        "21608",
        "The account may text verified numbers only, and this is none; those go on.",
        "Upgrade the Twilio account, or verify the number there.",
        ResendAdvice.AFTER_FIX,
        is_documented=False,
    ),
    _sender_fault(
        "21609", "Twilio refuses the address for status callbacks.", "Correct PORTAL_PUBLIC_URL, then resume."
    ),
    _permanent("21610", "The person replied STOP.", "Only a START from that phone turns texts on again."),
    _retryable("21611", "The sending number's queue at Twilio is full.", Cooldown.FEW_MINUTES),
    _permanent("21612", "The sending number cannot reach this number.", "Try another sending number."),
    _invalid_phone("21614", "This number cannot receive texts."),
    _permanent("21617", "The text is too long.", "Shorten it to 1,600 characters.", ResendAdvice.AFTER_FIX),
    _permanent("21619", "The text had neither words nor a picture.", _REPORT),
    _invalid_phone("21635", "This is a landline."),
    _permanent("21658", "The text is too long.", "Shorten it to 1,600 characters.", ResendAdvice.AFTER_FIX),
    _sender_fault("21659", "The sending number is not one of the account's.", _SETTINGS),
    _sender_fault("21661", "The sending number cannot send texts.", _SETTINGS),
    _sender_fault("21701", "Twilio does not know the messaging service.", _SETTINGS),
    _sender_fault("21703", "The messaging service has no number that can reach this one.", _SETTINGS),
    _sender_fault("21704", "The messaging service has no sending number.", _SETTINGS),
    _sender_fault("21705", "The messaging service's id is wrong.", _SETTINGS),
    _rate_limited("30001", "Twilio's queue overflowed.", Cooldown.FEW_MINUTES),
    _account_fault("30002", "The Twilio account is suspended.", _CONTACT_TWILIO, ResendAdvice.AFTER_FIX),
    _permanent(
        "30003",
        "The phone is off, out of range or cannot get texts.",
        "Often it passes. If it comes again: " + _ASK_RECIPIENT,
        ResendAdvice.ONCE,
    ),
    _permanent("30004", "The message was blocked by the phone or the carrier.", _ASK_RECIPIENT),
    _invalid_phone("30005", "The number is unknown or no longer in use."),
    _invalid_phone("30006", "This is a landline, or its carrier cannot be reached."),
    _permanent(
        "30007",
        "Twilio or the carrier filtered the message as spam.",
        "Review the wording: the same again makes it worse.",
    ),
    _permanent("30008", "The carrier gave no reason.", again=ResendAdvice.ONCE),
    _permanent("30017", "The carrier's network was congested.", again=ResendAdvice.LATER),
    _rate_limited(
        "30022",
        "The registered campaign's rate was exceeded.",
        Cooldown.MINUTE,
        "Lower the rate in the gateway settings.",
    ),
    _rate_limited("30023", "The carrier's daily limit is used up.", Cooldown.PACIFIC_MIDNIGHT, _AT_MIDNIGHT),
    _permanent(
        "30024",
        "The sending number is still being set up with the carrier.",
        "See at Twilio that it is ready.",
        ResendAdvice.LATER,
    ),
    _permanent("30025", "Half of the carrier's daily limit is used up.", _AT_MIDNIGHT, ResendAdvice.LATER),
    _permanent("30026", "Most of the carrier's daily limit is used up.", _AT_MIDNIGHT, ResendAdvice.LATER),
    _rate_limited("30027", "The carrier's daily limit is used up.", Cooldown.PACIFIC_MIDNIGHT, _AT_MIDNIGHT),
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
        "30035", "The sending number is still being registered.", "See at Twilio that it is ready.", ResendAdvice.LATER
    ),
    _permanent("30036", "The text was too old when its turn came.", again=ResendAdvice.LATER),
    _permanent(
        "30410",
        "The carrier did not answer in time.",
        "It may still arrive, so another may be the second.",
        ResendAdvice.LATER,
    ),
    _rate_limited("30450", "Twilio held the message back as possible abuse.", Cooldown.HALF_HOUR, "Wait half an hour."),
    _permanent(
        "30610", "Twilio's Compliance Toolkit held it back: it is night where the person is.", again=ResendAdvice.LATER
    ),
    _permanent(
        "30640",
        "Twilio's Compliance Toolkit held it back: the number is on a list of those not to text.",
        "Leave it at the email.",
    ),
    _rate_limited(
        "63038", "The account's daily limit is used up.", Cooldown.NEXT_DAY, "It begins anew the next day.", True
    ),
)
_ACCOUNT = _account_fault("", "Twilio refuses what the account or its key may not do.", _CONTACT_TWILIO)
_INACTIVE = _account_fault("", "The Twilio account is not active.", _CONTACT_TWILIO)
_SENDER = _sender_fault("", "Twilio does not take texts from the sending number.", _SETTINGS)
_SERVICE = _sender_fault("", "The messaging service cannot send.", _SETTINGS)
_REGISTRATION = _sender_fault(
    "", "The sending number or its campaign is not registered.", _CONTACT_TWILIO, ResendAdvice.AFTER_FIX
)
_SHARED_CODES = (
    ("10001 21472 21476 21477 21478 21479 90010", _INACTIVE),
    ("20008", _account_fault("", "These are test credentials, by which nothing real leaves.", _SETTINGS)),
    ("20403 20426 30037", _ACCOUNT),
    ("21210 21213 21267 21401 21407 21607 21616 21657 21660 21910 63002 63007 63020", _SENDER),
    ("21702 21706 21708 21709 21711 21713 21714 21715 30124 30127", _SERVICE),
    ("30033 30125 21729", _REGISTRATION),
    (
        "21624 21626 21627 30012 30013 30028 30029 30031",
        _sender_fault("", "Twilio does not take what we ask for.", _REPORT),
    ),
    (
        "20500 20503 30020 30021 30500 63009 63010 63012",
        _permanent("", "Something failed at Twilio.", again=ResendAdvice.LATER),
    ),
    ("21730", _rate_limited("", "Twilio is being worked on.", Cooldown.FEW_MINUTES, of_account=True)),
    ("63017 63018", _rate_limited("", "Texts were handed in too fast.", Cooldown.MINUTE, of_account=True)),
    (
        "30454",
        _rate_limited("", "The account's limit is used up.", Cooldown.NEXT_DAY, "It begins anew the next day.", True),
    ),
    ("21217 21421", _invalid_phone("", "This is not a phone number Twilio can text.")),
    ("21265", _invalid_phone("", "This is a short code, which takes no texts from us.")),
    (
        "21214 30014 30485 63003 63024 63036",
        _permanent("", "The phone cannot be reached.", _ASK_RECIPIENT, ResendAdvice.ONCE),
    ),
    ("21216 63014 63032 63033", _permanent("", "The message was blocked by the phone or by Twilio.", _ASK_RECIPIENT)),
    (
        "21219",
        _permanent(
            "",
            "The account may text verified numbers only, and this is none; those go on.",
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
    ("21618 30038 63005 63013 63021 63026", _permanent("", "Twilio or the carrier refuses the words.", "Review them.")),
    (
        "21620 21621 21622 21623 21654 21655 21656 30011 30015 30016",
        _permanent("", "The text is of a kind that Twilio does not take.", _REPORT),
    ),
    ("30009 30010 30100 30409", _permanent("", "The text was given up at Twilio.", again=ResendAdvice.ONCE)),
)
"""Codes that say the same to us, from Twilio's own list (May 2023) and those split off since."""
_EXPANDED_SHARED_CODES = (replace(kind, code=code) for codes, kind in _SHARED_CODES for code in codes.split())
CODES: dict[str, ProviderCode] = {entry.code: entry for entry in (*_EXPANDED_SHARED_CODES, *_CODES)}
_RANGES = (
    (20_000, 20_399, _ACCOUNT),
    (20_430, 20_499, _ACCOUNT),
    (21_470, 21_480, _INACTIVE),
    (21_700, 21_728, _SERVICE),
)
"""Whose fault a code is that is new to us, where all of its neighbours say so."""
_FAMILIES = (
    (20_000, 20_999, "accounts and their keys"),
    (21_100, 21_999, "requests"),
    (30_000, 30_399, "delivery"),
    (30_400, 30_999, "delivery rules and registration"),
    (63_000, 63_999, "channels"),
)

OPTED_OUT, TOO_MANY_REQUESTS, HANDSET_UNREACHABLE = "21610", "20429", "30003"
TWILIO_SERVER_ERRORS = ("20500", "20503")
"""No more than that something failed at Twilio: what became of the text, nobody knows."""
MAX_UNREACHABLE_IN_A_ROW = 3
"""So many texts in a row that did not reach the phone say of the number itself that it cannot be reached."""


def explain_error_code(code: str, provider_message: str = "") -> ProviderCode:
    """The row for a code, else for its range; an unknown one speaks with the provider's words."""
    known = CODES.get(code) or _code_in_range(code)
    if known is not None:
        return known
    words = provider_message.strip() or "Twilio gave no explanation."
    family = f" Twilio has codes of {named} there." if (named := _family(code)) else ""
    fix = f"Look up code {code} in Twilio's error dictionary.{family}"
    return ProviderCode(code, f"{words.rstrip('.')}.", fix, ResendAdvice.UNKNOWN, is_documented=False)


def code_in_pause_reason(reason: str) -> str:
    """The code that a sending number was paused for; "" when it was for something else."""
    code = reason.partition(":")[0]
    return code if _numeric_code(code) else ""


def _code_in_range(code: str) -> ProviderCode | None:
    found = (kind for first, last, kind in _RANGES if first <= _numeric_code(code) <= last)
    return next((replace(kind, code=code) for kind in found), None)


def _family(code: str) -> str:
    return next((named for first, last, named in _FAMILIES if first <= _numeric_code(code) <= last), "")


def _numeric_code(code: str) -> int:
    return int(code) if code.isdecimal() and len(code) <= _LONGEST_CODE else 0


_LONGEST_CODE = 6
