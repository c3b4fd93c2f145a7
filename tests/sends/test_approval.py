"""A send to many people needs a second administrator."""

import threading
from collections import Counter

import pytest
from flask import Flask
from sqlalchemy import select, update

from portal.accounts.tables.accounts import Account
from portal.accounts.tables.phone_numbers import PhoneState
from portal.core.audit_log import AuditEntry, entries_about
from portal.core.clock import now_ms
from portal.core.errors import ActionRefused, InvalidInput
from portal.core.extensions import db
from portal.core.transaction import transaction
from portal.delivery.tables import quarantine
from portal.gateways import queue
from portal.messages.tables.communications import Communication
from portal.sends import fan_out, send_approval, send_control, send_creation
from portal.sends.tables.sends import Send, count_sends_to_approve, sends_to_approve
from tests.support import scenario

pytestmark = pytest.mark.usefixtures("app")
ALL = {"all": True}


@pytest.fixture(autouse=True)
def gateway_and_accounts(app: Flask) -> None:
    scenario.configure_gateway(SendApprovalRecipients="3")
    scenario.create_accounts(4, with_sms=2)
    scenario.add_template()


@pytest.fixture
def people() -> list[int]:
    """The ids of the author and of two other administrators."""
    return list(db.session.scalars(select(Account.id).order_by(Account.id).limit(3)))


@pytest.fixture
def send_id(people: list[int]) -> int:
    return send_creation.create_send("renewal", ALL, {}, people[0], now_ms())


def send(send_id: int) -> Send:
    db.session.remove()
    return db.session.get_one(Send, send_id)


def communication_count() -> int:
    db.session.rollback()
    return len(list(db.session.scalars(select(Communication.id))))


def actions(send_id: int) -> list[tuple[str, int | None]]:
    query = select(AuditEntry.action, AuditEntry.actor_id).where(AuditEntry.subject == f"send {send_id}")
    return [(action, actor_id) for action, actor_id in db.session.execute(query.order_by(AuditEntry.id))]


def test_send_to_more_people_than_the_limit_waits(send_id: int) -> None:
    fan_out.fan_out_send(send_id, now_ms)
    assert (send(send_id).state, communication_count()) == ("awaiting_approval", 0)
    assert fan_out.unfinished_send_ids(now_ms()) == []
    assert (count_sends_to_approve(), [row.id for row in sends_to_approve()]) == (1, [send_id])


def test_send_to_as_many_people_as_the_limit_begins(people: list[int]) -> None:
    audience = {"external_ids": ["P-0", "P-1", "P-2"]}
    send_id = send_creation.create_send("renewal", audience, {}, people[0], now_ms())
    assert send(send_id).state == "queued"


def test_approved_send_goes_out(send_id: int, people: list[int]) -> None:
    send_approval.approve_send(send_id, people[1], now_ms())
    fan_out.fan_out_send(send_id, now_ms)
    assert (communication_count(), send(send_id).approved_by_id) == (4, people[1])
    assert actions(send_id) == [("send_created", people[0]), ("send_approved", people[1])]


def test_author_cannot_decide_alone(send_id: int, people: list[int]) -> None:
    with pytest.raises(ActionRefused, match="another administrator must decide"):
        send_approval.approve_send(send_id, people[0], now_ms())
    with pytest.raises(ActionRefused, match="another administrator must decide"):
        send_approval.decline_send(send_id, "No", people[0], now_ms())
    assert send(send_id).state == "awaiting_approval"


def test_declined_send_ends_with_its_reason(send_id: int, people: list[int]) -> None:
    send_approval.decline_send(send_id, " Wrong date\r\n", people[1], now_ms())
    fan_out.fan_out_send(send_id, now_ms)
    assert (send(send_id).state, communication_count()) == ("canceled", 0)
    entry = db.session.scalars(select(AuditEntry).where(AuditEntry.action == "send_declined")).one()
    assert entry.detail == {"reason": "Wrong date"}


@pytest.mark.parametrize(("reason", "problem"), [(" \u200b", "Enter a reason"), ("x" * 501, "500 characters or fewer")])
def test_invalid_reason_is_refused(send_id: int, people: list[int], reason: str, problem: str) -> None:
    with pytest.raises(InvalidInput, match=problem) as error:
        send_approval.decline_send(send_id, reason, people[1], now_ms())
    assert list(error.value.errors) == ["reason"]
    assert send(send_id).state == "awaiting_approval"


