"""Twilio's error codes: meaning, remedy and whether to retry (docs/twilio.md#error-codes).

The table has the codes for messages, accounts and senders in Twilio's own list. Twilio adds and splits codes at any
time, so ranges cover new ones. A code in neither does not say whose fault it is: it is shown with Twilio's message, and
several of them in a row for different recipients pause the sender (`delivery.rules.unexplained_rejections`).
"""

from dataclasses import dataclass, replace
from enum import Enum
from functools import partial

from portal.core.translation import N_
from portal.core.translation import gettext as _
from portal.gateways.rules.registration_codes import REJECTION_RANGES, REJECTIONS


class RetryPolicy(Enum):
    """What the portal does automatically."""

    NEVER = "never"
    LATER = "later"
    PAUSE = "pause"
    """The fault is in the account or the sending number: pause the lane and do not count the attempt."""


class ResendAdvice(Enum):
    """Whether resending the text helps, as advice to the sender (docs/adr/0017)."""

    NO = N_("Sending it again will not help.")
    ONCE = N_("If it is important, send it again once after a few hours.")
    LATER = N_("Send it again later if it is still relevant.")
    AFTER_FIX = N_("Then send it again if it is still relevant.")
    AUTOMATIC = N_("It is retried automatically.")
    ON_RESUME = N_("Waiting texts are sent then.")
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
    """If False, as for codes of registrations, the fault of a text may be the recipient's, the text's or ours."""
    code: str = ""

    @property
    def docs_url(self) -> str:
        return f"https://www.twilio.com/docs/api/errors/{self.code}"

    @property
    def remedy(self) -> str:
        return f"{self.fix} {_(self.resend_advice.value)}".strip()


def _permanent(sentence: str, fix: str = "", advice: ResendAdvice = ResendAdvice.NO) -> ProviderCode:
    return ProviderCode(sentence, fix, advice)


def _invalid_phone(sentence: str) -> ProviderCode:
    return ProviderCode(sentence, _ASK_RECIPIENT, ResendAdvice.NO, is_phone_invalid=True)


def _retryable(sentence: str, cooldown: Cooldown | None = None) -> ProviderCode:
    return ProviderCode(sentence, "", ResendAdvice.AUTOMATIC, RetryPolicy.LATER, cooldown=cooldown)


def _rate_limited(sentence: str, cooldown: Cooldown, fix: str = "", account_fault: bool = False) -> ProviderCode:
    """In a receipt the text has failed, and it may be sent again."""
    return ProviderCode(sentence, fix, ResendAdvice.LATER, cooldown=cooldown, is_account_fault=account_fault)


def _sender_fault(
    sentence: str, fix: str, advice: ResendAdvice = ResendAdvice.ON_RESUME, account_fault: bool = False
) -> ProviderCode:
    return ProviderCode(sentence, fix, advice, RetryPolicy.PAUSE, is_account_fault=account_fault)


def _rejection(sentence: str, fix: str) -> ProviderCode:
    """Of a registration. Nobody says what it means for a text, so none is given up for it."""
    return ProviderCode(sentence, fix, ResendAdvice.AFTER_FIX, is_documented=False)


