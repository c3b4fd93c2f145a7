"""Claim emails: a batch with an attempt row each, or a single one as a probe while the mail server is down."""

from dataclasses import dataclass

from portal.core.context import settings
from portal.core.extensions import db
from portal.core.transaction import transaction
from portal.delivery import claim_policies
from portal.delivery.rules.circuit_breaker import SMTP_BREAKER
from portal.delivery.tables import mail_server, ready_queue
from portal.delivery.tables.mail_server import MailServer
from portal.gateways.smtp import parse_url
from portal.messages.rules.message_modes import EmailRoute
from portal.messages.tables import attempts, lane_state, unsent_messages
from portal.messages.tables.attempts import NewAttempt
from portal.settings import app_settings

MAX_BATCH_SIZE = 20
_LEASE_MS = 300_000


@dataclass(frozen=True)
class ClaimedEmail:
    """`failures` are the server’s consecutive failures at the claim."""

    attempt: NewAttempt
    failures: int


def server_address() -> str:
    """Host and port, which identify the server’s row; never the password."""
    url = parse_url(settings().smtp_url)
    return f"{url.host}:{url.port}"


def claim_emails(at_ms: int, limit: int = MAX_BATCH_SIZE) -> list[ClaimedEmail]:
    """Claim a batch, with attempt rows written before anything is sent."""
    with transaction():
        server = mail_server.lock_mail_server(server_address())
        route = app_settings.email_route(at_ms)
        if server.retry_at_ms > at_ms or route.has_no_destination:
            return []
        return _claim(server, at_ms, limit, route)


def _claim(server: MailServer, at_ms: int, limit: int, route: EmailRoute) -> list[ClaimedEmail]:
    probe_delay_ms = SMTP_BREAKER.probe_delay_ms(server.consecutive_failures)
    waiting = ready_queue.waiting_emails(at_ms, 1 if probe_delay_ms else limit, lane_state.running_lanes("email"))
    emails = claim_policies.skip_deactivated(claim_policies.apply_send_states(waiting, at_ms), at_ms)
    if probe_delay_ms and emails:
        server.retry_at_ms = at_ms + probe_delay_ms
    lane_state.advance_lanes("email", [(email.lane, email.queue_position) for email in emails])
    started = [
        NewAttempt(
            delivery_id=email.delivery_id,
            mode=route.mode,
            destination=route.destination_for(email.address),
            started_at_ms=at_ms,
            slot_at_ms=at_ms,
            lease_until_ms=at_ms + _LEASE_MS,
        )
        for email in emails
    ]
    attempts.start_attempts(started, at_ms)
    return [ClaimedEmail(attempt, server.consecutive_failures) for attempt in started]


def can_claim_emails(at_ms: int) -> bool:
    """Whether an email is due and the server is not in its cooldown."""
    next_ms = unsent_messages.next_due_ms("email", lane_state.running_lanes("email"))
    server = mail_server.read_mail_server(server_address())
    is_held = server.retry_at_ms > at_ms or app_settings.email_route(at_ms).has_no_destination
    db.session.rollback()
    return not is_held and next_ms is not None and next_ms <= at_ms
