"""The page of a send: pause, resume, cancel and forecast."""

import re
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select, update

from portal.content.message_templates import TemplateDraft, create_template, save_template
from portal.core.clock import now_ms
from portal.core.extensions import db
from portal.messages.tables.communications import Delivery
from portal.sends import send_control
from portal.sends.send_creation import create_send
from portal.sends.tables.sends import Send
from portal.settings.tables.sending_numbers import SendingNumber
from tests.support.page_queries import app_transaction, visible_text
from tests.support.web_client import WebClient


def test_send_is_paused_resumed_and_canceled_on_its_page(web_app: Flask, admin: WebClient, ready_text_id: int) -> None:
    assert re.search(r"Estimated time of the last text: \d+:\d\d [AP]M", visible_text(admin.get("/Admin/Sends/1").text))
    admin.post("/Admin/Sends/1/pause")
    page = visible_text(admin.get("/Admin/Sends/1").text)
    assert "This send is paused, so the time of the last text is not known." in page
    assert "Paused just now by Name of A-1" in page
    assert "Paused" in visible_text(admin.get("/Admin/Sends").text)
    admin.post("/Admin/Sends/1/resume")
    confirmation = visible_text(admin.get("/Admin/Sends/1/cancel").text)
    assert "This stops 6 emails and 1 text." in confirmation
    assert "Already sent: 0 emails and 0 texts." in confirmation
    assert "Canceled" not in visible_text(admin.get("/Admin/Sends/1").text)
    admin.post("/Admin/Sends/1/cancel")
    page = visible_text(admin.get("/Admin/Sends/1").text)
    assert "Canceled just now by Name of A-1" in page
    assert "Pause" not in page
    assert "Canceled" in visible_text(admin.get("/Admin/Sends").text)


def test_cancel_page_shows_what_can_still_be_stopped(web_app: Flask, admin: WebClient, ready_text_id: int) -> None:
    with app_transaction(web_app):
        email_ids = list(
            db.session.scalars(select(Delivery.id).where(Delivery.channel == "email").order_by(Delivery.id))
        )
        for ids, state in ((email_ids[:3], "handed_off"), (email_ids[3:4], "sending"), ([ready_text_id], "accepted")):
            db.session.execute(update(Delivery).where(Delivery.id.in_(ids)).values(state=state))
    confirmation = visible_text(admin.get("/Admin/Sends/1/cancel").text)
    assert "This stops 2 emails and 0 texts." in confirmation
    assert "Already sent: 3 emails and 1 text." in confirmation
    assert "1 email is being sent now" in confirmation


def test_ended_send_cannot_be_changed(web_app: Flask, admin: WebClient, ready_text_id: int) -> None:
    with app_transaction(web_app):
        db.session.get_one(Send, 1).state = "done"
    assert admin.get("/Admin/Sends/1/cancel").status_code == 303
    for verb in ("pause", "resume", "cancel"):
        assert admin.post(f"/Admin/Sends/1/{verb}").status_code == 303
        assert "already ended" in admin.get("/Admin/Sends/1").text
        assert admin.post(f"/Admin/Sends/99/{verb}").status_code == 404
    assert "Cancel this send" not in admin.get("/Admin/Sends/1").text


def test_canceled_send_stops_polling(web_app: Flask, admin: WebClient, ready_text_id: int) -> None:
    admin.post("/Admin/Sends/1/cancel")
    assert "hx-trigger" in admin.get("/Admin/Sends/1/progress").text
    with web_app.app_context():
        send_control.apply_to_deliveries(1, now_ms)
    assert "hx-trigger" not in admin.get("/Admin/Sends/1/progress").text


def test_with_texts_off_the_cancel_page_mentions_only_emails(
    web_app: Flask, admin: WebClient, sent_communications: dict[str, int]
) -> None:
    confirmation = visible_text(
        re.sub(r'<aside id="mode".*?</aside>', "", admin.get("/Admin/Sends/1/cancel").text, flags=re.DOTALL)
    )
    assert "This stops 6 emails." in confirmation
    assert "text" not in confirmation.lower()


def test_confirmation_shows_the_forecast(web_app: Flask, admin: WebClient, ready_text_id: int) -> None:
    page = visible_text(admin.post("/Admin/Sends/confirm", template="notice", audience_type="all").text)
    assert re.search(r"Estimated time of the last text: \d+:\d\d [AP]M", page)
    assert "1 other send shares the lane and sends 1 segment in the meantime." in page
    assert "Segments are estimated" not in page


