"""Judgements about the account at Twilio: may we send, from which number, how fast, and what Twilio answers itself."""

from collections.abc import Mapping

from portal.core.rules.pacing import RATES
from portal.gateways.rules.provider_codes import CODES, explain_error_code
from portal.gateways.rules.provider_schema import SenderSettings
from portal.gateways.rules.twilio_resources import (
    TwilioAccountInfo,
    TwilioApiError,
    TwilioNumber,
    infer_number_type,
    reported_number_type,
)
from portal.operations.rules.checks import CREDENTIALS, CheckResult, CheckSpec, sender_label

ACCOUNT = CheckSpec("Twilio", "Account")
CLOCK = CheckSpec("Twilio", "Clock")
TEST_CREDENTIALS = CheckSpec("Twilio", "Test credentials")
WEBHOOK_TOKEN = CheckSpec("Twilio", "Webhook token")
NUMBER = CheckSpec("Twilio", "Sending number")
NUMBER_TYPE = CheckSpec("Twilio", "Number type")
RATE = CheckSpec("Twilio", "Rate")
KEYWORD_ANSWERS = CheckSpec("Twilio", "STOP and HELP")

_NUMBER_TYPE_LABELS: Mapping[str, str] = {
    "long_code": "long code",
    "toll_free": "toll-free number",
    "short_code": "short code",
}
_FIX_AUTHENTICATION = "Correct SmsGatewayAuthentication on AppConfig."
_FIX_SENDER = "Correct SmsGatewaySettings on AppConfig."
_SKEW_WARNING_SECONDS, _SKEW_FAILURE_SECONDS = 30, 60
_SENDER_CODES = ("21212", "21601", "21603", "21606", "21611", "21659", "21660", "21661")
EXPECTED_REFUSAL = "21211"
"""What test credentials answer for the magic number that is no phone number: proof that they are accepted."""


def check_credentials(found: TwilioAccountInfo | TwilioApiError, api_key_works: bool = False) -> CheckResult:
    """`api_key_works`: an API key, which need not be allowed to read the account, could read its numbers."""
    if isinstance(found, TwilioAccountInfo):
        return CREDENTIALS.ok("Twilio accepts them.")
    if api_key_works:
        return CREDENTIALS.ok("Twilio accepts the API key.")
    if found.status is None:
        return CREDENTIALS.failing(found.message, "Let this machine reach Twilio, or correct PORTAL_TWILIO_API_URL.")
    if found.status == 429 or found.status >= 500:
        return CREDENTIALS.unknown(describe_api_error(found), "Run the doctor again in a minute.")
    known = CODES.get(found.code)
    if known is not None:
        return CREDENTIALS.failing(f"{known.sentence} (code {known.code})", known.remedy)
    if found.is_auth_error:
        return CREDENTIALS.failing("Twilio does not accept the account's credentials.", _FIX_AUTHENTICATION)
    return CREDENTIALS.unknown(describe_api_error(found), "Check PORTAL_TWILIO_API_URL.")


def check_account(found: TwilioAccountInfo | TwilioApiError) -> CheckResult:
    if isinstance(found, TwilioApiError):
        return ACCOUNT.unknown("Its state could not be read.", "Look at the account in Twilio's console.")
    if found.status != "active":
        return ACCOUNT.failing(f"The account is {found.status or 'not active'}.", "Settle it with Twilio.")
    if found.kind == "Trial":
        return ACCOUNT.warning("It is a trial account: it texts verified numbers only.", "Upgrade it at Twilio.")
    return ACCOUNT.ok("It is active.")


