"""Record what the outcomes of emails say about the mail server, and when to retry it."""

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
    """`down_since_ms` is None while the server accepts mail; otherwise `last_error` and `next_retry_ms` apply."""

    address: str
    down_since_ms: int | None
    next_retry_ms: int
    last_error: str


def mail_server_status() -> MailServerStatus:
    address = server_address()
    row = mail_server.find_mail_server(address)
    if row is None:
        return MailServerStatus(address, None, 0, "")
    return MailServerStatus(address, row.down_since_ms, row.retry_at_ms, row.last_error)


def server_signal(outcome: Outcome) -> ServerSignal:
    """A fault of one email shows that the server works; a fault of the portal says nothing about the server."""
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
    """Inside a transaction, after the deliveries’ rows. The server’s row is written only if it changes."""
    signals = [sign for sign in map(server_signal, outcomes) if sign is not ServerSignal.NONE]
    if not signals:
        return
    row = mail_server.lock_mail_server(server_address())
    failures = count_smtp_failures(row.consecutive_failures, signals)
    if failures == row.consecutive_failures:
        return
    if smtp_cooldown_ms(row.consecutive_failures) and not smtp_cooldown_ms(failures):
        transitions.retry_emails_now(now_ms)
    row.consecutive_failures = failures
    row.retry_at_ms = now_ms + smtp_cooldown_ms(failures) if smtp_cooldown_ms(failures) else 0
    row.down_since_ms = (row.down_since_ms or now_ms) if smtp_cooldown_ms(failures) else None
    row.last_error = _last_error_message(outcomes) if smtp_cooldown_ms(failures) else ""


def retry_mail_server_now(now_ms: int) -> None:
    """Probe with one email at once; if the server accepts it, the others follow."""
    with transaction():
        row = mail_server.lock_mail_server(server_address())
        row.retry_at_ms = min(row.retry_at_ms, now_ms)
        transitions.retry_emails_now(now_ms)
    queue.enqueue(settings().redis_url, "drain_email")


def _last_error_message(outcomes: Sequence[Outcome]) -> str:
    messages = [outcome.message for outcome in outcomes if not isinstance(outcome, Accepted)]
    return messages[-1] if messages else ""
