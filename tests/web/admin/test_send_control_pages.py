"""Pausing, resuming and cancelling on a send's page, and what is said of when its last text leaves."""

import re

import pytest
from flask import Flask
from sqlalchemy import select, update

from portal.core.clock import now_ms
from portal.core.extensions import db
from portal.messages.tables.communications import Delivery
from portal.sends import send_control
from portal.sends.tables.sends import Send
from portal.settings.tables.sending_numbers import SendingNumber
from tests.support.page_queries import app_transaction, visible_text
from tests.support.web_client import WebClient


def test_an_administrator_pauses_resumes_and_cancels_a_send_on_its_page(
    web_app: Flask, admin: WebClient, ready_text_id: int
) -> None:
    assert re.search(r"The last text leaves about \d\d:\d\d", visible_text(admin.get("/Admin/Sends/1").text))
    admin.post("/Admin/Sends/1/pause")
    page = visible_text(admin.get("/Admin/Sends/1").text)
    assert "This send is paused, so there is no telling when the last text leaves." in page
    assert "Paused just now by Name of A-1" in page
    assert "Paused" in visible_text(admin.get("/Admin/Sends").text)
    admin.post("/Admin/Sends/1/resume")
    question = visible_text(admin.get("/Admin/Sends/1/cancel").text)
    assert "It stops 6 emails and 1 text." in question
    assert "What has left has left: 0 emails and 0 texts." in question
    assert "Cancelled" not in visible_text(admin.get("/Admin/Sends/1").text)
    admin.post("/Admin/Sends/1/cancel")
    page = visible_text(admin.get("/Admin/Sends/1").text)
    assert "Cancelled just now by Name of A-1" in page
    assert "Pause" not in page
    assert "Cancelled" in visible_text(admin.get("/Admin/Sends").text)


def test_what_has_left_and_what_is_on_its_way_is_told_before_cancelling(
    web_app: Flask, admin: WebClient, ready_text_id: int
) -> None:
    with app_transaction(web_app):
        mails = list(db.session.scalars(select(Delivery.id).where(Delivery.channel == "email").order_by(Delivery.id)))
        for ids, state in ((mails[:3], "handed_off"), (mails[3:4], "sending"), ([ready_text_id], "accepted")):
            db.session.execute(update(Delivery).where(Delivery.id.in_(ids)).values(state=state))
    question = visible_text(admin.get("/Admin/Sends/1/cancel").text)
    assert "It stops 2 emails and 0 texts." in question
    assert "What has left has left: 3 emails and 1 text." in question
    assert "1 email is on the way at this moment" in question


def test_a_send_that_has_ended_is_not_asked_about_and_not_steered(
    web_app: Flask, admin: WebClient, ready_text_id: int
) -> None:
    with app_transaction(web_app):
        db.session.get_one(Send, 1).state = "done"
    assert admin.get("/Admin/Sends/1/cancel").status_code == 303
    for verb in ("pause", "resume", "cancel"):
        assert admin.post(f"/Admin/Sends/1/{verb}").status_code == 303
        assert "ended already" in admin.get("/Admin/Sends/1").text
        assert admin.post(f"/Admin/Sends/99/{verb}").status_code == 404
    assert "Cancel this send" not in admin.get("/Admin/Sends/1").text


def test_a_cancelled_send_stops_being_looked_at(web_app: Flask, admin: WebClient, ready_text_id: int) -> None:
    admin.post("/Admin/Sends/1/cancel")
    assert "hx-trigger" in admin.get("/Admin/Sends/1/progress").text
    with web_app.app_context():
        send_control.apply_to_deliveries(1, now_ms)
    assert "hx-trigger" not in admin.get("/Admin/Sends/1/progress").text


def test_while_texts_are_off_a_sends_page_says_nothing_of_them(
    web_app: Flask, admin: WebClient, sent_communications: dict[str, int]
) -> None:
    question = visible_text(
        re.sub(r'<aside id="mode".*?</aside>', "", admin.get("/Admin/Sends/1/cancel").text, flags=re.DOTALL)
    )
    assert "It stops 6 emails." in question
    assert "text" not in question.lower()


def test_the_confirmation_says_when_the_last_text_leaves_and_what_is_only_estimated(
    web_app: Flask, admin: WebClient, ready_text_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = visible_text(admin.post("/Admin/Sends/confirm", template="notice", audience_type="all").text)
    assert re.search(r"The last text leaves about \d\d:\d\d", page)
    assert "1 other send takes turns with it: 1 segment of theirs leaves meanwhile." in page
    assert "worked out from the visible_text" not in page


def test_a_last_text_beyond_ten_hours_is_warned_of_before_the_send_and_on_its_page(
    web_app: Flask, admin: WebClient, ready_text_id: int
) -> None:
    def warned() -> list[bool]:
        pages = (
            admin.post("/Admin/Sends/confirm", template="notice", audience_type="all"),
            admin.get("/Admin/Sends/1"),
        )
        return ["more than ten hours after the send begins" in visible_text(page.text) for page in pages]

    with app_transaction(web_app):
        db.session.get_one(Send, 1).created_at_ms = now_ms()
        db.session.add(SendingNumber(number="+12025550199", next_free_at_us=(now_ms() + 9 * 3_600_000) * 1000))
    assert warned() == [False, False]
    with app_transaction(web_app):
        db.session.get_one(Send, 1).created_at_ms = now_ms() - 2 * 3_600_000
    assert warned() == [False, True], "nine hours more, eleven in all"
    with app_transaction(web_app):
        db.session.get_one(SendingNumber, "+12025550199").next_free_at_us = (now_ms() + 11 * 3_600_000) * 1000
    assert warned() == [True, True]


def test_of_a_cancelled_send_the_page_says_how_much_of_it_left(
    web_app: Flask, admin: WebClient, ready_text_id: int
) -> None:
    with app_transaction(web_app):
        mails = list(db.session.scalars(select(Delivery.id).where(Delivery.channel == "email").order_by(Delivery.id)))
        db.session.execute(update(Delivery).where(Delivery.id.in_(mails[:2])).values(state="handed_off"))
    admin.post("/Admin/Sends/1/cancel")
    with web_app.app_context():
        send_control.apply_to_deliveries(1, now_ms)
    page = visible_text(admin.get("/Admin/Sends/1").text)
    assert "2 of 6 sent" in page
    assert "0 of 1 sent Cancelled 1" in page
    assert "4 cancelled" in visible_text(admin.get("/Admin/Sends").text)
