"""The dashboard: what it counts, what waits for somebody, and what a new installation does first."""

import re
from functools import partial

import pytest
from flask import Flask
from sqlalchemy import select, update

from portal.consent.recording import record
from portal.consent.rules.consent_state import EventKind
from portal.consent.tables.import_tasks import ImportTask, ImportTaskKind, ImportTaskState
from portal.core.clock import now_ms
from portal.core.extensions import db
from portal.messages.tables.communications import Delivery
from portal.schedules.tables.schedules import Schedule
from portal.sends.fan_out import fan_out_send
from portal.sends.send_creation import create_send
from portal.settings import setting_changes
from tests.support.html_checks import find_page_problems
from tests.support.page_queries import app_transaction, visible_text
from tests.support.pages.page_data import add_template_draft
from tests.support.pages.sends_to_show import add_sends_to_show
from tests.support.web_client import WebClient

DAY_MS = 86_400_000


@pytest.fixture
def sent_today(web_app: Flask, sms_enabled: None, sent_communications: dict[str, int]) -> None:
    """A send of today: of six emails, one was rejected; its only text was delivered in two segments."""
    with web_app.app_context():
        send_id = create_send("notice", {"all": True}, {}, None, now_ms())
        fan_out_send(send_id, now_ms)
    with app_transaction(web_app):
        emails = (Delivery.send_id == send_id, Delivery.channel == "email")
        first = select(Delivery.id).where(*emails).limit(1).scalar_subquery()
        db.session.execute(update(Delivery).where(*emails).values(state="handed_off"))
        db.session.execute(update(Delivery).where(Delivery.id == first).values(state="rejected"))
        texts = (Delivery.send_id == send_id, Delivery.channel == "sms", Delivery.state == "ready")
        db.session.execute(update(Delivery).where(*texts).values(state="delivered", segments=2))


def row_of(page: str, table: str, heading: str) -> list[str]:
    """The cells of a row in the table with this name."""
    found = re.search(rf'<table class="figures" aria-label="{table}">.*?</table>', page, re.DOTALL)
    assert found, page
    row = re.search(rf'<th scope="row">{heading}</th>(.*?)</tr>', found[0], re.DOTALL)
    assert row, found[0]
    return [visible_text(cell) for cell in re.findall(r"<td[^>]*>(.*?)</td>", row[1], re.DOTALL)]


def test_messages_are_counted_by_period_and_state(admin: WebClient, sent_today: None) -> None:
    page = admin.get("/Admin").text
    assert find_page_problems(page) == []
    assert row_of(page, "Texts", "Delivered") == ["1"] * 4
    assert row_of(page, "Emails", "Sent") == ["5"] * 4
    assert row_of(page, "Emails", "Not delivered") == ["1"] * 4
    assert row_of(page, "Emails", "Failure rate") == ["16.7%"] * 4


def test_message_of_yesterday_is_not_one_of_today(web_app: Flask, admin: WebClient, sent_today: None) -> None:
    with app_transaction(web_app):
        for days in (1, 10, 40):
            made_at_ms = now_ms() - days * DAY_MS
            send_id = create_send("notice", {"external_ids": ["P-1"]}, {}, None, made_at_ms)
            fan_out_send(send_id, partial(int, made_at_ms))
    assert row_of(admin.get("/Admin").text, "Emails", "Waiting") == ["0", "1", "2", "3"]


def test_charts_say_what_they_show(admin: WebClient, sent_today: None) -> None:
    for days in (7, 30, 90):
        page = admin.get(f"/Admin?days={days}").text
        labels = re.findall(r'<svg[^>]* role="img" aria-label="([^"]*)"', page)
        assert any(label.startswith(f"Texts a day. Delivered: 1 in {days} days, at most 1 on") for label in labels)
        assert any(label.startswith(f"Emails a day. Sent: 5 in {days} days") for label in labels)
        assert page.count("Show as a table") == 3
    assert admin.get("/Admin?days=8").text.count('aria-current="page">30 days<') == 1


