"""The gateway doctor: every check at once, and the two things it can mend by itself."""

from collections.abc import Callable
from dataclasses import dataclass

from portal.core import audit_log
from portal.core.context import settings
from portal.core.errors import ActionRefused
from portal.core.extensions import db
from portal.core.transaction import transaction
from portal.gateways import queue
from portal.gateways.rules.provider_schema import SenderSettings
from portal.gateways.rules.twilio_resources import TwilioApiError
from portal.gateways.twilio_account import AccountError, TwilioAccount
from portal.operations import local_checks, twilio_checks
from portal.operations.check_runner import run_checks
from portal.operations.rules.account_checks import describe_api_error
from portal.operations.rules.checks import CheckResult, has_failure, resume_blocker, sender_label
from portal.operations.twilio_snapshot import (
    check_our_public_url,
    fetch_sender,
    load_gateway_setup,
    open_account,
    webhook_urls,
)
from portal.settings.tables.sending_numbers import resume_senders

Clock = Callable[[], int]
_NOT_SET = "Nothing was set at Twilio. "


@dataclass(frozen=True)
class DiagnosticsReport:
    checks: tuple[CheckResult, ...]
    at_ms: int

    @property
    def has_failure(self) -> bool:
        return has_failure(self.checks)


def run_diagnostics(clock: Clock) -> DiagnosticsReport:
    """All checks, within about eight seconds whatever is dead."""
    at_ms = clock()
    examinations = [*twilio_checks.twilio_check_tasks(clock), *local_checks.local_check_tasks(clock)]
    return DiagnosticsReport(tuple(run_checks(examinations)), at_ms)


def resume_sending(clock: Clock, actor_id: int | None = None) -> tuple[DiagnosticsReport, str | None]:
    """Let paused lanes go on if Twilio's checks pass; else why they stay paused."""
    report = run_diagnostics(clock)
    refusal = resume_blocker(report.checks)
    if refusal is not None:
        return report, refusal
    with transaction():
        now_ms = clock()
        resume_senders(now_ms)
        audit_log.record_audit_entry("sender_resumed", "the sending number", actor_id, now_ms)
    queue.enqueue(settings().redis_url, "drain_sms")
    (lanes,) = run_checks([local_checks.LANES_CHECK_TASK])
    checks = tuple(lanes if check.name == lanes.name else check for check in report.checks)
    return DiagnosticsReport(checks, report.at_ms), None


def set_webhooks() -> str:
    """Set both of our addresses at Twilio, for the live sender; says what was done. Raises `Refused`."""
    found, address = load_gateway_setup(), check_our_public_url()
    live = found.live
    if found.provider != "Twilio":
        raise ActionRefused(f"Nothing was set: texts go by {found.provider}, not by Twilio.")
    if address.verdict == "failing":
        raise ActionRefused(f"{_NOT_SET}{address.reason} {address.fix}")
    if live.credentials is None or live.sender is None:
        raise ActionRefused(f"{_NOT_SET}Set SmsGatewayAuthentication and SmsGatewaySettings first.")
    account, urls = open_account(live.credentials), webhook_urls()
    db.session.rollback()
    for done, sender in enumerate(live.sender.individual_senders):
        refusal = _set_webhooks(sender, account, urls)
        if refusal is not None:
            raise ActionRefused(f"{f'Set for {done:,} of the numbers only. ' if done else _NOT_SET}{refusal}")
    return "Both addresses are set at Twilio."


def _set_webhooks(sender: SenderSettings, account: TwilioAccount, urls: tuple[str, str]) -> str | None:
    """Why they could not be set; None when they are."""
    webhook_config = fetch_sender(sender, account).webhook_config
    if webhook_config is None:
        return f"{sender_label(sender.sender_key)} of SmsGatewaySettings is no number of the account."
    if isinstance(webhook_config, TwilioApiError):
        return describe_api_error(webhook_config)
    try:
        if webhook_config.sid == sender.messaging_service_sid:
            account.set_service_webhooks(webhook_config.sid, *urls)
        else:
            account.set_number_webhooks(webhook_config.sid, sender.from_number, *urls)
    except AccountError as error:
        return describe_api_error(error.error)
    return None