_account_fault = partial(_sender_fault, account_fault=True)
_ASK_RECIPIENT = N_("Ask the person to check the number on their account.")
_SETTINGS = N_("Correct the gateway settings, then resume sending.")
_PACIFIC_RESET = N_("It resets at midnight Pacific time.")
_NEXT_DAY_RESET = N_("It resets the next day.")
_CONTACT_TWILIO = N_("Resolve it with Twilio, then resume sending.")
_REGISTER = N_("Register it with Twilio, then resume sending.")
_CHECK_CONSOLE = N_("Check in Twilio’s console that it is ready.")
_REPORT = N_("Report this to whoever runs the portal: it should not send such a request.")
_CHECK_WEBHOOK = N_("Run the gateway diagnostics. The text itself is on its way.")
_TRIAL_ACCOUNT = (
    N_("The account may only text verified phone numbers, and this is not one; other texts are still sent."),
    N_("Upgrade the Twilio account, or verify the number there."),
)
_ACCOUNT = _account_fault(N_("The account or its API key lacks a permission at Twilio."), _CONTACT_TWILIO)
_INACTIVE = _account_fault(N_("The Twilio account is not active."), _CONTACT_TWILIO)
_SERVICE = _sender_fault(N_("The messaging service cannot send."), _SETTINGS)
_TABLE: tuple[tuple[str, ProviderCode], ...] = (
    # our webhooks
    ("11200", _permanent(N_("Twilio got an error from our webhook."), _CHECK_WEBHOOK)),
    ("11205", _permanent(N_("Twilio could not connect to our webhook."), _CHECK_WEBHOOK)),
    ("12200", _permanent(N_("Twilio could not parse our webhook’s response."), _CHECK_WEBHOOK)),
    ("12300", _permanent(N_("Our webhook’s response has a content type that Twilio does not accept."), _CHECK_WEBHOOK)),
    # the account
    ("20003", _account_fault(N_("Twilio does not accept the account’s credentials."), _SETTINGS)),
    ("20006", _account_fault(N_("Access to the Twilio account is denied."), _SETTINGS)),
    ("20008", _account_fault(N_("These are test credentials, which send nothing."), _SETTINGS)),
    ("20403 20426 30037", _ACCOUNT),
    ("10001 20005 21472 21476 21477 21478 21479 90010", _INACTIVE),
    ("30002", _account_fault(N_("The Twilio account is suspended."), _CONTACT_TWILIO, ResendAdvice.AFTER_FIX)),
    # either one number, or a trial account that reaches nobody: several recipients in a row will show
    ("21608", replace(_permanent(*_TRIAL_ACCOUNT, ResendAdvice.AFTER_FIX), is_documented=False)),
    ("21219", _permanent(*_TRIAL_ACCOUNT, ResendAdvice.AFTER_FIX)),
    # the sending number, the messaging service and their registration
    ("20404", _sender_fault(N_("Twilio does not know the account or service."), _SETTINGS)),
    ("21210 21213 21267 21401 21407 21607 21616 21657 21660 21910 63002 63007 63020",
     _sender_fault(N_("Twilio does not accept texts from the sending number."), _SETTINGS)),
    ("21212", _sender_fault(N_("The sending number is malformed or may not be used."), _SETTINGS)),
    ("21601 21661", _sender_fault(N_("The sending number cannot send texts."), _SETTINGS)),
    ("21603", _sender_fault(N_("No sending number was given."), _SETTINGS, ResendAdvice.NO)),
    ("21606 21659", _sender_fault(N_("The sending number does not belong to the account or cannot text."), _SETTINGS)),
    ("21701 21705", _sender_fault(N_("Twilio does not know the messaging service."), _SETTINGS)),
    ("21702 21706 21708 21709 21711 21713 21714 21715 30124 30127", _SERVICE),
    ("21703", _sender_fault(N_("The messaging service has no number that can reach this phone number."), _SETTINGS)),
    ("21704", _sender_fault(N_("The messaging service has no sending number."), _SETTINGS)),
    ("30032",
     _sender_fault(N_("The toll-free number is not verified."), N_("Verify it with Twilio, then resume sending."),
                            ResendAdvice.AFTER_FIX)),
    ("30034",
     _sender_fault(N_("The sending number is not registered to a campaign."), _REGISTER, ResendAdvice.AFTER_FIX)),
    ("30033 30125 21729", _sender_fault(N_("The sending number or its campaign is not registered."), _CONTACT_TWILIO,
                                        ResendAdvice.AFTER_FIX)),
    ("30024", _permanent(N_("The sending number is still being set up with the carrier."), _CHECK_CONSOLE,
                         ResendAdvice.LATER)),
    ("30035", _permanent(N_("The sending number is still being registered."), _CHECK_CONSOLE, ResendAdvice.LATER)),
    # our requests
    ("21609",
     _sender_fault(N_("Twilio rejects the URL for status callbacks."), N_("Correct PORTAL_PUBLIC_URL, then resume."))),
    ("21624 21626 21627 30012 30013 30028 30029 30031",
     _sender_fault(N_("Twilio does not accept the request."), _REPORT)),
    ("21602 21604 21619 21620 21621 21622 21623 21654 21655 21656 30011 30015 30016",
     _permanent(N_("Twilio does not accept this kind of text."), _REPORT)),
    # limits
    ("20429", _retryable(N_("Twilio rate-limits us."))),
    ("21611", _retryable(N_("The sending number’s queue at Twilio is full."), Cooldown.FEW_MINUTES)),
    ("30001", _rate_limited(N_("Twilio’s queue overflowed."), Cooldown.FEW_MINUTES)),
    ("30022", _rate_limited(N_("The registered campaign’s rate was exceeded."), Cooldown.MINUTE,
                            N_("Lower the rate in the gateway settings."))),
    ("30023 30027",
     _rate_limited(N_("The carrier’s daily limit is reached."), Cooldown.PACIFIC_MIDNIGHT, _PACIFIC_RESET)),
    ("30025 30026", _permanent(N_("Half or more of the carrier’s daily limit is used."), _PACIFIC_RESET,
                               ResendAdvice.LATER)),
    ("30450",
     _rate_limited(N_("Twilio blocked the message as possible abuse."), Cooldown.HALF_HOUR, N_("Wait half an hour."))),
    ("30454", _rate_limited(N_("The account’s limit is reached."), Cooldown.NEXT_DAY, _NEXT_DAY_RESET, True)),
    ("63038", _rate_limited(N_("The account’s daily limit is reached."), Cooldown.NEXT_DAY, _NEXT_DAY_RESET, True)),
    ("63017 63018", _rate_limited(N_("Texts were submitted too fast."), Cooldown.MINUTE, account_fault=True)),
    ("21730", _rate_limited(N_("Twilio is under maintenance."), Cooldown.FEW_MINUTES, account_fault=True)),
    # the recipient
    ("21211 21217 21421", _invalid_phone(N_("This is not a phone number Twilio can text."))),
    ("21265", _invalid_phone(N_("This is a short code, which does not accept our texts."))),
    ("21614", _invalid_phone(N_("This number cannot receive texts."))),
    ("21635", _invalid_phone(N_("This is a landline."))),
    ("30005", _invalid_phone(N_("The number is unknown or no longer in use."))),
    ("30006", _invalid_phone(N_("This is a landline, or its carrier cannot be reached."))),
    ("21266", _permanent(N_("The number is the same as the sending number."), _ASK_RECIPIENT)),
    ("21610", _permanent(N_("The person replied STOP."), N_("Only a START from that phone turns texts on again."))),
    ("21612", _permanent(N_("The sending number cannot reach this number."), N_("Try another sending number."))),
    ("30003", _permanent(N_("The phone is off, out of range or cannot receive texts."),
                         N_("This is often temporary. If it happens again, ask the person to check the number on their "
                            "account."), ResendAdvice.ONCE)),
    ("21214 30014 63003 63024 63036",
     _permanent(N_("The phone cannot be reached."), _ASK_RECIPIENT, ResendAdvice.ONCE)),
    ("30004", _permanent(N_("The message was blocked by the phone or the carrier."), _ASK_RECIPIENT)),
    ("21216 63014 63032 63033", _permanent(N_("The message was blocked by the phone or by Twilio."), _ASK_RECIPIENT)),
    ("30610", _permanent(N_("Twilio’s Compliance Toolkit blocked it: it is night for the recipient."),
                         advice=ResendAdvice.LATER)),
    ("30640", _permanent(N_("Twilio’s Compliance Toolkit blocked it: the phone number is on a do-not-text list."),
                         N_("Use email only."))),
    # the country
    ("21408", _permanent(N_("Texts to this country are not enabled; other texts are still sent."),
                         N_("Enable it in Twilio’s geo permissions."), ResendAdvice.AFTER_FIX)),
    ("21215 30018 30040 30041 30043",
     _permanent(N_("Texts to this country or carrier need a sender that is registered there; other texts are still "
                   "sent."),
                N_("Register one with Twilio."), ResendAdvice.AFTER_FIX)),
    # the text
    ("21605 30019", _permanent(N_("The text is too long."), N_("Shorten it."), ResendAdvice.AFTER_FIX)),
    ("21617 21658",
     _permanent(N_("The text is too long."), N_("Shorten it to 1,600 characters."), ResendAdvice.AFTER_FIX)),
    ("21618 30038 63005 63013 63021 63026",
     _permanent(N_("Twilio or the carrier rejects the content."), N_("Change it."))),
    ("30007", _permanent(N_("Twilio or the carrier filtered the message as spam."),
                         N_("Change the wording: resending the same text makes it worse."))),
    # delivery
    ("20500 20503 30020 30021 30500 63009 63010 63012",
     _permanent(N_("Something failed at Twilio."), advice=ResendAdvice.LATER)),
    ("30008", _permanent(N_("The carrier gave no reason."), advice=ResendAdvice.ONCE)),
    ("30009 30010 30100 30409", _permanent(N_("Twilio gave up on the text."), advice=ResendAdvice.ONCE)),
    ("30017", _permanent(N_("The carrier’s network was congested."), advice=ResendAdvice.LATER)),
    ("30036", _permanent(N_("The text expired in Twilio’s queue."), advice=ResendAdvice.LATER)),
    ("30410", _permanent(N_("The carrier did not answer in time."),
                         N_("It may still arrive, so another one may be a duplicate."), ResendAdvice.LATER)),
)  # fmt: skip
"""Codes and what each of them means, from Twilio's own list (May 2023) and those added since."""
_REJECTED = tuple((codes, _rejection(sentence, fix)) for codes, sentence, fix in REJECTIONS)
CODES = {code: replace(entry, code=code) for codes, entry in (*_REJECTED, *_TABLE) for code in codes.split()}
_RANGES = (
    (range(20_000, 20_400), _ACCOUNT),
    (range(20_430, 20_500), _ACCOUNT),
    (range(21_470, 21_481), _INACTIVE),
    (range(21_700, 21_729), _SERVICE),
    *((codes, _rejection(sentence, fix)) for codes, sentence, fix in REJECTION_RANGES),
)
"""The entries for new codes in ranges where all known codes have the same meaning."""
_MAX_CODE_DIGITS = 6

