"""Run all diagnostics, set the webhooks at Twilio, and resume paused sending numbers."""

from dataclasses import dataclass

from portal.core import audit_log
from portal.core.context import settings
from portal.core.errors import ActionRefused
from portal.core.extensions import db
from portal.core.transaction import transaction
from portal.core.translation import N_
from portal.core.translation import gettext as _
from portal.gateways import queue
from portal.gateways.rules.provider_schema import SenderSettings
from portal.gateways.rules.twilio_resources import TwilioApiError
from portal.gateways.twilio_account import TwilioAccount
from portal.gateways.twilio_http import RequestFailed
from portal.operations import local_checks, twilio_checks, twilio_snapshot
from portal.operations.check_runner import Clock, run_checks
from portal.operations.rules.account_checks import describe_api_error
from portal.operations.rules.checks import CheckResult, resume_blocker, sender_label
from portal.settings.tables.sending_numbers import resume_senders

_NOTHING_SET = N_("Nothing was set at Twilio. %(problem)s")


@dataclass(frozen=True)
class DiagnosticsReport:
    checks: tuple[CheckResult, ...]
    at_ms: int


def run_diagnostics(clock: Clock) -> DiagnosticsReport:
    """Takes at most about eight seconds, even if nothing answers."""
    at_ms = clock()
    tasks = [*twilio_checks.twilio_check_tasks(clock), *local_checks.local_check_tasks(clock)]
    return DiagnosticsReport(tuple(run_checks(tasks)), at_ms)


def resume_sending(clock: Clock, actor_id: int | None = None) -> tuple[DiagnosticsReport, str | None]:
    """Resume paused sending numbers if the Twilio checks pass. Also returns why they stay paused, or None."""
    report = run_diagnostics(clock)
    blocker = resume_blocker(report.checks)
    if blocker is not None:
        return report, blocker
    with transaction():
        now_ms = clock()
        resume_senders(now_ms)
        audit_log.record_audit_entry("sender_resumed", "the sending number", actor_id, now_ms)
    queue.enqueue(settings().redis_url, "drain_sms")
    (lanes,) = run_checks([local_checks.LANES_CHECK_TASK])
    checks = tuple(lanes if check.name == lanes.name else check for check in report.checks)
    return DiagnosticsReport(checks, report.at_ms), None


def set_webhooks() -> str:
    """Set both of our addresses at Twilio for every live sending number. Raises `ActionRefused`."""
    setup, public_url_check = twilio_snapshot.load_gateway_setup(), twilio_snapshot.check_our_public_url()
    credentials, sender = setup.live.credentials, setup.live.sender
    if setup.provider != "Twilio":
        raise ActionRefused(
            _("Nothing was set, because %(provider)s sends the texts, not Twilio.", provider=setup.provider)
        )
    if public_url_check.verdict == "failing":
        raise ActionRefused(_(_NOTHING_SET, problem=f"{public_url_check.reason} {public_url_check.fix}"))
    if credentials is None or sender is None:
        raise ActionRefused(_(_NOTHING_SET, problem=_("Set SmsGatewayAuthentication and SmsGatewaySettings first.")))
    account, urls = twilio_snapshot.open_account(credentials), twilio_snapshot.webhook_urls()
    db.session.rollback()
    senders = sender.individual_senders
    for done_count, number in enumerate(senders):
        problem = _set_webhooks(number, account, urls)
        if problem is not None:
            some_set = N_("The addresses were set for %(done)s of %(total)s numbers. %(problem)s")
            message = some_set if done_count else _NOTHING_SET
            raise ActionRefused(_(message, done=done_count, total=len(senders), problem=problem))
    return _("Both addresses are set at Twilio.")


def _set_webhooks(sender: SenderSettings, account: TwilioAccount, urls: tuple[str, str]) -> str | None:
    """Returns why they could not be set, or None."""
    config = twilio_snapshot.fetch_sender(sender, account).webhook_config
    if config is None:
        label = sender_label(sender.sender_key)
        return _("%(number)s in SmsGatewaySettings is not a number of the account.", number=label)
    if isinstance(config, TwilioApiError):
        return describe_api_error(config)
    try:
        if config.sid == sender.messaging_service_sid:
            account.set_service_webhooks(config.sid, *urls)
        else:
            account.set_number_webhooks(config.sid, sender.from_number, *urls)
    except RequestFailed as error:
        return describe_api_error(error.error)
    return None
