"""What the doctor asks Twilio, a thread for each: the account, the sending number, the test credentials."""

from collections.abc import Callable
from email.utils import parsedate_to_datetime

from portal.gateways.rules.provider_schema import SenderSettings
from portal.gateways.rules.twilio_resources import TwilioApiError
from portal.gateways.twilio_account import TwilioAccount
from portal.operations.check_runner import CheckTask
from portal.operations.rules import account_checks as judge
from portal.operations.rules import webhook_checks as webhook_checks
from portal.operations.rules.checks import CREDENTIALS, CheckResult, CheckSpec, merge_sender_checks
from portal.operations.rules.public_url_checks import PUBLIC_URL_CHECK
from portal.operations.twilio_snapshot import (
    GatewaySetup,
    SenderSnapshot,
    call_or_error,
    check_our_public_url,
    fetch_sender,
    load_gateway_setup,
    open_account,
    webhook_urls,
)
from portal.settings.rules.app_config import GatewayConfig

Clock = Callable[[], int]
_DATE_HEADER_ROUNDING_MS = 500
"""A Date header is cut to whole seconds, so on average it is this much too early."""
_OTHER_PROVIDER_FIX = "Look at the carrier's own console. Saving its settings on AppConfig resumes paused lanes."
_ACCOUNT_CHECKS = (CREDENTIALS, judge.ACCOUNT, judge.CLOCK, judge.WEBHOOK_TOKEN)
_NUMBER_CHECKS = (
    judge.NUMBER,
    judge.NUMBER_TYPE,
    judge.RATE,
    judge.KEYWORD_ANSWERS,
    webhook_checks.INBOUND,
    webhook_checks.STATUS,
    webhook_checks.REGISTRATION,
)


def twilio_check_tasks(clock: Clock) -> list[CheckTask]:
    return [
        _twilio_task(_ACCOUNT_CHECKS, lambda found: _account_checks(found, clock)),
        _twilio_task(_NUMBER_CHECKS, _sender_checks),
        _twilio_task((judge.TEST_CREDENTIALS,), lambda found: [_test_credentials_check(found)]),
        CheckTask((PUBLIC_URL_CHECK,), lambda: [check_our_public_url()]),
    ]


def _twilio_task(subjects: tuple[CheckSpec, ...], look: Callable[[GatewaySetup], list[CheckResult]]) -> CheckTask:
    """Of another carrier's account nothing is known here (docs/providers.md)."""

    def run() -> list[CheckResult]:
        found = load_gateway_setup()
        if found.provider != "Twilio":
            why = f"Texts go by {found.provider}, and the doctor knows Twilio only."
            return [subjects[0].unknown(why, _OTHER_PROVIDER_FIX), *_unknown_results_for(subjects[1:], why)]
        return look(found)

    return CheckTask(subjects, run)


def _account_checks(found: GatewaySetup, clock: Clock) -> list[CheckResult]:
    live = found.live
    if live.credentials is None:
        missing = CREDENTIALS.failing(*found.explain_missing("SmsGatewayAuthentication"))
        return [missing, *_unknown_results_for(_ACCOUNT_CHECKS[1:], "There are no credentials to ask with.")]
    account = open_account(live.credentials)
    before_ms = clock()
    answer = call_or_error(account.account)
    skew = _skew_seconds(answer.date, before_ms, clock())
    works = isinstance(answer, TwilioApiError) and answer.is_auth_error and _api_key_works(live, account)
    return [
        judge.check_credentials(answer, works),
        judge.check_account(answer),
        judge.check_clock(skew),
        judge.check_webhook_token(len(live.credentials.signing_tokens)),
    ]


def _api_key_works(live: GatewayConfig, account: TwilioAccount) -> bool:
    """A standard API key may read the account's numbers but not the account (docs/twilio.md#api-keys)."""
    if live.credentials is None or live.credentials.user == live.credentials.account_sid:
        return False
    number = live.sender.from_number if live.sender else ""
    return not isinstance(call_or_error(lambda: account.find_own_number(number or "+0")), TwilioApiError)


