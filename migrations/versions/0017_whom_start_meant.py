"""Numbers whose last START may have meant another account: nobody gets their texts until an administrator has decided.

Before, such a START gave the texts back to the last holder, although somebody else had got the number since, and so did
a confirmation of a dead number. What is derived from the ledger is derived anew for numbers that more than one account
has had; the ledger stays as it is.
"""

import json
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from alembic import op

from portal.domain.consent import Event, Kind, Standing, standing

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

_EVER = 2**62
_SHARED = """
    SELECT number, account_id FROM phone_number held WHERE holds_sms = 1
      AND EXISTS (SELECT 1 FROM consent_event WHERE number = held.number AND kind IN ('start', 'confirmed'))
      AND (EXISTS (SELECT 1 FROM phone_number WHERE number = held.number AND account_id <> held.account_id)
        OR EXISTS (SELECT 1 FROM consent_event WHERE number = held.number AND kind = 'removed'))
"""
_STORY = """
    SELECT e.id, e.kind, e.account_id, e.detail, e.occurred_at_ms, m.order_at_ms, m.order_rank, m.sure
    FROM consent_event e LEFT JOIN inbound_message m ON m.provider_id = e.message_sid AND e.message_sid <> ''
    WHERE e.number = :number
"""
_NOBODY = "UPDATE phone_number SET holds_sms = 0, holds_sms_since_ms = NULL WHERE number = :number"
_GIVE = """
    UPDATE phone_number SET holds_sms = 1, holds_sms_since_ms = :since WHERE number = :number AND account_id = :account
"""
_ASK = """
    UPDATE inbound_message SET asks = 1 WHERE decision = ''
      AND provider_id = (SELECT message_sid FROM consent_event WHERE id = :event_id AND message_sid <> '')
"""


def upgrade() -> None:
    connection = op.get_bind()
    for number, holder in connection.execute(sa.text(_SHARED)).all():
        now = standing(_events(connection, number))
        if now.holder != holder and (now.last_holder is not None or now.unanswered is not None):
            _write(connection, number, now)


def _write(connection: sa.Connection, number: str, now: Standing) -> None:
    """An invitation that Twilio refused for an older STOP counts as a request now, so the holder may be another one."""
    connection.execute(sa.text(_NOBODY), {"number": number})
    if now.holder is not None:
        connection.execute(sa.text(_GIVE), {"number": number, "account": now.holder, "since": now.since_ms})
    elif now.unanswered is not None:
        connection.execute(sa.text(_ASK), {"event_id": now.unanswered})


def downgrade() -> None:
    """The version before derives what it needs from the ledger with the next event of a number."""


def _events(connection: sa.Connection, number: str) -> Iterator[Event]:
    rows = connection.execute(sa.text(_STORY), {"number": number}).all()
    spans = list(_spans(connection, number, rows))
    yield from (Event(0, Kind.ADDED, since_ms, account_id) for account_id, since_ms, _until in spans)
    for row in rows:
        at_ms = row.occurred_at_ms if row.order_at_ms is None else row.order_at_ms
        detail = json.loads(row.detail)
        yield Event(
            id=row.id,
            kind=Kind(row.kind),
            at_ms=at_ms,
            account_id=row.account_id,
            carriers=frozenset(account for account, since, until in spans if since <= at_ms < until),
            rank=row.order_rank or 0,
            sure=row.sure is None or bool(row.sure),
            lifts_no_stop=bool(detail.get("lifts_no_stop")),
            code=str(detail.get("code", "")),
        )


def _spans(connection: sa.Connection, number: str, rows: Any) -> Iterator[tuple[int, int, int]]:
    """Which account had the number from when to when."""
    query = sa.text("SELECT account_id, created_at_ms FROM phone_number WHERE number = :number")
    for account_id, since_ms in connection.execute(query, {"number": number}):
        yield account_id, since_ms, _EVER
    for row in rows:
        if row.kind == Kind.REMOVED and row.account_id is not None:
            yield row.account_id, json.loads(row.detail).get("added_at_ms", 0), row.occurred_at_ms
