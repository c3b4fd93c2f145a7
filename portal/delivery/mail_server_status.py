"""Record what the outcomes of emails say about the mail server, and when to retry it."""

from collections.abc import Sequence

from portal.core.context import settings
from portal.core.transaction import transaction
from portal.delivery.email_claim import server_address
from portal.delivery.rules.circuit_breaker import SMTP_BREAKER, Signal
from portal.delivery.tables import mail_server
from portal.delivery.tables.mail_server import MailServer
from portal.gateways import queue
from portal.gateways.outcomes import Accepted, NotSent, Outcome, Rejected
from portal.gateways.rules.smtp_codes import PORTAL_ERROR_CODES, is_sender_fault
from portal.gateways.smtp import SERVER_DOWN
from portal.messages.tables import unsent_messages


def mail_server_status() -> MailServer:
    return mail_server.read_mail_server(server_address())


def server_signal(outcome: Outcome) -> Signal:
    """A fault of one email shows that the server works; a fault of the portal says nothing about the server."""
    if isinstance(outcome, Accepted):
        return Signal.WORKS
    if not isinstance(outcome, NotSent | Rejected):
        return Signal.FAILING
    if outcome.code in PORTAL_ERROR_CODES:
        return Signal.NONE
    if isinstance(outcome, NotSent) and outcome.code == SERVER_DOWN:
        return Signal.DOWN
    is_sender_rejected = is_sender_fault(outcome.code, outcome.message) and not outcome.is_recipient_fault
    return Signal.FAILING if is_sender_rejected else Signal.WORKS


def record_server_signals(outcomes: Sequence[Outcome], now_ms: int) -> None:
    """Inside a transaction, after the deliveries’ rows. The server’s row is written only if it changes."""
    signals = [signal for signal in map(server_signal, outcomes) if signal is not Signal.NONE]
    if not signals:
        return
    row = mail_server.lock_mail_server(server_address())
    failures = SMTP_BREAKER.count_failures(row.consecutive_failures, signals)
    if failures == row.consecutive_failures:
        return
    cooldown_ms = SMTP_BREAKER.probe_delay_ms(failures)
    if SMTP_BREAKER.is_open(row.consecutive_failures) and not cooldown_ms:
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