def check_clock(skew_seconds: float | None) -> CheckResult:
    """`skew_seconds` is how far this machine's clock is ahead of Twilio's; None when Twilio's was not heard."""
    if skew_seconds is None:
        return CLOCK.unknown("Twilio's clock was not heard.")
    off, way = round(abs(skew_seconds)), "ahead of" if skew_seconds > 0 else "behind"
    if off <= _SKEW_WARNING_SECONDS:
        return CLOCK.ok(f"It agrees with Twilio's within {max(off, 1)} s.")
    why = (
        f"This machine's clock is {off:,} s {way} Twilio's. The order of START and STOP, and when a text of unknown "
        "outcome may be sent again, lean on it."
    )
    fix = "Set the clock from the network, with chrony or systemd-timesyncd."
    return CLOCK.failing(why, fix) if off > _SKEW_FAILURE_SECONDS else CLOCK.warning(why, fix)


def check_test_credentials(
    code: str | None, trouble: TwilioApiError | None, in_use: bool, same_as_live: bool
) -> CheckResult:
    """`code` is Twilio's answer to a text for the magic number that is no phone number; None when none was made."""
    worst = TEST_CREDENTIALS.failing if in_use else TEST_CREDENTIALS.warning
    setting = "Correct TestSmsGatewayAuthentication on AppConfig."
    if same_as_live:
        return worst("They are those of the live account: test mode would send real texts.", setting)
    if trouble is not None and trouble.is_auth_error:
        return worst("Twilio does not accept them.", setting)
    if trouble is not None or code is None:
        return TEST_CREDENTIALS.unknown(describe_api_error(trouble) if trouble else "They could not be tried.")
    if code in _SENDER_CODES:
        return worst(
            f"Twilio accepts them, but not the FromNumber: {explain_error_code(code).sentence}",
            "Only +15005550006 works; the other magic numbers are for rehearsing a fault.",
        )
    if code == EXPECTED_REFUSAL:
        return TEST_CREDENTIALS.ok("Twilio accepts them. They can only send, so nothing more of them can be tried.")
    return TEST_CREDENTIALS.unknown(f"Twilio answered code {code}, which says nothing of them.")


def missing_test_credentials(in_use: bool, unreadable: str | None = None) -> CheckResult:
    """`unreadable`: they are stored, and why they cannot be read."""
    words = unreadable or "They or their FromNumber are not set."
    if in_use:
        return TEST_CREDENTIALS.failing(f"{words} Test mode is on, so no text leaves.", "Set them, or end test mode.")
    return TEST_CREDENTIALS.unknown(f"{words} Test mode needs them.", "Set them on AppConfig.")


def check_webhook_token(tokens: int) -> CheckResult:
    if tokens:
        return WEBHOOK_TOKEN.ok("An AuthToken is set, so webhooks can be verified.")
    return WEBHOOK_TOKEN.failing(
        "No AuthToken is set. Twilio signs webhooks with it, never with an API key, so START, STOP and receipts are "
        "all refused.",
        "Add AuthToken to SmsGatewayAuthentication, beside the API key.",
    )


def check_number(sender: SenderSettings, own: TwilioNumber | TwilioApiError | None) -> CheckResult:
    shown = sender_label(sender.from_number)
    if isinstance(own, TwilioApiError):
        return NUMBER.unknown(f"The account's numbers could not be read. {describe_api_error(own)}")
    if own is None:
        return NUMBER.failing(f"The account does not own {shown}.", _FIX_SENDER)
    if not own.is_sms_capable:
        return NUMBER.failing(f"{shown} is the account's, but Twilio does not let it send texts.", _FIX_SENDER)
    return NUMBER.ok(f"{shown} is the account's and can text.")


def check_service(trouble: TwilioApiError | None) -> CheckResult:
    if trouble is None:
        return NUMBER.ok("The messaging service is the account's; it chooses the number for each text.")
    if trouble.code == "20404":
        return NUMBER.failing("The account has no such messaging service.", _FIX_SENDER)
    return NUMBER.unknown(
        f"The messaging service cannot be checked from here. {describe_api_error(trouble)}",
        "Look at Messaging → Services in Twilio's console.",
    )


