"""Claiming mails: a batch with an attempt row each; while the mail server is away one mail in a while, to try it."""

import secrets
from dataclasses import dataclass

from portal.core.context import settings
from portal.core.extensions import db
from portal.core.transaction import transaction
from portal.delivery.rules.email_circuit_breaker import smtp_cooldown_ms
from portal.delivery.tables import mail_server, ready_queue
from portal.delivery.tables.mail_server import MailServer
from portal.gateways.smtp import parse_url
from portal.messages.rules.message_modes import EmailRoute
from portal.messages.tables import lane_state, transitions, unsent_messages
from portal.settings import app_settings

MAX_BATCH_SIZE = 20
_LEASE_MS = 300_000


@dataclass(frozen=True)
class ClaimedEmail:
    """`failures` is how many mails in a row the server had not taken when this one was claimed.

    `sent_to` is the address that the email override, or its absence, gave it at that moment.
    """

    delivery_id: int
    attempt_id: str
    claimed_at_ms: int
    lease_until_ms: int
    failures: int = 0
    sent_to: str = ""


def server_address() -> str:
    """Under which the server's state is kept: host and port, never the password."""
    found = parse_url(settings().smtp_url)
    return f"{found.host}:{found.port}"


def claim_emails(at_ms: int, limit: int = MAX_BATCH_SIZE) -> list[ClaimedEmail]:
    """A batch of mails with an attempt row each, written before anything is sent."""
    with transaction():
        server = mail_server.lock_mail_server(server_address())
        route = app_settings.email_route(at_ms)
        if server.retry_at_ms > at_ms or route.has_no_destination:
            return []
        return _claim(server, at_ms, limit, route)


def _claim(server: MailServer, at_ms: int, most: int, route: EmailRoute) -> list[ClaimedEmail]:
    trying = smtp_cooldown_ms(server.consecutive_failures)
    waiting = ready_queue.waiting_emails(at_ms, 1 if trying else most, lane_state.running_lanes("email"))
    for other in ("paused", "canceled"):
        transitions.apply_send_state([row.id for row, wanted in waiting if wanted == other], other, at_ms)
    deliveries = [row for row, wanted in waiting if wanted == "ready"]
    if trying and deliveries:
        server.retry_at_ms = at_ms + trying
    for number in {row.lane for row in deliveries}:
        lane_state.advance_lane("email", number, max(row.queue_position for row in deliveries if row.lane == number))
    lease_ms = at_ms + _LEASE_MS
    claimed = [
        ClaimedEmail(
            row.id,
            secrets.token_urlsafe(12),
            at_ms,
            lease_ms,
            server.consecutive_failures,
            route.destination_for(row.address),
        )
        for row in deliveries
    ]
    transitions.start_attempts([_attempt_row(item, route) for item in claimed], at_ms)
    return claimed


def can_claim_emails(at_ms: int) -> bool:
    """Whether a mail's turn has come, and the server is not left alone just now."""
    next_ms = unsent_messages.next_due_ms("email", lane_state.running_lanes("email"))
    server = mail_server.find_mail_server(server_address())
    rests = server is not None and server.retry_at_ms > at_ms
    rests = rests or app_settings.email_route(at_ms).has_no_destination
    db.session.rollback()
    return not rests and next_ms is not None and next_ms <= at_ms


def _attempt_row(claimed: ClaimedEmail, route: EmailRoute) -> dict[str, object]:
    return {
        "id": claimed.attempt_id,
        "delivery_id": claimed.delivery_id,
        "mode": str(route.mode),
        "account_sid": "",
        "sender": "",
        "destination": claimed.sent_to,
        "started_at_ms": claimed.claimed_at_ms,
        "slot_at_ms": claimed.claimed_at_ms,
        "lease_until_ms": claimed.lease_until_ms,
    }
