"""The mail server as it is met: what mails' outcomes say of it, and how long it is left alone."""

from collections.abc import Sequence
from dataclasses import dataclass

from portal.core.context import settings
from portal.core.transaction import transaction
from portal.delivery.email_claim import server_address
from portal.delivery.rules.email_circuit_breaker import ServerSignal, count_smtp_failures, smtp_cooldown_ms
from portal.delivery.tables import mail_server
from portal.gateways import queue
from portal.gateways.outcomes import Accepted, NotSent, Outcome, Rejected
from portal.gateways.rules.smtp_codes import PORTAL_ERROR_CODES, is_sender_fault
from portal.gateways.smtp import SERVER_DOWN
from portal.messages.tables import transitions


@dataclass(frozen=True)
class MailServerStatus:
    """`away_since_ms` is None while it takes mail; else `words` are what was last heard, and it is tried again then."""

    address: str
    down_since_ms: int | None
    next_retry_ms: int
    last_error: str


def mail_server_status() -> MailServerStatus:
    """Without a row nothing is known against it."""
    address = server_address()
    row = mail_server.find_mail_server(address)
    if row is None:
        return MailServerStatus(address, None, 0, "")
    return MailServerStatus(address, row.down_since_ms, row.retry_at_ms, row.last_error)


def server_signal(outcome: Outcome) -> ServerSignal:
    """A mail's own trouble says that the server works; the portal's own says nothing of it."""
    if isinstance(outcome, Accepted):
        return ServerSignal.WORKS
    if isinstance(outcome, NotSent | Rejected) and outcome.code in PORTAL_ERROR_CODES:
        return ServerSignal.NONE
    if isinstance(outcome, NotSent) and outcome.code == SERVER_DOWN:
        return ServerSignal.DOWN
    if isinstance(outcome, NotSent | Rejected) and outcome.is_recipient_fault:
        return ServerSignal.WORKS
    if isinstance(outcome, NotSent | Rejected) and not is_sender_fault(outcome.code, outcome.message):
        return ServerSignal.WORKS
    return ServerSignal.FAILING


def record_server_signals(outcomes: Sequence[Outcome], now_ms: int) -> None:
    """Inside a transaction, after the deliveries' own rows: the server's row is written when it changes only."""
    signs = [sign for sign in map(server_signal, outcomes) if sign is not ServerSignal.NONE]
    if not signs:
        return
    row = mail_server.lock_mail_server(server_address())
    failures = count_smtp_failures(row.consecutive_failures, signs)
    if failures == row.consecutive_failures:
        return
    if smtp_cooldown_ms(row.consecutive_failures) and not smtp_cooldown_ms(failures):
        transitions.retry_emails_now(now_ms)
    row.consecutive_failures = failures
    row.retry_at_ms = now_ms + smtp_cooldown_ms(failures) if smtp_cooldown_ms(failures) else 0
    row.down_since_ms = (row.down_since_ms or now_ms) if smtp_cooldown_ms(failures) else None
    row.last_error = _last_error_message(outcomes) if smtp_cooldown_ms(failures) else ""


def retry_mail_server_now(now_ms: int) -> None:
    """One mail is tried at once; if the server takes it, the others follow."""
    with transaction():
        row = mail_server.lock_mail_server(server_address())
        row.retry_at_ms = min(row.retry_at_ms, now_ms)
        transitions.retry_emails_now(now_ms)
    queue.enqueue(settings().redis_url, "drain_email")


def _last_error_message(outcomes: Sequence[Outcome]) -> str:
    spoken = [outcome.message for outcome in outcomes if not isinstance(outcome, Accepted)]
    return spoken[-1] if spoken else ""
