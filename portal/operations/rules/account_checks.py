"""Checks of the Twilio account: whether it may send, from which number, how fast, and what Twilio itself replies."""

from portal.core.rules.pacing import RATES
from portal.gateways.rules import twilio_resources
from portal.gateways.rules.provider_codes import CODES, explain_error_code
from portal.gateways.rules.provider_schema import SenderSettings
from portal.gateways.rules.twilio_resources import TwilioAccountInfo, TwilioApiError, TwilioNumber
from portal.operations.rules.checks import CREDENTIALS, CheckResult, CheckSpec, sender_label

ACCOUNT = CheckSpec("Twilio", "Account")
CLOCK = CheckSpec("Twilio", "Clock")
TEST_CREDENTIALS = CheckSpec("Twilio", "Test credentials")
WEBHOOK_TOKEN = CheckSpec("Twilio", "Webhook token")
NUMBER = CheckSpec("Twilio", "Sending number")
NUMBER_TYPE = CheckSpec("Twilio", "Number type")
RATE = CheckSpec("Twilio", "Rate")
KEYWORD_ANSWERS = CheckSpec("Twilio", "STOP and HELP")

_NUMBER_TYPE_LABELS = {"long_code": "long code", "toll_free": "toll-free number", "short_code": "short code"}
_FIX_SENDER = "Correct SmsGatewaySettings under Settings."
_SKEW_WARNING_SECONDS, _SKEW_FAILURE_SECONDS = 30, 60
_SENDER_CODES = ("21212", "21601", "21603", "21606", "21611", "21659", "21660", "21661")
_INVALID_NUMBER_CODE = "21211"
"""Twilio's response to valid test credentials and the invalid magic number (docs/twilio.md#test-credentials)."""


def check_credentials(response: TwilioAccountInfo | TwilioApiError, api_key_works: bool = False) -> CheckResult:
    """`api_key_works`: an API key, which may lack the right to read the account, could read its numbers."""
    if isinstance(response, TwilioAccountInfo):
        return CREDENTIALS.ok("Twilio accepts them.")
    if api_key_works:
        return CREDENTIALS.ok("Twilio accepts the API key.")
    if response.status is None:
        fix = "Let this machine connect to Twilio, or correct PORTAL_TWILIO_API_URL."
        return CREDENTIALS.failing(response.message, fix)
    if response.status == 429 or response.status >= 500:
        return CREDENTIALS.unknown(describe_api_error(response), "Run the diagnostics again in a minute.")
    if code := CODES.get(response.code):
        return CREDENTIALS.failing(f"{code.sentence} (code {code.code})", code.remedy)
    if response.is_auth_error:
        fix = "Correct SmsGatewayAuthentication under Settings."
        return CREDENTIALS.failing("Twilio does not accept the credentials.", fix)
    return CREDENTIALS.unknown(describe_api_error(response), "Check PORTAL_TWILIO_API_URL.")


def check_account(response: TwilioAccountInfo | TwilioApiError) -> CheckResult:
    if isinstance(response, TwilioApiError):
        return ACCOUNT.unknown("Its status could not be read.", "Check the account in Twilio's console.")
    if response.status != "active":
        return ACCOUNT.failing(f"The account is {response.status or 'not active'}.", "Resolve this with Twilio.")
    if response.kind == "Trial":
        return ACCOUNT.warning("It is a trial account and can text only verified numbers.", "Upgrade it at Twilio.")
    return ACCOUNT.ok("It is active.")


def check_clock(skew_seconds: float | None) -> CheckResult:
    """`skew_seconds` is how far this machine's clock is ahead of Twilio's; None if Twilio's time is not known."""
    if skew_seconds is None:
        return CLOCK.unknown("Twilio's time could not be read.")
    skew, direction = round(abs(skew_seconds)), "ahead of" if skew_seconds > 0 else "behind"
    if skew <= _SKEW_WARNING_SECONDS:
        return CLOCK.ok(f"It is within {max(skew, 1)} s of Twilio's.")
    reason = (
        f"This machine's clock is {skew:,} s {direction} Twilio's. The order of START and STOP depends on it, and so "
        "does when a text of unknown outcome may be sent again."
    )
    verdict = CLOCK.failing if skew > _SKEW_FAILURE_SECONDS else CLOCK.warning
    return verdict(reason, "Set the clock from the network, with chrony or systemd-timesyncd.")


def check_test_credentials(
    code: str | None, error: TwilioApiError | None, in_use: bool, same_as_live: bool
) -> CheckResult:
    """`code` is Twilio's response to a text to the invalid magic number; None if no such text was tried."""
    problem = TEST_CREDENTIALS.failing if in_use else TEST_CREDENTIALS.warning
    fix = "Correct TestSmsGatewayAuthentication under Settings."
    if same_as_live:
        return problem("They are those of the live account: test mode would send real texts.", fix)
    if error is not None and error.is_auth_error:
        return problem("Twilio does not accept them.", fix)
    if error is not None or code is None:
        return TEST_CREDENTIALS.unknown(describe_api_error(error) if error else "They could not be tried.")
    if code in _SENDER_CODES:
        return problem(
            f"Twilio accepts them, but not the FromNumber: {explain_error_code(code).sentence}",
            "Use +15005550006. The other magic numbers only simulate errors.",
        )
    if code == _INVALID_NUMBER_CODE:
        return TEST_CREDENTIALS.ok("Twilio accepts them. They can only send, so nothing else can be checked.")
    return TEST_CREDENTIALS.unknown(f"Twilio answered with code {code}, which says nothing about them.")


