"""Claim emails: a batch with an attempt row each, or a single one as a probe while the mail server is down."""

import secrets
from dataclasses import dataclass

from portal.core.context import settings
from portal.core.extensions import db
from portal.core.rules.delivery_status import DeliveryState
from portal.core.transaction import transaction
from portal.delivery.rules.email_circuit_breaker import smtp_cooldown_ms
from portal.delivery.tables import mail_server, ready_queue
from portal.delivery.tables.mail_server import MailServer
from portal.gateways.smtp import parse_url
from portal.messages.rules.message_modes import EmailRoute
from portal.messages.tables import attempts, lane_state, transitions, unsent_messages
from portal.settings import app_settings

MAX_BATCH_SIZE = 20
_LEASE_MS = 300_000


@dataclass(frozen=True)
class ClaimedEmail:
    """`failures` are the server’s consecutive failures at the claim, `sent_to` the destination, override applied."""

    delivery_id: int
    attempt_id: str
    claimed_at_ms: int
    lease_until_ms: int
    failures: int
    sent_to: str


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
    probe_cooldown_ms = smtp_cooldown_ms(server.consecutive_failures)
    waiting = ready_queue.waiting_emails(at_ms, 1 if probe_cooldown_ms else limit, lane_state.running_lanes("email"))
    for state in (DeliveryState.PAUSED, DeliveryState.CANCELED):
        transitions.follow_send([row.id for row, target in waiting if target == state], state, at_ms)
    deliveries = [row for row, target in waiting if target == DeliveryState.READY]
    if probe_cooldown_ms and deliveries:
        server.retry_at_ms = at_ms + probe_cooldown_ms
    for lane in {row.lane for row in deliveries}:
        lane_state.advance_lane("email", lane, max(row.queue_position for row in deliveries if row.lane == lane))
    lease_ms, failures = at_ms + _LEASE_MS, server.consecutive_failures
    claimed = [
        ClaimedEmail(row.id, secrets.token_urlsafe(12), at_ms, lease_ms, failures, route.destination_for(row.address))
        for row in deliveries
    ]
    attempts.start_attempts([_attempt_row(item, route) for item in claimed], at_ms)
    return claimed


def can_claim_emails(at_ms: int) -> bool:
    """Whether an email is due and the server is not in its cooldown."""
    next_ms = unsent_messages.next_due_ms("email", lane_state.running_lanes("email"))
    server = mail_server.find_mail_server(server_address())
    is_held = (server is not None and server.retry_at_ms > at_ms) or app_settings.email_route(at_ms).has_no_destination
    db.session.rollback()
    return not is_held and next_ms is not None and next_ms <= at_ms


def _attempt_row(claimed: ClaimedEmail, route: EmailRoute) -> dict[str, object]:
    return {
        "id": claimed.attempt_id,
        "delivery_id": claimed.delivery_id,
        "mode": str(route.mode),
        "destination": claimed.sent_to,
        "started_at_ms": claimed.claimed_at_ms,
        "slot_at_ms": claimed.claimed_at_ms,
        "lease_until_ms": claimed.lease_until_ms,
    }
