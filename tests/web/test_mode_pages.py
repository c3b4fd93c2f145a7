"""What pages say of texts that did not go to the phones of those they were meant for."""

import pytest
from flask import Flask
from linting import problems_of
from queue_tools import rows, words
from web_people import Visitor

from portal.clock import now_ms
from portal.extensions import db
from portal.models.communication import Attempt, Delivery
from portal.models.gateway import Sender

OVERRIDE, MEANT = "+1 ••• 0177", "(202) 555-0101"


def ended(app: Flask, delivery_id: int, state: str, mode: str, code: str = "") -> int:
    """The text went out in that mode and ended so; the id of its communication."""
    times = dict.fromkeys(("started_at_ms", "slot_at_ms", "lease_until_ms", "finished_at_ms"), 1)
    with rows(app):
        delivery = db.session.get_one(Delivery, delivery_id)
        delivery.state, delivery.attempts, delivery.error_code = state, 1, code
        db.session.add(
            Attempt(id="a", delivery_id=delivery_id, mode=mode, sent_to="+12025550177", outcome="accepted", **times)
        )
        return delivery.communication_id


def test_a_text_that_went_to_the_override_number_says_so_to_its_recipient_and_to_administrators(
    web_app: Flask, owner: Visitor, admin: Visitor, going: int
) -> None:
    communication_id = ended(web_app, going, "delivered", "override")
    for page in (
        owner.get(f"/MyAccount/CommunicationsHistory/{communication_id}").text,
        admin.get(f"/Admin/Communications/{communication_id}").text,
    ):
        assert "Override: delivered" in words(page)
        assert f"It went to the override number {OVERRIDE}. It was meant for {MEANT}." in words(page)
        assert f"to {MEANT}</span>" not in page
        assert problems_of(page) == []
    assert "Override: delivered" in words(admin.get("/Admin/Communications").text)


@pytest.mark.parametrize(("state", "code"), [("simulated", ""), ("simulated_refused", "21610")])
def test_a_simulated_text_is_counted_apart_and_nobody_reads_that_anything_real_happened(
    web_app: Flask, owner: Visitor, admin: Visitor, going: int, state: str, code: str
) -> None:
    communication_id = ended(web_app, going, state, "test", code)
    page = words(owner.get(f"/MyAccount/CommunicationsHistory/{communication_id}").text)
    assert f"Test mode: nothing real left. It was meant for {MEANT}." in page
    assert "STOP" not in page
    assert f"to {MEANT}</span>" not in admin.get(f"/Admin/Communications/{communication_id}").text
    progress = admin.get("/Admin/Sends/1").text
    assert "1 of 1 sent or simulated" in words(progress)
    assert 'data-group="simulated"' in progress
    assert "“Simulated”: test mode was on, so nothing real left." in progress
    assert problems_of(progress) == []
    assert "1 simulated" in words(admin.get("/Admin/Sends").text)
    assert "Notice for Olive Owner" in admin.get("/Admin/Communications?group=simulated&channel=sms").text
    assert "Notice for Olive Owner" not in admin.get("/Admin/Communications?group=delivered&channel=sms").text


def test_a_provider_that_does_not_answer_shows_on_every_page_of_administrators(
    web_app: Flask, owner: Visitor, admin: Visitor, sysadmin: Visitor, going: int
) -> None:
    with rows(web_app):
        db.session.add(Sender(number="+12025550199", next_free_at_us=0, paused_reason="", away_since_ms=1))
    for page in (admin.get("/Admin/Sends").text, admin.get("/Admin/Accounts").text):
        assert "Twilio does not answer Texts wait. None is lost" in words(page)
        assert problems_of(page) == []
    assert "The gateway does not answer, so there is no telling" in words(admin.get("/Admin/Sends/1").text)
    assert "Not reached The gateway has not answered since" in words(sysadmin.get("/SysAdmin/Queues").text)
    assert "does not answer" not in owner.get("/MyAccount/CommunicationsHistory").text
    with rows(web_app):
        delivery = db.session.get_one(Delivery, going)
        delivery.state, delivery.state_at_ms = "unknown", now_ms()
    assert "Twilio does not answer" in words(admin.get("/Admin/Sends").text)
    with rows(web_app):
        db.session.get_one(Delivery, going).state = "canceled"
    assert "does not answer" not in admin.get("/Admin/Sends").text, "nothing waits for it"
