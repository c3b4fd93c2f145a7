"""Claiming mails: a batch with an attempt row each; while the mail server is away one mail in a while, to try it."""

import secrets
from dataclasses import dataclass

from portal.actions import settings as app_settings
from portal.actions.transaction import transaction
from portal.context import settings
from portal.domain.mail_breaker import rest_ms
from portal.domain.rehearsal import EmailRoute
from portal.extensions import db
from portal.gateways.smtp import parse_url
from portal.models import claims, due, lane, mail_server
from portal.models.mail_server import MailServer

MOST_AT_ONCE = 20
_LEASE_MS = 300_000


@dataclass(frozen=True)
class Claimed:
    """`failures` is how many mails in a row the server had not taken when this one was claimed.

    `sent_to` is the address that the email override, or its absence, gave it at that moment.
    """

    delivery_id: int
    attempt_id: str
    claimed_ms: int
    lease_until_ms: int
    failures: int = 0
    sent_to: str = ""


def server_address() -> str:
    """Under which the server's state is kept: host and port, never the password."""
    found = parse_url(settings().smtp_url)
    return f"{found.host}:{found.port}"


def claim(at_ms: int, most: int = MOST_AT_ONCE) -> list[Claimed]:
    """A batch of mails with an attempt row each, written before anything is sent."""
    with transaction():
        server = mail_server.locked(server_address())
        route = app_settings.email_route(at_ms)
        if server.rests_until_ms > at_ms or route.has_no_destination:
            return []
        return _claim(server, at_ms, most, route)


def _claim(server: MailServer, at_ms: int, most: int, route: EmailRoute) -> list[Claimed]:
    trying = rest_ms(server.failures)
    waiting = due.waiting_mails(at_ms, 1 if trying else most, lane.running("email"))
    for other in ("held", "canceled"):
        claims.set_aside([row.id for row, wanted in waiting if wanted == other], other, at_ms)
    deliveries = [row for row, wanted in waiting if wanted == "ready"]
    if trying and deliveries:
        server.rests_until_ms = at_ms + trying
    for number in {row.lane for row in deliveries}:
        lane.move_on("email", number, max(row.turn for row in deliveries if row.lane == number))
    lease_ms = at_ms + _LEASE_MS
    claimed = [
        Claimed(row.id, secrets.token_urlsafe(12), at_ms, lease_ms, server.failures, route.sent_to(row.address))
        for row in deliveries
    ]
    claims.start_attempts([_row(item, route) for item in claimed], at_ms)
    return claimed


def may_claim(at_ms: int) -> bool:
    """Whether a mail's turn has come, and the server is not left alone just now."""
    next_ms = due.next_waiting_ms("email", lane.running("email"))
    server = mail_server.found(server_address())
    rests = server is not None and server.rests_until_ms > at_ms
    rests = rests or app_settings.email_route(at_ms).has_no_destination
    db.session.rollback()
    return not rests and next_ms is not None and next_ms <= at_ms


def _row(claimed: Claimed, route: EmailRoute) -> dict[str, object]:
    return {
        "id": claimed.attempt_id,
        "delivery_id": claimed.delivery_id,
        "mode": str(route.mode),
        "account_sid": "",
        "sender": "",
        "sent_to": claimed.sent_to,
        "started_at_ms": claimed.claimed_ms,
        "slot_at_ms": claimed.claimed_ms,
        "lease_until_ms": claimed.lease_until_ms,
    }