def test_segments_have_a_price_by_template_and_month(web_app: Flask, admin: WebClient, sent_today: None) -> None:
    with web_app.app_context():
        setting_changes.set_setting("SmsPricePerSegment", "0.25", None, now_ms())
    page = visible_text(admin.get("/Admin").text)
    assert "Notice 0 segments, $0.00 0 segments, $0.00 2 segments, $0.50" in page


def test_replies_and_opt_ins_are_counted(web_app: Flask, admin: WebClient, sent_today: None) -> None:
    with app_transaction(web_app):
        for kind in (EventKind.INVITED, EventKind.START, EventKind.STOP):
            record("+12025550101", kind, "handset", now_ms(), now_ms(), text=str(kind))
    labels = re.findall(r'aria-label="([^"]*)"', admin.get("/Admin").text)
    assert "Consent in 30 days. Invited: 1. Opted in: 1. Stopped: 1." in labels


def test_what_waits_for_somebody_leads_to_its_page(web_app: Flask, admin: WebClient, recipient_file: int) -> None:
    with app_transaction(web_app):
        task = {"kind": ImportTaskKind.OPT_OUTS, "state": ImportTaskState.REFUSED, "ip": "", "user_agent": ""}
        db.session.add(ImportTask(created_at_ms=now_ms(), **task))
        db.session.add(ImportTask(created_at_ms=now_ms() - 8 * DAY_MS, **task))
    page = admin.get("/Admin").text
    assert re.findall(r'<li><a href="([^"]*)">([^<]*(?:file|File|Import)[^<]*)</a>', page) == [
        ("/Admin/Sends/Files/1", "File exams.csv: 2 rows with errors"),
    ]


def test_imports_that_wait_lead_to_their_pages(web_app: Flask, admin: WebClient, sms_enabled: None) -> None:
    with app_transaction(web_app):
        for kind, state in ((ImportTaskKind.OPT_INS, "checked"), (ImportTaskKind.ATTRIBUTES, "failed")):
            db.session.add(ImportTask(kind=kind, state=state, ip="", user_agent="", created_at_ms=now_ms()))
    assert re.findall(r'<li><a href="([^"]*)">(Import[^<]*)</a>', admin.get("/Admin").text) == [
        ("/Admin/Attributes/import/2", "Import 2 changed nothing"),
        ("/Admin/Consent/Import/1", "Import 1 is checked and can be confirmed"),
    ]


def test_work_that_waits_is_counted(web_app: Flask, admin: WebClient, sms_enabled: None, unknown_text_id: int) -> None:
    add_template_draft(web_app)
    with app_transaction(web_app):
        add_sends_to_show()
    page = visible_text(admin.get("/Admin").text)
    for label in ("1 send to approve", "1 text: outcome not known yet", "1 draft of a template"):
        assert label in page


def test_send_under_way_and_next_schedule_are_shown(web_app: Flask, admin: WebClient, ready_text_id: int) -> None:
    page = visible_text(admin.get("/Admin").text)
    with web_app.app_context():
        names = db.session.scalars(select(Schedule.name).where(Schedule.kind == "recurring")).all()
    assert "0 of 7 sent" in page
    assert "The oldest waiting text became due" in page
    assert any(name in page for name in names)


def test_new_installation_shows_the_first_steps(admin: WebClient, sysadmin: WebClient) -> None:
    page = admin.get("/Admin").text
    assert find_page_problems(page) == []
    text = visible_text(page)
    assert "Nothing has been sent yet." in text
    assert "Add the people who get messages Done" in text
    assert "Set up the gateway" not in text
    assert "<svg" not in re.sub(r"<aside.*?</aside>|<nav.*?</nav>", "", page, flags=re.DOTALL)
    assert "Set up the gateway Open settings" in visible_text(sysadmin.get("/Admin").text)


def test_dashboard_is_first_in_the_menu(admin: WebClient) -> None:
    first = re.search(
        r'<ul aria-labelledby="menu-1">\s*<li>\s*<a href="([^"]*)"( aria-current="page")?', admin.get("/Admin").text
    )
    assert first
    assert first.groups() == ("/Admin", ' aria-current="page"')
    assert 'href="/Admin" aria-current' not in admin.get("/Admin/Sends").text
