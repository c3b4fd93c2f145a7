"""The checks at Twilio: the account, the sending numbers, the test credentials and our public address."""

from collections.abc import Callable
from email.utils import parsedate_to_datetime

from portal.core.translation import N_
from portal.core.translation import gettext as _
from portal.gateways.rules.provider_schema import SenderSettings
from portal.gateways.rules.twilio_resources import TwilioApiError
from portal.gateways.twilio_account import TwilioAccount
from portal.operations import twilio_snapshot
from portal.operations.check_runner import CheckTask, Clock
from portal.operations.rules import account_checks, webhook_checks
from portal.operations.rules.checks import CREDENTIALS, CheckResult, CheckSpec, merge_sender_checks, unknown_results
from portal.operations.rules.public_url_checks import PUBLIC_URL_CHECK
from portal.operations.twilio_snapshot import GatewaySetup, SenderSnapshot, call_or_error

_DATE_HEADER_ROUNDING_MS = 500
"""A Date header is truncated to whole seconds, so it is early by this much on average."""
_OTHER_PROVIDER_FIX = N_("Use the provider’s own console. Saving its settings under Settings resumes paused lanes.")
_ACCOUNT_CHECKS = (CREDENTIALS, account_checks.ACCOUNT, account_checks.CLOCK, account_checks.WEBHOOK_TOKEN)
_NUMBER_CHECKS = (
    account_checks.NUMBER,
    account_checks.NUMBER_TYPE,
    account_checks.RATE,
    account_checks.KEYWORD_ANSWERS,
    webhook_checks.INBOUND,
    webhook_checks.STATUS,
    webhook_checks.REGISTRATION,
)


def twilio_check_tasks(clock: Clock) -> list[CheckTask]:
    return [
        _twilio_task(_ACCOUNT_CHECKS, lambda setup: _account_checks(setup, clock)),
        _twilio_task(_NUMBER_CHECKS, _sender_checks),
        _twilio_task((account_checks.TEST_CREDENTIALS,), lambda setup: [_test_credentials_check(setup)]),
        CheckTask((PUBLIC_URL_CHECK,), lambda: [twilio_snapshot.check_our_public_url()]),
    ]


def _twilio_task(specs: tuple[CheckSpec, ...], check: Callable[[GatewaySetup], list[CheckResult]]) -> CheckTask:
    """Other providers are not checked (docs/providers.md)."""

    def run() -> list[CheckResult]:
        setup = twilio_snapshot.load_gateway_setup()
        if setup.provider == "Twilio":
            return check(setup)
        reason = _("%(provider)s sends the texts, and the diagnostics check Twilio only.", provider=setup.provider)
        return [specs[0].unknown(reason, _(_OTHER_PROVIDER_FIX)), *unknown_results(specs[1:], reason)]

    return CheckTask(specs, run)


def _account_checks(setup: GatewaySetup, clock: Clock) -> list[CheckResult]:
    credentials = setup.live.credentials
    if credentials is None:
        missing = CREDENTIALS.failing(*setup.explain_missing("SmsGatewayAuthentication"))
        return [missing, *unknown_results(_ACCOUNT_CHECKS[1:], _("There are no credentials."))]
    account = twilio_snapshot.open_account(credentials)
    before_ms = clock()
    response = call_or_error(account.account)
    skew_seconds = _skew_seconds(response.date, before_ms, clock())
    is_api_key = credentials.user != credentials.account_sid
    may_lack_rights = isinstance(response, TwilioApiError) and response.is_auth_error and is_api_key
    return [
        account_checks.check_credentials(response, may_lack_rights and _can_read_numbers(setup, account)),
        account_checks.check_account(response),
        account_checks.check_clock(skew_seconds),
        account_checks.check_webhook_token(len(credentials.signing_tokens)),
    ]


def _can_read_numbers(setup: GatewaySetup, account: TwilioAccount) -> bool:
    """A standard API key may read the account's numbers but not the account (docs/twilio.md#api-keys)."""
    number = setup.live.sender.from_number if setup.live.sender else ""
    return not isinstance(call_or_error(lambda: account.find_own_number(number or "+0")), TwilioApiError)


