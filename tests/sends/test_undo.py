"""A new send can be undone for some seconds, and begins at the moment at which they are over."""

import time

import pytest
from flask import Flask
from sqlalchemy import select

from jobs import scheduler
from portal.core.clock import now_ms
from portal.core.errors import ActionRefused
from portal.core.extensions import db
from portal.delivery import maintenance
from portal.gateways import queue
from portal.messages.tables.communications import Communication
from portal.sends import fan_out, send_control, send_creation
from portal.sends.tables.sends import Send
from tests.support import scenario

pytestmark = pytest.mark.usefixtures("app")
ALL = {"all": True}
SECONDS = 20


@pytest.fixture(autouse=True)
def gateway_and_accounts(app: Flask) -> None:
    scenario.configure_gateway()
    scenario.create_accounts(3, with_sms=2)
    scenario.add_template()


def create(seconds: int = SECONDS, key: str = "renewal") -> int:
    return send_creation.create_send(key, ALL, {}, None, now_ms(), undo_seconds=seconds)


def undo(send_id: int, at_ms: int) -> None:
    send_control.undo_send(send_id, 1, at_ms)


def send(send_id: int) -> Send:
    db.session.remove()
    return db.session.get_one(Send, send_id)


def communication_count() -> int:
    db.session.rollback()
    return len(list(db.session.scalars(select(Communication.id))))


def test_send_makes_no_message_before_it_begins() -> None:
    send_id = create()
    starts_at_ms = send(send_id).starts_at_ms
    fan_out.fan_out_send(send_id, lambda: starts_at_ms - 1)
    assert communication_count() == 0
    fan_out.fan_out_send(send_id, lambda: starts_at_ms)
    assert communication_count() == 3


def test_worker_without_redis_finds_the_send_when_it_begins() -> None:
    send_id = create()
    starts_at_ms = send(send_id).starts_at_ms
    assert fan_out.unfinished_send_ids(starts_at_ms - 1) == []
    assert fan_out.unfinished_send_ids(starts_at_ms) == [send_id]


def test_undone_send_never_makes_a_message() -> None:
    send_id = create()
    starts_at_ms = send(send_id).starts_at_ms
    undo(send_id, starts_at_ms - 1)
    fan_out.fan_out_send(send_id, lambda: starts_at_ms)
    assert (send(send_id).state, communication_count()) == ("canceled", 0)
    assert fan_out.unfinished_send_ids(starts_at_ms) == []


def test_send_that_has_begun_cannot_be_undone() -> None:
    send_id = create()
    with pytest.raises(ActionRefused, match="already begun"):
        undo(send_id, send(send_id).starts_at_ms)
    assert send(send_id).state == "queued"


def test_urgent_template_begins_at_once() -> None:
    send_id = create(key=scenario.add_template("exam", urgent=True))
    assert fan_out.unfinished_send_ids(now_ms()) == [send_id]


def test_send_without_time_to_undo_begins_at_once() -> None:
    send_id = create(seconds=0)
    with pytest.raises(ActionRefused, match="already begun"):
        undo(send_id, now_ms())
    assert fan_out.unfinished_send_ids(now_ms()) == [send_id]


def test_expiry_of_texts_is_counted_from_the_beginning() -> None:
    send_id = create(key=scenario.add_template("soon", sms_expiry_hours="1"))
    starts_at_ms = send(send_id).starts_at_ms
    fan_out.fan_out_send(send_id, lambda: starts_at_ms)
    assert {row.sms_expires_at_ms for row in scenario.deliveries("sms")} == {starts_at_ms + 3_600_000}


def test_waiting_send_does_not_hold_up_another() -> None:
    first = create(seconds=0)
    create()
    fan_out.fan_out_send(first, now_ms)
    assert send(first).state == "sending"


@pytest.mark.one_engine
def test_scheduler_enqueues_the_send_when_it_begins(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    enqueued: list[tuple[int, int]] = []
    monkeypatch.setattr(scheduler, "app", lambda: app)
    monkeypatch.setattr(queue, "enqueue", lambda _url, _job, *ids: enqueued.append((ids[0], now_ms())))
    send_id = create(seconds=1)
    starts_at_ms = send(send_id).starts_at_ms
    db.session.remove()
    started = time.monotonic()
    scheduler._wait_for_next_round(1.5)
    assert time.monotonic() - started >= 1.5
    assert [id for id, _at_ms in enqueued] == [send_id]
    assert 0 <= enqueued[0][1] - starts_at_ms < 400


def test_time_to_the_next_start_is_known() -> None:
    assert maintenance.milliseconds_to_next_start(now_ms()) is None
    starts_at_ms = send(create()).starts_at_ms
    assert maintenance.milliseconds_to_next_start(starts_at_ms - 700) == 700