OPTED_OUT, TOO_MANY_REQUESTS, HANDSET_UNREACHABLE = "21610", "20429", "30003"
MAX_UNREACHABLE_IN_A_ROW = 3
"""After so many failures in a row, the phone number counts as unreachable."""


def explain_error_code(code: str, provider_message: str = "") -> ProviderCode:
    """The entry for a code or its range, in the reader's language; an unknown code has the provider's message."""
    number = _numeric_code(code)
    entry = CODES.get(code) or next((entry for codes, entry in _RANGES if number in codes), None)
    if entry is not None:
        return replace(entry, sentence=_(entry.sentence), fix=_(entry.fix), code=code)
    message = provider_message.strip() or _("Twilio gave no explanation.")
    fix = _("Look up code %(code)s in Twilio’s error dictionary.", code=code)
    return ProviderCode(f"{message.rstrip('.')}.", fix, ResendAdvice.UNKNOWN, is_documented=False, code=code)


def code_in_pause_reason(reason: str) -> str:
    """The code in a sending number's pause reason; "" if it was paused for another reason."""
    code = reason.partition(":")[0]
    return code if _numeric_code(code) else ""


def _numeric_code(code: str) -> int:
    return int(code) if code.isdecimal() and len(code) <= _MAX_CODE_DIGITS else 0