def check_number_type(sender: SenderSettings, own: TwilioNumber) -> CheckResult:
    told = reported_number_type(own)
    actual_type, source = (told, "Twilio says") if told else (infer_number_type(own.number), "Its digits say")
    words = f"{source} it is a {_NUMBER_TYPE_LABELS[actual_type]}"
    if actual_type == sender.number_type:
        return NUMBER_TYPE.ok(f"{words}, {'as set' if sender.has_explicit_type else 'as worked out from the number'}.")
    says = "NumberType says" if sender.has_explicit_type else "worked out from the number it is a"
    return NUMBER_TYPE.warning(
        f"{words}, but {says} {_NUMBER_TYPE_LABELS[sender.number_type]}: rate and answers to STOP follow "
        f"{'the setting' if sender.has_explicit_type else 'that'}.",
        f'Set "NumberType": "{actual_type}" in SmsGatewaySettings.',
    )


def check_rate(sender: SenderSettings, actual_type: str) -> CheckResult:
    """Compare the rate in force with what a number of its real type may send (docs/twilio.md#rates)."""
    allowed, force = RATES[actual_type], sender.segments_per_second
    unit, number_type = "segment" if force == 1 else "segments", _NUMBER_TYPE_LABELS[actual_type]
    words = f"{force:g} {unit} a second; a {number_type} may send {allowed:g}"
    if force <= allowed:
        return RATE.ok(f"{words}.")
    if actual_type == "long_code":
        return RATE.warning(
            f"{words}, unless its 10DLC campaign was granted more. What is too fast waits in Twilio's queue, where "
            "it can no longer be stopped, and is refused after 10 hours (code 21611).",
            "Compare with the campaign's rate in Twilio's console, or lower SegmentsPerSecond.",
        )
    return RATE.warning(
        f"{words}. What is too fast waits in Twilio's queue, where it can no longer be stopped.",
        "Lower SegmentsPerSecond in SmsGatewaySettings, or have Twilio raise the number's rate.",
    )


def check_keyword_answers(sender: SenderSettings, actual_type: str) -> CheckResult:
    """Either Twilio or the portal answers STOP and HELP, never both and never neither (docs/twilio.md#auto-replies)."""
    said = ", ".join(sorted(sender.auto_replied_keywords)) or "nothing"
    if sender.messaging_service_sid:
        return KEYWORD_ANSWERS.unknown(
            f"Twilio does not tell what a messaging service answers itself. TwilioAnswers says: {said}.",
            "Compare with Messaging → Services → Opt-out management in Twilio's console.",
        )
    if actual_type == "short_code":
        return _check_short_code_answers(sender, said)
    missing = sorted({"STOP", "HELP"} - sender.auto_replied_keywords)
    if missing:
        return KEYWORD_ANSWERS.warning(
            f"Twilio answers {' and '.join(missing)} from this number itself, so the portal's own answer would be a "
            "second one, and is refused after STOP (code 21610).",
            'Set "TwilioAnswers": ["STOP", "HELP"], or leave it out.',
        )
    more = (
        " After STOP only START or UNSTOP opens the number again, YES does not." if actual_type == "toll_free" else ""
    )
    return KEYWORD_ANSWERS.ok(
        f"Twilio answers them itself and blocks the number; the portal keeps its own list too.{more}"
    )


def _check_short_code_answers(sender: SenderSettings, said: str) -> CheckResult:
    if not sender.auto_replied_keywords:
        return KEYWORD_ANSWERS.ok("From a short code Twilio answers nothing itself; the portal answers.")
    return KEYWORD_ANSWERS.failing(
        f"From a short code Twilio answers nothing itself, but TwilioAnswers says it answers {said}: nobody would.",
        'Set "TwilioAnswers": [] in SmsGatewaySettings.',
    )


def describe_api_error(trouble: TwilioApiError) -> str:
    known = CODES.get(trouble.code)
    return f"{known.sentence} (code {known.code})" if known else trouble.message