def _skew_seconds(date: str, before_ms: int, after_ms: int) -> float | None:
    """How far our clock is ahead of the Date header, assuming that Twilio answered halfway between the two times."""
    try:
        twilio_ms = parsedate_to_datetime(date).timestamp() * 1000 + _DATE_HEADER_ROUNDING_MS
    except (TypeError, ValueError):
        return None
    return ((before_ms + after_ms) / 2 - twilio_ms) / 1000


def _sender_checks(setup: GatewaySetup) -> list[CheckResult]:
    live = setup.live
    if live.sender is None:
        missing = account_checks.NUMBER.failing(*setup.explain_missing("SmsGatewaySettings"))
        return [missing, *unknown_results(_NUMBER_CHECKS[1:], _("There is no sending number."))]
    if live.credentials is None:
        return unknown_results(_NUMBER_CHECKS, _("There are no credentials."))
    account, senders = twilio_snapshot.open_account(live.credentials), live.sender.individual_senders
    keys = [sender.sender_key for sender in senders]
    results = [_check_sender(sender, account) for sender in senders]
    return [merge_sender_checks(list(zip(keys, of_check, strict=True))) for of_check in zip(*results, strict=True)]


def _check_sender(sender: SenderSettings, account: TwilioAccount) -> list[CheckResult]:
    """In the order of `_NUMBER_CHECKS`."""
    snapshot = twilio_snapshot.fetch_sender(sender, account)
    return [
        *_ownership_checks(snapshot),
        account_checks.check_rate(sender, snapshot.actual_type),
        account_checks.check_keyword_answers(sender, snapshot.actual_type),
        *_webhook_url_checks(snapshot),
        _registration_check(snapshot, account),
    ]


def _ownership_checks(snapshot: SenderSnapshot) -> list[CheckResult]:
    sender, own_number = snapshot.sender, snapshot.own_number
    if sender.messaging_service_sid:
        error = snapshot.service if isinstance(snapshot.service, TwilioApiError) else None
        reason = _("The messaging service chooses among its numbers.")
        return [account_checks.check_service(error), account_checks.NUMBER_TYPE.unknown(reason)]
    if isinstance(own_number, tuple):
        number = own_number[0]
        return [account_checks.check_number(sender, number), account_checks.check_number_type(sender, number)]
    unknown_type = account_checks.NUMBER_TYPE.unknown(_("Twilio did not report it."))
    return [account_checks.check_number(sender, own_number), unknown_type]


def _webhook_url_checks(snapshot: SenderSnapshot) -> list[CheckResult]:
    config, (inbound_url, status_url) = snapshot.webhook_config, twilio_snapshot.webhook_urls()
    if config is None:
        reason = _("The account has no such number to check.")
        return unknown_results((webhook_checks.INBOUND, webhook_checks.STATUS), reason)
    return [webhook_checks.check_inbound_url(config, inbound_url), webhook_checks.check_status_url(config, status_url)]


def _registration_check(snapshot: SenderSnapshot, account: TwilioAccount) -> CheckResult:
    service_sid = snapshot.sender.messaging_service_sid
    if snapshot.actual_type == "toll_free" and isinstance(snapshot.own_number, tuple):
        number_sid = snapshot.own_number[0].sid
        return webhook_checks.check_toll_free(call_or_error(lambda: account.toll_free_verifications(number_sid)))
    if service_sid and snapshot.actual_type != "short_code":
        return webhook_checks.check_campaign(call_or_error(lambda: account.campaigns(service_sid)))
    return webhook_checks.check_unregistered_number(snapshot.sender.from_number, snapshot.actual_type)


def _test_credentials_check(setup: GatewaySetup) -> CheckResult:
    """Live credentials in place of test credentials are not tried, because they would send a real text."""
    credentials, sender, live = setup.test.credentials, setup.test.sender, setup.live.credentials
    if credentials is None or sender is None:
        read_error = setup.read_errors.get("TestSmsGatewayAuthentication")
        return account_checks.missing_test_credentials(setup.test_mode, read_error)
    if live is not None and live.account_sid == credentials.account_sid:
        return account_checks.check_test_credentials(None, None, setup.test_mode, same_as_live=True)
    account = twilio_snapshot.open_account(credentials)
    response = call_or_error(lambda: account.probe_send_error_code(sender.from_number))
    code, error = (None, response) if isinstance(response, TwilioApiError) else (response, None)
    return account_checks.check_test_credentials(code, error, setup.test_mode, same_as_live=False)
