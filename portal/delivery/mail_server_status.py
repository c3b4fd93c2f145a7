"""Record what the outcomes of emails say about the mail server, and when to retry it."""

from collections.abc import Sequence
from dataclasses import dataclass

from portal.core.context import settings
from portal.core.transaction import transaction
from portal.delivery.email_claim import server_address
from portal.delivery.rules.email_circuit_breaker import ServerSignal, count_smtp_failures, smtp_cooldown_ms
from portal.delivery.tables import mail_server
from portal.delivery.tables.mail_server import MailServer
from portal.gateways import queue
from portal.gateways.outcomes import Accepted, NotSent, Outcome, Rejected
from portal.gateways.rules.smtp_codes import PORTAL_ERROR_CODES, is_sender_fault
from portal.gateways.smtp import SERVER_DOWN
from portal.messages.tables import unsent_messages


@dataclass(frozen=True)
class MailServerStatus:
    """`down_since_ms` is None while the server accepts mail; otherwise `last_error` and `next_retry_ms` apply."""

    address: str
    down_since_ms: int | None
    next_retry_ms: int
    last_error: str


def mail_server_status() -> MailServerStatus:
    address = server_address()
    row = mail_server.find_mail_server(address) or MailServer(retry_at_ms=0, last_error="")
    return MailServerStatus(address, row.down_since_ms, row.retry_at_ms, row.last_error)


def server_signal(outcome: Outcome) -> ServerSignal:
    """A fault of one email shows that the server works; a fault of the portal says nothing about the server."""
    if isinstance(outcome, Accepted):
        return ServerSignal.WORKS
    if not isinstance(outcome, NotSent | Rejected):
        return ServerSignal.FAILING
    if outcome.code in PORTAL_ERROR_CODES:
        return ServerSignal.NONE
    if isinstance(outcome, NotSent) and outcome.code == SERVER_DOWN:
        return ServerSignal.DOWN
    is_sender_rejected = is_sender_fault(outcome.code, outcome.message) and not outcome.is_recipient_fault
    return ServerSignal.FAILING if is_sender_rejected else ServerSignal.WORKS


def record_server_signals(outcomes: Sequence[Outcome], now_ms: int) -> None:
    """Inside a transaction, after the deliveries’ rows. The server’s row is written only if it changes."""
    signals = [signal for signal in map(server_signal, outcomes) if signal is not ServerSignal.NONE]
    if not signals:
        return
    row = mail_server.lock_mail_server(server_address())
    failures = count_smtp_failures(row.consecutive_failures, signals)
    if failures == row.consecutive_failures:
        return
    cooldown_ms = smtp_cooldown_ms(failures)
    if smtp_cooldown_ms(row.consecutive_failures) and not cooldown_ms:
        unsent_messages.retry_emails_now(now_ms)
    messages = [outcome.message for outcome in outcomes if not isinstance(outcome, Accepted)]
    row.consecutive_failures = failures
    row.retry_at_ms = now_ms + cooldown_ms if cooldown_ms else 0
    row.down_since_ms = (row.down_since_ms or now_ms) if cooldown_ms else None
    row.last_error = messages[-1] if cooldown_ms and messages else ""


def retry_mail_server_now(now_ms: int) -> None:
    """Probe with one email at once; if the server accepts it, the others follow."""
    with transaction():
        row = mail_server.lock_mail_server(server_address())
        row.retry_at_ms = min(row.retry_at_ms, now_ms)
        unsent_messages.retry_emails_now(now_ms)
    queue.enqueue(settings().redis_url, "drain_email")
