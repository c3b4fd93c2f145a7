"""After a send: whom it did not reach, the next round, and the archive."""

import csv
import io
import re

import pytest
from flask import Flask
from sqlalchemy import update

from portal.core.extensions import db
from portal.messages.tables.communications import Delivery
from portal.sends.tables.sends import Send
from tests.support.html_checks import find_page_problems
from tests.support.page_queries import app_transaction, audit_entries, visible_text
from tests.support.web_client import WebClient


@pytest.fixture(autouse=True)
def finished_send(web_app: Flask, ready_text_id: int) -> None:
    """Send 1 reached nobody of its six recipients by email, and one of them by text."""
    with app_transaction(web_app):
        db.session.execute(
            update(Delivery).where(Delivery.channel == "email").values(state="rejected", reason="Box full")
        )
        db.session.execute(update(Delivery).where(Delivery.id == ready_text_id).values(state="delivered"))
        db.session.execute(update(Send).values(state="done", finished_at_ms=1))


def test_people_not_reached_are_listed(admin: WebClient) -> None:
    page = visible_text(admin.get("/Admin/Sends/1").text)
    assert "5 people have neither an accepted email nor a delivered text" in page
    listing = admin.get("/Admin/Sends/1/unreached").text
    assert find_page_problems(listing) == []
    assert "Stan Stranger" in listing
    assert "Olive Owner" not in listing


def test_export_for_letters_has_reasons_but_no_phone_numbers(web_app: Flask, admin: WebClient) -> None:
    answer = admin.get("/Admin/Sends/1/unreached.csv")
    rows = list(csv.reader(io.StringIO(answer.get_data(as_text=True).removeprefix("\ufeff"))))
    assert rows[0] == ["Account number", "Name", "Email", "Reasons"]
    assert rows[1][:3] == ["P-2", "Stan Stranger", "stranger@example.org"]
    assert rows[1][3] == "Email: Rejected. Box full.; Text: Email only. No phone number on the account."
    assert len(rows) == 6
    assert not re.search(r"\+1\d{10}", answer.text)
    assert ("unreached_exported", "send 1") in audit_entries(web_app)


def test_next_round_is_one_click(web_app: Flask, admin: WebClient) -> None:
    page = admin.get("/Admin/Sends/1").text
    assert "Send again to these 5 people" in page
    locations = {admin.post("/Admin/Sends/1/rounds", outcome="unreached", number="1").location for _click in range(2)}
    assert locations == {"/Admin/Sends/2"}
    page = admin.get("/Admin/Sends/2").text
    assert "Whoever send 1 did not reach" in page
    assert find_page_problems(page) == []
    page = visible_text(admin.get("/Admin/Sends/1").text)
    assert "Round 1, made just now" in page
    assert "Send 2, an earlier round, has not ended yet. Wait for its end or cancel it." in page
    assert "Send again to these 5 people" not in page


def test_undone_round_leads_back_to_the_earlier_send(admin: WebClient) -> None:
    admin.post("/Admin/Sends/1/rounds", outcome="unreached", number="1")
    assert admin.post("/Admin/Sends/2/undo").location == "/Admin/Sends/1"


@pytest.mark.parametrize(
    ("outcome", "number"), [("strangers", "1"), ("unreached", ""), ("unreached", "0"), ("unreached", "x"), ("", "1")]
)
def test_unknown_round_is_404(admin: WebClient, outcome: str, number: str) -> None:
    assert admin.post("/Admin/Sends/1/rounds", outcome=outcome, number=number).status_code == 404


def test_archived_send_moves_to_the_filter(admin: WebClient) -> None:
    admin.post("/Admin/Sends/1/archive")
    assert "/Admin/Sends/1" not in admin.get("/Admin/Sends").text
    archived = admin.get("/Admin/Sends?show=archived").text
    assert 'href="/Admin/Sends/1"' in archived
    assert find_page_problems(archived) == []
    admin.post("/Admin/Sends/1/unarchive")
    assert 'href="/Admin/Sends/1"' in admin.get("/Admin/Sends").text
    assert "No send is archived" in admin.get("/Admin/Sends?show=archived").text
