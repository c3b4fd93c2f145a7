"""What pages say of quiet hours, and of texts that are of use for a while only."""

from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask
from sqlalchemy import update

from portal.content.tables.templates import Template, TemplateVersion
from portal.core.extensions import db
from portal.messages.tables.communications import Delivery
from tests.support.html_checks import find_page_problems
from tests.support.page_queries import app_transaction
from tests.support.web_client import WebClient


@pytest.fixture
def deferred_text_id(web_app: Flask, ready_text_id: int) -> int:
    """The one text of the send waits for the end of quiet hours, in an hour; its id."""
    with app_transaction(web_app):
        ends_ms = round((datetime.now(UTC) + timedelta(hours=1)).timestamp() * 1000)
        deferred = {"state": "deferred", "reason": "quiet_hours", "due_at_ms": ends_ms}
        db.session.execute(update(Delivery).where(Delivery.id == ready_text_id).values(**deferred))
    return ready_text_id


def test_an_administrator_sees_why_a_text_waits_and_until_when(admin: WebClient, deferred_text_id: int) -> None:
    listing = admin.get("/Admin/Communications?group=waiting&channel=sms").text
    assert "Waiting for the end of quiet hours" in listing
    page = admin.get("/Admin/Communications/1").text
    assert "In quiet hours no text leaves that can wait. It leaves after they end," in page
    assert find_page_problems(page) == []


def test_the_person_sees_it_too(number_owner: WebClient, deferred_text_id: int) -> None:
    page = number_owner.get("/MyAccount/CommunicationsHistory/1").text
    assert "In quiet hours no text leaves that can wait. It leaves after they end," in page
    assert find_page_problems(page) == []


def test_the_queues_count_who_waits_for_the_morning(sysadmin: WebClient, deferred_text_id: int) -> None:
    page = sysadmin.get("/SysAdmin/Queues").text
    assert "1 for the end of quiet hours" in page
    assert find_page_problems(page) == []


def test_a_send_waiting_for_the_morning_says_so(admin: WebClient, deferred_text_id: int, web_app: Flask) -> None:
    page = admin.get("/Admin/Sends/1").text
    assert "1 text waits for the end of quiet hours" in page
    assert find_page_problems(page) == []


def test_the_hours_of_a_template_are_typed_kept_and_shown(
    admin: WebClient, sms_enabled: None, sent_communications: dict[str, int]
) -> None:
    editor = admin.get("/Admin/Automations/Templates/1").text
    assert 'name="sms_expiry_hours"' in editor
    form = {
        "name": "Notice",
        "subject": "S",
        "body": "B",
        "base_version": "1",
        "sms_enabled": "yes",
        "sms_expiry_hours": "soon",
    }
    refused = admin.post("/Admin/Automations/Templates/1", **form)
    assert refused.status_code == 422
    assert "Give whole hours from 1 to 720" in refused.text
    assert 'value="soon"' in refused.text
    assert find_page_problems(refused.text) == []
    assert admin.post("/Admin/Automations/Templates/1", **form | {"sms_expiry_hours": "48"}).status_code == 303
    assert 'value="48"' in admin.get("/Admin/Automations/Templates/1").text
    assert "texts are of use for 48 hours" in admin.get("/Admin/Automations/Templates/1/versions/2").text


def test_while_texts_are_off_a_new_version_keeps_its_hours(
    web_app: Flask, admin: WebClient, sent_communications: dict[str, int]
) -> None:
    with app_transaction(web_app):
        db.session.execute(update(TemplateVersion).values(sms_expiry_hours=12))
    form = {"name": "Notice", "subject": "S", "body": "B", "base_version": "1", "sms_expiry_hours": "99"}
    assert admin.post("/Admin/Automations/Templates/1", **form).status_code == 303
    with web_app.app_context():
        found = db.session.get_one(Template, 1).versions[0]
        assert (found.number, found.sms_expiry_hours) == (2, 12)
