"""Records expire when the settings say so; what the law needs, what still waits, and totals stay."""

from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select, update

from portal.consent.tables.inbound_messages import InboundMessage
from portal.consent.tables.ledger import ConsentEvent
from portal.consent.tables.reply_notes import ReplyNote
from portal.core.audit_log import AuditEntry, record_audit_entry
from portal.core.errors import InvalidInput
from portal.core.extensions import db
from portal.core.transaction import transaction
from portal.messages.tables.communications import Attempt, Communication, Delivery, Receipt
from portal.records import retention
from portal.records.rules.retention_kinds import DAY_MS, RetentionKind
from portal.records.tables.expired_records import RetentionProgress
from tests.support import scenario
from tests.support.inbound_helpers import receive_text

pytestmark = pytest.mark.usefixtures("records")
NOW_MS = 1_800_000_000_000
OLD_MS, RECENT_MS = NOW_MS - 61 * DAY_MS, NOW_MS - 59 * DAY_MS
AUTHOR_ID = 1
KINDS = {kind.value: kind for kind in RetentionKind}


@pytest.fixture
def records(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Six communications, of which the first four are older than 60 days. The second still waits.

    The fifth and the sixth are younger; the fourth is an invitation.
    """
    scenario.configure_gateway()
    scenario.create_accounts(6, with_sms=6)
    scenario.add_template()
    scenario.create_expanded_send()
    monkeypatch.setattr(retention, "_BATCH_SIZE", 2)
    with transaction() as session:
        session.execute(update(Communication).values(created_at_ms=OLD_MS))
        session.execute(update(Communication).where(Communication.id > 4).values(created_at_ms=RECENT_MS))
        session.execute(update(Communication).where(Communication.id == 4).values(kind="invitation"))
        done = {"state": "delivered", "state_changed_at_ms": OLD_MS, "created_at_ms": OLD_MS}
        session.execute(update(Delivery).values(**done))
        session.execute(update(Delivery).where(Delivery.communication_id == 2).values(state="ready"))
        session.execute(update(Delivery).where(Delivery.communication_id > 4).values(created_at_ms=RECENT_MS))
        for delivery in session.scalars(select(Delivery)):
            session.add(attempt(delivery.id))
            session.add(receipt(delivery.id))
    yield
    db.session.rollback()


def attempt(delivery_id: int) -> Attempt:
    times = dict.fromkeys(("started_at_ms", "slot_at_ms", "lease_until_ms"), OLD_MS)
    return Attempt(id=f"attempt-{delivery_id}", delivery_id=delivery_id, destination="+12025550101", **times)


def receipt(delivery_id: int) -> Receipt:
    return Receipt(
        provider_id=f"SM{delivery_id}", status="delivered", delivery_id=delivery_id, raw={}, received_at_ms=OLD_MS
    )


def run(now_ms: int = NOW_MS, **days: int) -> None:
    """A whole run, with these days for these kinds."""
    retention.save_days({KINDS[kind]: number for kind, number in days.items()}, AUTHOR_ID, now_ms)
    retention.delete_expired(lambda: now_ms)
    db.session.rollback()


def ids_with(*conditions: Any, column: Any = Communication.id) -> list[int]:
    return list(db.session.scalars(select(column).where(*conditions).order_by(column)))


def communications_with(table: Any) -> list[int]:
    query = select(Delivery.communication_id).distinct().order_by(Delivery.communication_id)
    return list(db.session.scalars(query if table is Delivery else query.join(table)))


def test_old_content_is_emptied() -> None:
    run(bodies=60)
    assert ids_with(Communication.body == "", Communication.body_deleted_at_ms == NOW_MS) == [1, 3]
    assert ids_with(Delivery.body == "", Delivery.channel == "sms", column=Delivery.communication_id) == [1, 3]
    assert ids_with(Communication.subject != "") == [1, 2, 3, 4, 5, 6]


def test_message_that_waited_expires_once_it_is_sent() -> None:
    run(bodies=60)
    with transaction() as session:
        session.execute(update(Delivery).values(state="delivered"))
    run(NOW_MS + DAY_MS)
    assert ids_with(Communication.body == "") == [1, 2, 3]


def test_old_attempts_and_receipts_are_deleted() -> None:
    run(events=60)
    assert communications_with(Attempt) == communications_with(Receipt) == [2, 4, 5, 6]
    assert communications_with(Delivery) == [1, 2, 3, 4, 5, 6]


def test_old_deliveries_are_deleted_with_their_history() -> None:
    run(deliveries=60)
    assert communications_with(Delivery) == communications_with(Attempt) == [2, 4, 5, 6]
    assert ids_with() == [1, 2, 3, 4, 5, 6]


def test_texts_from_people_lose_their_words_but_not_those_of_the_ledger() -> None:
    for index, body in enumerate(("When is it?", "STOP", "Thanks", "Later")):
        receive_text(body, scenario.phone_number(index), OLD_MS)
    with transaction() as session:
        session.execute(update(InboundMessage).values(received_at_ms=OLD_MS, needs_review=False))
        session.execute(update(InboundMessage).where(InboundMessage.id == 3).values(needs_review=True))
        session.execute(update(InboundMessage).where(InboundMessage.id == 4).values(received_at_ms=RECENT_MS))
        session.add(ReplyNote(message_id=1, author_id=AUTHOR_ID, text="Called back", created_at_ms=OLD_MS))
    events = db.session.scalar(select(func.count()).select_from(ConsentEvent))
    run(inbound=60)
    assert list(db.session.scalars(select(InboundMessage.body).order_by(InboundMessage.id))) == [
        *("", "STOP", "Thanks", "Later")
    ]
    assert db.session.scalar(select(func.count()).select_from(ReplyNote)) == 0
    assert db.session.scalar(select(func.count()).select_from(ConsentEvent)) == events


def test_old_audit_entries_are_deleted_but_not_erasures() -> None:
    scenario.forget_audit_entries()
    for at_ms, action in ((OLD_MS, "send_paused"), (OLD_MS, "account_erased"), (RECENT_MS, "send_paused")):
        with transaction():
            record_audit_entry(action, "x", None, at_ms)
    run(audit=60)
    kept = select(AuditEntry.action, AuditEntry.at_ms).where(AuditEntry.subject == "x").order_by(AuditEntry.id)
    assert [tuple(row) for row in db.session.execute(kept)] == [("account_erased", OLD_MS), ("send_paused", RECENT_MS)]


def test_everything_is_kept_until_a_setting_says_otherwise() -> None:
    assert not retention.is_run_due(NOW_MS)
    run()
    assert ids_with(Communication.body == "") == []


def test_run_that_is_cut_off_continues_and_runs_once_a_day() -> None:
    retention.save_days({RetentionKind.BODIES: 60}, AUTHOR_ID, NOW_MS)
    retention.delete_expired(lambda: NOW_MS, lambda: True)
    assert retention.is_run_due(NOW_MS)
    assert ids_with(Communication.body == "") == [1]
    run()
    assert ids_with(Communication.body == "") == [1, 3]
    assert not retention.is_run_due(NOW_MS)
    assert retention.is_run_due(NOW_MS + DAY_MS)
    db.session.rollback()
    assert db.session.get_one(RetentionProgress, "bodies").deleted_count == 2


@pytest.mark.parametrize(
    ("days", "counts"),
    [({"bodies": 60}, [4]), ({"bodies": 62}, [0]), ({"bodies": 30, "events": 60}, [6, 8]), ({"audit": None}, [])],
)
def test_preview_counts_what_a_change_would_delete(days: dict[str, int | None], counts: list[int]) -> None:
    previews = retention.preview({KINDS[kind]: number for kind, number in days.items()}, NOW_MS)
    assert [preview.count for preview in previews] == counts


def test_preview_leaves_out_what_has_expired() -> None:
    with transaction() as session:
        session.execute(update(Delivery).values(state="delivered"))
    run(bodies=60)
    (preview,) = retention.preview({RetentionKind.BODIES: 30}, NOW_MS)
    assert preview.count == 2


@pytest.mark.parametrize("text", ["29", "abc", "-1", "36501", "1e3"])
def test_wrong_number_of_days_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput) as refusal:
        retention.parse_days({RetentionKind.BODIES: "90", RetentionKind.AUDIT: text})
    assert list(refusal.value.errors) == ["audit"]