def test_late_send_is_warned_about(web_app: Flask, admin: WebClient, ready_text_id: int) -> None:
    def warnings() -> list[bool]:
        pages = (
            admin.post("/Admin/Sends/confirm", template="notice", audience_type="all"),
            admin.get("/Admin/Sends/1"),
        )
        return ["more than ten hours after the send begins" in visible_text(page.text) for page in pages]

    with app_transaction(web_app):
        db.session.get_one(Send, 1).created_at_ms = now_ms()
        db.session.add(SendingNumber(number="+12025550199", next_free_at_us=(now_ms() + 9 * 3_600_000) * 1000))
    assert warnings() == [False, False]
    with app_transaction(web_app):
        db.session.get_one(Send, 1).created_at_ms = now_ms() - 2 * 3_600_000
    assert warnings() == [False, True], "two hours have passed and nine remain"
    with app_transaction(web_app):
        db.session.get_one(SendingNumber, "+12025550199").next_free_at_us = (now_ms() + 11 * 3_600_000) * 1000
    assert warnings() == [True, True]


def test_canceled_send_shows_what_was_sent(web_app: Flask, admin: WebClient, ready_text_id: int) -> None:
    with app_transaction(web_app):
        email_ids = list(
            db.session.scalars(select(Delivery.id).where(Delivery.channel == "email").order_by(Delivery.id))
        )
        db.session.execute(update(Delivery).where(Delivery.id.in_(email_ids[:2])).values(state="handed_off"))
    admin.post("/Admin/Sends/1/cancel")
    with web_app.app_context():
        send_control.apply_to_deliveries(1, now_ms)
    page = visible_text(admin.get("/Admin/Sends/1").text)
    assert "2 of 6 sent" in page
    assert "0 of 1 sent Canceled 1" in page
    assert "5 canceled" in visible_text(admin.get("/Admin/Sends").text)


@pytest.mark.parametrize(
    "audience", [{"all": True}, {"account_type": "Practitioner"}, {"external_ids": ["P-1", "V-1"]}], ids=str
)
def test_send_again_leads_to_a_send_with_the_same_audience_and_values(
    web_app: Flask, admin: WebClient, audience: dict[str, Any]
) -> None:
    with web_app.app_context():
        template = TemplateDraft("due", "Due", "Due on {{ data.day }}", "Hello.", False, True)
        create_template(template, None, now_ms())
        create_send("due", audience, {"day": "Friday"}, None, now_ms())
    with app_transaction(web_app):
        db.session.get_one(Send, 1).state = "done"
    link = re.search(r'href="(/Admin/Sends/1/again)">Send again…', admin.get("/Admin/Sends/1").text)
    assert link
    confirmation = admin.get(link[1]).text
    assert "Check and send" in confirmation
    fields = dict(re.findall(r'<input type="hidden" name="([\w.]+)" value="([^"]*)">', confirmation))
    assert admin.post("/Admin/Sends", **fields | {"csrf_token": admin.csrf_token()}).status_code == 303
    with web_app.app_context():
        first, second = (db.session.get_one(Send, send_id) for send_id in (1, 2))
        assert (second.audience, second.data) == (first.audience, first.data)
        assert second.version.template_id == first.version.template_id


@pytest.mark.parametrize(
    ("audience", "is_offered"),
    [
        ({"all": True}, True),
        ({"schedule_run": 1}, False),
        ({"round_of": 1, "outcome": "unreached", "until_ms": 1}, False),
    ],
    ids=str,
)
def test_send_again_is_offered_for_people_that_a_form_can_choose(
    web_app: Flask, admin: WebClient, ready_text_id: int, audience: dict[str, Any], is_offered: bool
) -> None:
    with app_transaction(web_app):
        send = db.session.get_one(Send, 1)
        send.state, send.audience = "done", audience
    assert ("Send again…" in admin.get("/Admin/Sends/1").text) is is_offered


def test_send_again_asks_for_values_that_the_template_needs_now(web_app: Flask, admin: WebClient) -> None:
    with web_app.app_context():
        template_id = create_template(TemplateDraft("due", "Due", "Due", "Hello.", False, True), None, now_ms())
        create_send("due", {"external_ids": ["P-1"]}, {}, None, now_ms())
        draft = TemplateDraft("due", "Due", "Due on {{ data.day }}", "Hello.", False, True)
        save_template(template_id, draft, None, now_ms())
    response = admin.get("/Admin/Sends/1/again")
    assert response.status_code == 422
    assert 'aria-invalid="true"' in response.text
    assert "P-1</textarea>" in response.text