def _skew_seconds(date: str, before_ms: int, after_ms: int) -> float | None:
    """How far our clock is ahead of the answer's, taking the answer as made halfway."""
    try:
        theirs_ms = parsedate_to_datetime(date).timestamp() * 1000 + _DATE_HEADER_ROUNDING_MS
    except (TypeError, ValueError):
        return None
    return ((before_ms + after_ms) / 2 - theirs_ms) / 1000


def _sender_checks(setting: GatewaySetup) -> list[CheckResult]:
    live = setting.live
    if live.sender is None:
        missing = judge.NUMBER.failing(*setting.explain_missing("SmsGatewaySettings"))
        return [missing, *_unknown_results_for(_NUMBER_CHECKS[1:], "There is no sending number to ask about.")]
    if live.credentials is None:
        return _unknown_results_for(_NUMBER_CHECKS, "There are no credentials to ask with.")
    account = open_account(live.credentials)
    each = [(one.sender_key, _check_one_sender(one, account)) for one in live.sender.individual_senders]
    lines = zip(*(checks for _, checks in each), strict=True)
    keys = [key for key, _ in each]
    return [merge_sender_checks(list(zip(keys, line, strict=True))) for line in lines]


def _check_one_sender(sender: SenderSettings, account: TwilioAccount) -> list[CheckResult]:
    """A line for each of `_NUMBER_CHECKS`, in that order."""
    found = fetch_sender(sender, account)
    real = found.actual_type
    return [
        *_ownership_checks(found),
        judge.check_rate(found.sender, real),
        judge.check_keyword_answers(found.sender, real),
        *_webhook_url_checks(found),
        _registration_check(found, account),
    ]


def _ownership_checks(found: SenderSnapshot) -> list[CheckResult]:
    if found.sender.messaging_service_sid:
        trouble = found.service if isinstance(found.service, TwilioApiError) else None
        chosen = judge.NUMBER_TYPE.unknown("The messaging service chooses among its numbers.")
        return [judge.check_service(trouble), chosen]
    if not isinstance(found.find_own_number, tuple):
        return [
            judge.check_number(found.sender, found.find_own_number),
            judge.NUMBER_TYPE.unknown("Twilio did not tell."),
        ]
    own = found.find_own_number[0]
    return [judge.check_number(found.sender, own), judge.check_number_type(found.sender, own)]


def _webhook_url_checks(found: SenderSnapshot) -> list[CheckResult]:
    inbound_url, status_url = webhook_urls()
    if found.webhook_config is None:
        return webhook_checks.unreadable_url_checks("There is no number of the account to look at.")
    return [
        webhook_checks.check_inbound_url(found.webhook_config, inbound_url),
        webhook_checks.check_status_url(found.webhook_config, status_url),
    ]


def _registration_check(found: SenderSnapshot, account: TwilioAccount) -> CheckResult:
    service = found.sender.messaging_service_sid
    if found.actual_type == "toll_free" and isinstance(found.find_own_number, tuple):
        number_sid = found.find_own_number[0].sid
        return webhook_checks.check_toll_free(call_or_error(lambda: account.toll_free_states(number_sid)))
    if service and found.actual_type != "short_code":
        return webhook_checks.check_campaign(call_or_error(lambda: account.campaign_states(service)))
    return webhook_checks.check_unregistered_number(found.sender.from_number, found.actual_type)


def _test_credentials_check(found: GatewaySetup) -> CheckResult:
    """Nothing is asked with credentials that are the live account's: they would be no test."""
    test, live = found.test, found.live.credentials
    if test.credentials is None or test.sender is None:
        return judge.missing_test_credentials(found.test_mode, found.unreadable.get("TestSmsGatewayAuthentication"))
    same = live is not None and live.account_sid == test.credentials.account_sid
    if same:
        return judge.check_test_credentials(None, None, found.test_mode, same)
    account, sender = open_account(test.credentials), test.sender.from_number
    answer = call_or_error(lambda: account.probe_send_error_code(sender))
    trouble = answer if isinstance(answer, TwilioApiError) else None
    return judge.check_test_credentials(None if trouble else str(answer), trouble, found.test_mode, same)


def _unknown_results_for(subjects: tuple[CheckSpec, ...], why: str) -> list[CheckResult]:
    return [spec.unknown(why) for spec in subjects]