def test_only_the_author_withdraws(send_id: int, people: list[int]) -> None:
    with pytest.raises(ActionRefused, match="Only the person who made this send"):
        send_approval.withdraw_send(send_id, people[1], now_ms())
    send_approval.withdraw_send(send_id, people[0], now_ms())
    assert send(send_id).state == "canceled"
    with pytest.raises(ActionRefused, match="no longer waits for approval"):
        send_approval.approve_send(send_id, people[1], now_ms())


def test_approval_counts_the_texts_anew(send_id: int, people: list[int]) -> None:
    assert send(send_id).planned_texts == 2
    with transaction() as session:
        session.add(PhoneState(number=scenario.phone_number(0), stopped_at_ms=1))
    send_approval.approve_send(send_id, people[1], now_ms())
    assert send(send_id).planned_texts == 1


def test_approved_send_can_still_be_undone(send_id: int, people: list[int]) -> None:
    at_ms = now_ms()
    send_approval.approve_send(send_id, people[1], at_ms, undo_seconds=10)
    assert send(send_id).starts_at_ms == at_ms + 10_000
    send_control.undo_send(send_id, people[1], at_ms + 9_999)
    assert send(send_id).state == "canceled"


def test_approval_after_the_deadline_must_be_confirmed(people: list[int]) -> None:
    deadline_ms = now_ms() + 1_000
    late_id, timely_id = (
        send_creation.create_send("renewal", ALL, {}, people[0], now_ms(), start_deadline_ms=deadline_ms)
        for _ in range(2)
    )
    send_approval.approve_send(timely_id, people[1], deadline_ms)
    with pytest.raises(ActionRefused, match="too late for its schedule"):
        send_approval.approve_send(late_id, people[1], deadline_ms + 1)
    assert [send(send_id).state for send_id in (timely_id, late_id)] == ["queued", "awaiting_approval"]
    send_approval.approve_send(late_id, people[1], deadline_ms + 1, is_late_accepted=True)
    assert send(late_id).state == "queued"
    assert [entry.detail for entry in entries_about(f"send {late_id}", ["send_approved"])] == [{"late": "accepted"}]


def test_waiting_send_can_be_neither_paused_nor_canceled(send_id: int, people: list[int]) -> None:
    for change in (send_control.pause_send, send_control.cancel_send, send_control.archive_send):
        with pytest.raises(ActionRefused):
            change(send_id, people[1], now_ms())
    assert send(send_id).state == "awaiting_approval"


def test_restored_database_pauses_what_waits_for_approval(send_id: int, people: list[int]) -> None:
    """It may have been approved and sent after the backup."""
    with transaction():
        assert quarantine.pause_unfinished_fan_outs(now_ms()) == [send_id]
    send_approval.approve_send(send_id, people[1], now_ms())
    fan_out.fan_out_send(send_id, now_ms)
    assert scenario.count_states("email") == {"paused": 4}


def test_fifty_parallel_approvals_make_one_send(
    app: Flask, send_id: int, people: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    enqueued: list[int] = []
    monkeypatch.setattr(queue, "enqueue", lambda _url, job, *ids: enqueued.append(*ids) if ids else None)
    db.session.execute(update(Account).values(role="admin"))
    db.session.commit()
    start, outcomes = threading.Barrier(50), Counter[str]()

    def approve(index: int) -> None:
        with app.app_context():
            start.wait()
            try:
                send_approval.approve_send(send_id, people[1 + index % 2], now_ms())
                outcomes["approved"] += 1
            except ActionRefused as error:
                outcomes[error.message.partition(":")[0]] += 1
            fan_out.fan_out_send(send_id, now_ms)
            db.session.remove()

    threads = [threading.Thread(target=approve, args=(index,)) for index in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes == {"approved": 1, "This send no longer waits for approval": 49}
    assert enqueued == [send_id]
    assert communication_count() == 4
    assert [action for action, _actor in actions(send_id)] == ["send_created", "send_approved"]