def missing_test_credentials(in_use: bool, read_error: str | None = None) -> CheckResult:
    """`read_error` says why stored credentials cannot be read."""
    reason = read_error or "They or their FromNumber are not set."
    if in_use:
        return TEST_CREDENTIALS.failing(f"{reason} Test mode is on, so no texts are sent.", "Set them, or turn it off.")
    return TEST_CREDENTIALS.unknown(f"{reason} Test mode needs them.", "Set them under Settings.")


def check_webhook_token(token_count: int) -> CheckResult:
    if token_count:
        return WEBHOOK_TOKEN.ok("An AuthToken is set, so webhooks can be verified.")
    return WEBHOOK_TOKEN.failing(
        "No AuthToken is set. Twilio signs webhooks with it, never with an API key, so START, STOP and receipts are "
        "all refused.",
        "Add AuthToken to SmsGatewayAuthentication, alongside the API key.",
    )


def check_number(sender: SenderSettings, own: TwilioNumber | TwilioApiError | None) -> CheckResult:
    label = sender_label(sender.from_number)
    if isinstance(own, TwilioApiError):
        return NUMBER.unknown(f"The account's numbers could not be read. {describe_api_error(own)}")
    if own is None:
        return NUMBER.failing(f"The account does not own {label}.", _FIX_SENDER)
    if not own.is_sms_capable:
        return NUMBER.failing(f"The account owns {label}, but Twilio does not let it send texts.", _FIX_SENDER)
    return NUMBER.ok(f"The account owns {label}, which can send texts.")


def check_service(error: TwilioApiError | None) -> CheckResult:
    if error is None:
        return NUMBER.ok("The account owns the messaging service, which chooses the number for each text.")
    if error.code == "20404":
        return NUMBER.failing("The account has no such messaging service.", _FIX_SENDER)
    return NUMBER.unknown(
        f"The messaging service could not be checked. {describe_api_error(error)}",
        "Check Messaging → Services in Twilio's console.",
    )


def check_number_type(sender: SenderSettings, own: TwilioNumber) -> CheckResult:
    reported = twilio_resources.reported_number_type(own)
    actual_type = reported or twilio_resources.infer_number_type(own.number)
    reason = f"{'Twilio says' if reported else 'Its digits say'} it is a {_NUMBER_TYPE_LABELS[actual_type]}"
    if actual_type == sender.number_type:
        return NUMBER_TYPE.ok(f"{reason}, {'as set' if sender.has_explicit_type else 'as inferred from the number'}.")
    assumed = "NumberType says" if sender.has_explicit_type else "the portal assumes it is a"
    return NUMBER_TYPE.warning(
        f"{reason}, but {assumed} {_NUMBER_TYPE_LABELS[sender.number_type]}. Rate and replies to STOP follow that.",
        f'Set "NumberType": "{actual_type}" in SmsGatewaySettings.',
    )


def check_rate(sender: SenderSettings, actual_type: str) -> CheckResult:
    """Compare the rate in use with that of the number's real type (docs/twilio.md#rates)."""
    allowed, rate = RATES[actual_type], sender.segments_per_second
    unit = "segment" if rate == 1 else "segments"
    reason = f"{rate:g} {unit} a second; a {_NUMBER_TYPE_LABELS[actual_type]} may send {allowed:g}"
    if rate <= allowed:
        return RATE.ok(f"{reason}.")
    waits = "Texts sent too fast wait in Twilio's queue, where they can no longer be stopped"
    if actual_type == "long_code":
        return RATE.warning(
            f"{reason}, unless its 10DLC campaign allows more. {waits}, and are rejected after 10 hours (code 21611).",
            "Compare it with the campaign's rate in Twilio's console, or lower SegmentsPerSecond.",
        )
    return RATE.warning(f"{reason}. {waits}.", "Lower SegmentsPerSecond, or have Twilio raise the number's rate.")


def check_keyword_answers(sender: SenderSettings, actual_type: str) -> CheckResult:
    """Either Twilio or the portal replies to STOP and HELP, never both or neither (docs/twilio.md#auto-replies)."""
    keywords = ", ".join(sorted(sender.auto_replied_keywords))
    if sender.messaging_service_sid:
        return KEYWORD_ANSWERS.unknown(
            f"Twilio does not report what a messaging service answers. TwilioAnswers says: {keywords or 'nothing'}.",
            "Compare it with Messaging → Services → Opt-out management in Twilio's console.",
        )
    if actual_type == "short_code" and keywords:
        return KEYWORD_ANSWERS.failing(
            f"Twilio does not reply for a short code, but TwilioAnswers says it replies to {keywords}: nobody would.",
            'Set "TwilioAnswers": [] in SmsGatewaySettings.',
        )
    if actual_type == "short_code":
        return KEYWORD_ANSWERS.ok("Twilio does not reply for a short code; the portal does.")
    missing = sorted({"STOP", "HELP"} - sender.auto_replied_keywords)
    if missing:
        return KEYWORD_ANSWERS.warning(
            f"Twilio itself answers {' and '.join(missing)} for this number. The portal's answer would be a second "
            "one, and after STOP it is rejected (code 21610).",
            'Set "TwilioAnswers": ["STOP", "HELP"], or leave it out.',
        )
    unblocking = " After STOP only START or UNSTOP unblocks it, not YES." if actual_type == "toll_free" else ""
    return KEYWORD_ANSWERS.ok(f"Twilio answers them and blocks the number; the portal keeps a list too.{unblocking}")


def describe_api_error(error: TwilioApiError) -> str:
    code = CODES.get(error.code)
    return f"{code.sentence} (code {code.code})" if code else error.message
