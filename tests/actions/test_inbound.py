"""STOP and START from the handset: at once, once each, and START gives the texts back to the same account."""

import parts
import pytest
import world
from sqlalchemy import select

from portal.actions import inbound_order
from portal.actions.inbound import take_inbound
from portal.extensions import db
from portal.models.consent import ConsentEvent
from portal.models.inbound import InboundMessage

pytestmark = pytest.mark.usefixtures("app")


@pytest.fixture(autouse=True)
def one_person(app: object) -> None:
    world.open_gateway()
    world.people(1, with_sms=1)
    world.template()


def says(body: str, sid: str, number: str = "") -> None:
    form = {"MessageSid": sid, "From": number or world.number(0), "To": parts.FROM, "Body": body}
    take_inbound(form, world.now_ms())
    db.session.remove()


def test_after_stop_nothing_is_texted_and_start_brings_the_texts_back(simulator: parts.Simulator) -> None:
    world.send()
    says("Stop", "SM1")
    world.drain_texts()
    assert simulator.texts() == []
    assert world.deliveries("sms")[0].reason == "stopped"
    says("START", "SM2")
    inbound_order.order_unsure(lambda: world.now_ms() + 6_000)
    world.send()
    world.drain_texts()
    assert len(simulator.texts()) == 2, "the welcome and the notification"


def test_a_replayed_start_does_not_undo_a_later_stop(simulator: parts.Simulator) -> None:
    says("START", "SM1")
    says("STOP", "SM2")
    for _ in range(3):
        says("START", "SM1")
    world.send()
    assert world.states("sms") == {"skipped": 1}
    assert db.session.scalars(select(ConsentEvent.kind).order_by(ConsentEvent.id)).all() == ["opt_in", "start", "stop"]


def test_a_stop_from_a_number_nobody_knows_silences_it_in_advance(simulator: parts.Simulator) -> None:
    says("STOP", "SM1", world.number(5000))
    world.people_more(1)
    world.send(audience={"external_ids": ["Q-0"]})
    assert world.states("sms") == {"skipped": 1}


@pytest.mark.parametrize("body", ["😀" * 1_600, "a\x00b", "", "who are you?"])
def test_any_other_text_is_kept_and_changes_nothing(body: str) -> None:
    says(body, "SM1")
    says(body, "SM1")
    assert len(db.session.scalars(select(InboundMessage)).all()) == 1
    assert db.session.scalars(select(ConsentEvent.kind)).all() == ["opt_in"]


def test_a_sender_that_is_no_phone_number_changes_nothing() -> None:
    says("STOP", "SM1", "12345")
    says("STOP", "SM2", "BANK")
    assert db.session.scalars(select(ConsentEvent.kind)).all() == ["opt_in"]
