"""Email always goes, at least once, with the same Message-ID, and trouble with one address holds up nobody else."""

import parts
import pytest
import world
from sqlalchemy import update

from portal.extensions import db
from portal.models.communication import Delivery

pytestmark = pytest.mark.usefixtures("app")


@pytest.fixture(autouse=True)
def three_mails(app: object) -> None:
    world.open_gateway()
    world.people(3)
    world.template()
    world.send()


def due_now() -> None:
    db.session.execute(update(Delivery).values(next_at_ms=0))
    db.session.commit()


def test_a_mail_has_text_and_html_and_the_link_to_the_portals_copy(simulator: parts.Simulator) -> None:
    world.drain_mails()
    mail = next(mail for mail in simulator.mails() if mail["to"] == ["p0@example.org"])
    assert mail["subject"] == "Your renewal is due, Person"
    assert "whole story" in mail["text"]
    assert "<strong" in mail["html"]
    assert "style=" in mail["html"], "styles are inlined"
    assert "/c/" in mail["text"]
    assert "/c/" in mail["html"]


def test_a_server_that_asks_to_wait_gets_the_same_message_later(simulator: parts.Simulator) -> None:
    simulator.faults(smtp=[{"kind": "451_rcpt", "to": "p1@example.org", "count": 1}])
    world.drain_mails()
    assert world.states("email") == {"mailed": 2, "ready": 1}
    due_now()
    world.drain_mails()
    assert world.states("email") == {"mailed": 3}
    assert len({mail["message_id"] for mail in simulator.mails()}) == 3


def test_a_mail_that_may_have_arrived_is_sent_again_under_the_same_message_id(simulator: parts.Simulator) -> None:
    simulator.faults(smtp=[{"kind": "drop_after_data", "count": 1}])
    world.drain_mails()
    due_now()
    world.drain_mails()
    ids = [mail["message_id"] for mail in simulator.mails()]
    assert (len(ids), len(set(ids))) == (4, 3)
    assert world.states("email") == {"mailed": 3}


def test_an_address_that_is_refused_is_final_and_the_others_go(simulator: parts.Simulator) -> None:
    simulator.faults(smtp=[{"kind": "550_rcpt", "to": "p1@example.org"}])
    world.drain_mails()
    assert world.states("email") == {"mailed": 2, "rejected": 1}


def test_an_address_nobody_could_write_is_refused_and_the_others_go(simulator: parts.Simulator) -> None:
    db.session.execute(update(Delivery).where(Delivery.address == "p1@example.org").values(address="a..b@@x"))
    db.session.commit()
    world.drain_mails()
    assert world.states("email") == {"mailed": 2, "rejected": 1}


def test_a_mail_server_that_is_away_loses_nothing(simulator: parts.Simulator) -> None:
    simulator.faults(smtp=[{"kind": "refuse_connect", "count": 3}])
    world.drain_mails()
    assert world.states("email") == {"ready": 3}
    simulator.faults()
    due_now()
    world.drain_mails()
    assert len(simulator.mails()) == 3
