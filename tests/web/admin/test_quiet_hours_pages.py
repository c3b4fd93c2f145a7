"""Pages show quiet hours, the frequency cap and the expiry of texts."""

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from flask import Flask
from sqlalchemy import update

from portal.content.tables.templates import Template, TemplateVersion
from portal.core.extensions import db
from portal.messages.tables.communications import Delivery
from tests.support.html_checks import find_page_problems
from tests.support.page_queries import app_transaction, visible_text
from tests.support.web_client import WebClient


@pytest.fixture
def deferred_text_id(web_app: Flask, ready_text_id: int) -> int:
    """The id of the send's only text, deferred until quiet hours end in an hour."""
    with app_transaction(web_app):
        ends_ms = round((datetime.now(UTC) + timedelta(hours=1)).timestamp() * 1000)
        deferred = {"state": "deferred", "reason": "quiet_hours", "due_at_ms": ends_ms}
        db.session.execute(update(Delivery).where(Delivery.id == ready_text_id).values(**deferred))
    return ready_text_id


def test_administrators_see_why_a_text_is_deferred(admin: WebClient, deferred_text_id: int) -> None:
    listing = admin.get("/Admin/Communications?group=waiting&channel=sms").text
    assert "Waiting for the end of quiet hours" in listing
    page = admin.get("/Admin/Communications/1").text
    assert "Waiting for the end of quiet hours. It will be sent when quiet hours end," in page
    assert find_page_problems(page) == []


def test_recipient_sees_why_a_text_is_deferred(number_owner: WebClient, deferred_text_id: int) -> None:
    page = number_owner.get("/MyAccount/CommunicationsHistory/1").text
    assert "The text waits for the end of quiet hours. It will be sent after quiet hours," in page
    assert find_page_problems(page) == []


def test_queue_overview_counts_deferred_texts(sysadmin: WebClient, deferred_text_id: int) -> None:
    page = sysadmin.get("/SysAdmin/Queues").text
    assert "and 1 until quiet hours end" in page
    assert find_page_problems(page) == []


def test_send_page_counts_deferred_texts(admin: WebClient, deferred_text_id: int, web_app: Flask) -> None:
    page = admin.get("/Admin/Sends/1").text
    assert "1 text waits for quiet hours to end" in page
    assert find_page_problems(page) == []


def test_expiry_hours_are_edited_and_shown(
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
    rejected = admin.post("/Admin/Automations/Templates/1", **form)
    assert rejected.status_code == 422
    assert "Enter a whole number of hours from 1 to 720" in rejected.text
    assert 'value="soon"' in rejected.text
    assert find_page_problems(rejected.text) == []
    assert admin.post("/Admin/Automations/Templates/1", **form | {"sms_expiry_hours": "48"}).status_code == 303
    assert 'value="48"' in admin.get("/Admin/Automations/Templates/1").text
    assert "Texts expire after 48 hours." in admin.get("/Admin/Automations/Templates/1/versions/2").text


def test_new_version_with_texts_off_keeps_its_expiry_hours(
    web_app: Flask, admin: WebClient, sent_communications: dict[str, int]
) -> None:
    with app_transaction(web_app):
        db.session.execute(update(TemplateVersion).values(sms_expiry_hours=12))
    form = {"name": "Notice", "subject": "S", "body": "B", "base_version": "1", "sms_expiry_hours": "99"}
    assert admin.post("/Admin/Automations/Templates/1", **form).status_code == 303
    with web_app.app_context():
        version = db.session.get_one(Template, 1).versions[0]
        assert (version.number, version.sms_expiry_hours) == (2, 12)


CONFIRM = {"template": "notice", "audience_type": "all", "include_staff": "yes"}


def set_limits(app: Flask, quiet_hours: str, frequency_cap: str) -> None:
    app.config["PORTAL"] = replace(app.config["PORTAL"], quiet_hours=quiet_hours, frequency_cap=frequency_cap)


def test_confirmation_says_until_when_texts_wait(
    admin: WebClient, web_app: Flask, sms_enabled: None, sent_communications: dict[str, int]
) -> None:
    now = datetime.now(ZoneInfo("America/New_York"))
    set_limits(web_app, f"{now - timedelta(hours=1):%H:%M}-{now + timedelta(hours=2):%H:%M}", "off")
    page = admin.post("/Admin/Sends/confirm", **CONFIRM).text
    words = visible_text(page)
    assert "Texts that wait for the end of quiet hours: 1" in words
    assert "The first of them leave" in words
    assert "There is no limit of texts in 24 hours." in words
    assert "Quiet hours are off" not in words
    assert find_page_problems(page) == []


def test_confirmation_says_who_is_beyond_the_cap(
    admin: WebClient, web_app: Flask, sms_enabled: None, ready_text_id: int
) -> None:
    set_limits(web_app, "off", "1")
    page = admin.post("/Admin/Sends/confirm", **CONFIRM).text
    words = visible_text(page)
    assert "The phone number has had as many texts within 24 hours as it may get: 1" in words
    assert "At most 1 text in 24 hours. They read the rest by email and in their history." in words
    assert re.search(r'name="people" value="frequency_cap"', page)
    assert find_page_problems(page) == []


def test_urgent_switch_says_what_it_exempts(admin: WebClient, sms_enabled: None) -> None:
    page = visible_text(admin.get("/Admin/Automations/Templates/new").text)
    assert "also during quiet hours, beyond the limit of texts in 24 hours" in page


def test_short_link_of_a_text_opens_the_history(number_owner: WebClient, visitor: WebClient) -> None:
    assert number_owner.get("/h").location == "/MyAccount/CommunicationsHistory"
    assert visitor.get("/h").location == "/SignIn?next=/h"


@pytest.mark.parametrize("name", ["SmsQuietHours", "SmsFrequencyCap"])
def test_page_of_a_limit_warns_of_the_law(sysadmin: WebClient, admin: WebClient, web_app: Flask, name: str) -> None:
    fixed = visible_text(sysadmin.get(f"/SysAdmin/AppConfig/{name}").text)
    assert "off Set by PORTAL_" in fixed
    set_limits(web_app, "", "")
    page = sysadmin.get(f"/SysAdmin/AppConfig/{name}").text
    assert find_page_problems(page) == []
    words = visible_text(page)
    assert "This protects people, and you." in words
    assert "is your decision." in words or "are your decision." in words
    assert "Default" in words
    assert admin.get(f"/SysAdmin/AppConfig/{name}").status_code == 404


def test_change_of_a_limit_is_in_the_audit_log(sysadmin: WebClient, web_app: Flask) -> None:
    set_limits(web_app, "", "")
    form = {"csrf_token": sysadmin.csrf_token(), "input_format": "fields", "value": "22-7"}
    assert sysadmin.post("/SysAdmin/AppConfig/SmsQuietHours", **form).status_code == 303
    log = visible_text(sysadmin.get("/SysAdmin/AuditLog").text)
    assert "SmsQuietHours" in log
    assert "22:00-07:00" in log
    invalid = sysadmin.post("/SysAdmin/AppConfig/SmsQuietHours", **form | {"value": "9pm"})
    assert invalid.status_code == 422
