"""AppConfig pages: switches that expire, and changes after which messages reach people."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from flask import Flask
from sqlalchemy import text

from portal.consent.recording import record
from portal.consent.rules.consent_state import EventKind
from portal.core.clock import now_ms
from portal.core.extensions import db
from portal.core.rules.routing import Mode
from portal.core.transaction import transaction
from portal.messages.tables.communications import Delivery
from portal.settings import app_settings, setting_changes
from tests.support.html_checks import find_page_problems
from tests.support.web_client import WebClient
from tests.web.sysadmin.config.helpers import (
    INDEX,
    TEST,
    current_mode,
    path,
    save,
    stored,
)

EMAILS = "EnableEmailOverride"


@pytest.mark.parametrize("input_format", ["fields", "json_text"])
def test_going_live_needs_the_word_live(
    web_app: Flask, sysadmin: WebClient, all_settings_set: None, input_format: str
) -> None:
    save(sysadmin, TEST, input_format, value="true", json_text="true")
    assert current_mode(web_app) is Mode.TEST
    page = save(sysadmin, TEST, input_format, value="false", json_text="false", confirmation="yes")
    assert "texts will reach people’s phones immediately. Type LIVE to confirm." in page
    assert find_page_problems(page) == []
    assert current_mode(web_app) is Mode.TEST
    page = save(sysadmin, TEST, input_format, value="false", json_text="false", confirmation="LIVE")
    assert "Texts reach people’s phones from now on." in page
    assert current_mode(web_app) is Mode.LIVE


def test_ending_test_mode_states_the_waiting_texts(
    web_app: Flask, sysadmin: WebClient, all_settings_set: None, ready_text_id: int
) -> None:
    save(sysadmin, TEST, value="true")
    page = sysadmin.get(path(TEST)).text
    assert "1 text is waiting and will be sent too." in page
    assert find_page_problems(page) == []
    page = save(sysadmin, TEST, value="false", confirmation="yes")
    assert "immediately. 1 text is waiting and will be sent too. Type LIVE" in page
    page = save(sysadmin, TEST, value="false", confirmation="LIVE")
    assert "from now on. 1 text is waiting and will be sent too." in page
    with web_app.app_context():
        db.session.get_one(Delivery, ready_text_id).state = "delivered"
        db.session.commit()
    save(sysadmin, TEST, value="true")
    assert "waiting and will" not in sysadmin.get(path(TEST)).text


def test_confirmation_appears_only_if_needed(sysadmin: WebClient, all_settings_set: None) -> None:
    assert "Type LIVE" not in sysadmin.get(path("SmsOverrideNumber")).text
    assert "Type LIVE" not in sysadmin.get(path(TEST)).text
    save(sysadmin, TEST, value="true")
    assert "Type LIVE" in sysadmin.get(path(TEST)).text


def test_ending_the_email_override_states_the_waiting_emails(
    web_app: Flask, sysadmin: WebClient, sent_communications: dict[str, int]
) -> None:
    save(sysadmin, "EmailOverrideAddress", value="rehearsals@example.org")
    assert "Type LIVE" not in sysadmin.get(path(EMAILS)).text
    save(sysadmin, EMAILS, value="true")
    page = sysadmin.get(path(EMAILS)).text
    assert "Once emails go to their recipients:" in page
    assert "Type LIVE if emails may go to their recipients" in page
    assert find_page_problems(page) == []
    page = save(sysadmin, EMAILS, value="false", confirmation="yes")
    waiting = f"{len(sent_communications)} emails are waiting and will be sent too."
    assert f"emails will go to their recipients immediately. {waiting} Type LIVE to confirm." in page
    assert stored(web_app, EMAILS) is True
    page = save(sysadmin, EMAILS, value="false", confirmation="LIVE")
    assert f"From now on, emails go to their recipients. {waiting}" in page
    assert stored(web_app, EMAILS) is False


def test_expiring_email_override_needs_confirmation(web_app: Flask, sysadmin: WebClient) -> None:
    save(sysadmin, "EmailOverrideAddress", value="rehearsals@example.org")
    save(sysadmin, EMAILS, value="true")
    page = sysadmin.get(path(EMAILS)).text
    assert "When it ends, emails go LIVE." in page
    assert "Type LIVE to confirm." in save(sysadmin, EMAILS, value="true", expiry="4")
    page = save(sysadmin, EMAILS, value="true", expiry="4", confirmation="LIVE")
    assert "Emails then go LIVE, to their recipients." in page


def test_expiring_test_mode_warns_that_texts_go_live(
    web_app: Flask, sysadmin: WebClient, all_settings_set: None
) -> None:
    assert "When it ends, texts go LIVE." in sysadmin.get(path(TEST)).text
    page = save(sysadmin, TEST, value="true", expiry="4")
    assert "Texts then go LIVE and reach people’s own phones." in page
    assert "Texts go LIVE automatically" in page
    assert "<strong>Texts go LIVE then.</strong>" in sysadmin.get("/Admin/Accounts").text
    with web_app.app_context():
        (expires_at_ms,) = app_settings.configuration().expires_at_ms_by_name.values()
        assert 0 <= now_ms() + 4 * 3_600_000 - expires_at_ms < 61_000


@pytest.mark.parametrize("value", ["", "tomorrow", "2020-01-01T10:00", "2999-01-01T10:00", "2026-13-45T99:00", "９９"])
def test_invalid_expiry_is_rejected_at_its_field(web_app: Flask, sysadmin: WebClient, value: str) -> None:
    page = save(sysadmin, TEST, value="true", expiry="at", expires_at=value)
    assert 'id="field-expires_at-error"' in page
    assert stored(web_app, TEST) is None


def test_expiry_is_in_the_sysadmins_time_zone(web_app: Flask, sysadmin: WebClient) -> None:
    zone = ZoneInfo("America/New_York")
    expiry = (datetime.now(zone) + timedelta(days=2)).replace(second=0, microsecond=0)
    save(sysadmin, TEST, value="true", expiry="at", expires_at=expiry.strftime("%Y-%m-%dT%H:%M"))
    with web_app.app_context():
        assert app_settings.configuration().expires_at_ms_by_name == {TEST: round(expiry.timestamp() * 1000)}
    assert expiry.strftime("%Y-%m-%dT%H:%M") in sysadmin.get(path(TEST)).text


def test_expired_switch_is_shown_as_off(web_app: Flask, sysadmin: WebClient) -> None:
    save(sysadmin, "EnableSmsOverrideNumber", value="true", expiry="1", target="+12025550142")
    with web_app.app_context():
        db.session.execute(text("UPDATE app_setting SET expires_at_ms = :at"), {"at": now_ms() - 90_000})
        db.session.commit()
    for page in (sysadmin.get(INDEX).text, sysadmin.get(path("EnableSmsOverrideNumber")).text):
        assert "Expired" in page
        assert "Expired automatically" in page
        assert find_page_problems(page) == []


@pytest.mark.parametrize(
    ("switch", "target", "value"),
    [
        ("EnableSmsOverrideNumber", "SmsOverrideNumber", "+12025550142"),
        (EMAILS, "EmailOverrideAddress", "rehearsals@example.org"),
    ],
)
def test_override_asks_for_its_target(
    web_app: Flask, sysadmin: WebClient, switch: str, target: str, value: str
) -> None:
    assert 'name="target"' in sysadmin.get(path(switch)).text
    for refused in ("", "nobody"):
        page = save(sysadmin, switch, value="true", target=refused)
        assert 'id="field-target-error"' in page
        assert find_page_problems(page) == []
        assert (stored(web_app, switch), stored(web_app, target)) == (None, None)
    assert "Without it, messages would have nowhere to go." in save(sysadmin, switch, "json_text", json_text="true")
    assert f"{switch} saved." in save(sysadmin, switch, value="true", target=value)
    assert (stored(web_app, switch), stored(web_app, target)) == (True, value)
    assert 'name="target"' not in sysadmin.get(path(switch)).text


def test_override_that_stays_off_needs_no_target(web_app: Flask, sysadmin: WebClient) -> None:
    assert "saved." in save(sysadmin, "EnableSmsOverrideNumber", value="false")
    assert stored(web_app, "SmsOverrideNumber") is None


def test_banner_names_a_stopped_override_number(
    web_app: Flask, sysadmin: WebClient, admin: WebClient, all_settings_set: None
) -> None:
    save(sysadmin, "EnableSmsOverrideNumber", value="true")
    assert "Override number opted out" not in sysadmin.get("/Admin/Mode").text
    with web_app.app_context(), transaction():
        record(
            str(app_settings.configuration().values["SmsOverrideNumber"]), EventKind.STOP, "handset", now_ms(), now_ms()
        )
    banner = sysadmin.get("/Admin/Mode").text
    assert '<strong class="tag" data-tone="bad">Override number opted out</strong>' in banner
    assert "Text START from that phone, or choose another number." in banner
    assert f'href="{path("SmsOverrideNumber")}"' in banner
    page = save(sysadmin, "EnableSmsOverrideNumber", value="true")
    assert "so it may not be texted" in page
    assert find_page_problems(page) == []
    save(sysadmin, "EnableSmsNotifications", value="false")
    assert "Override number opted out" not in admin.get("/Admin/Mode").text


@pytest.mark.parametrize(
    ("changes", "label", "setting"),
    [
        ({}, "Live", "EnableSmsNotifications"),
        ({"EnableSmsNotifications": "false"}, "SMS off", "EnableSmsNotifications"),
        ({TEST: "true"}, "Test mode", TEST),
        ({"EnableSmsOverrideNumber": "true"}, "Override → +1 ••• 0142", "EnableSmsOverrideNumber"),
        ({TEST: "true", "EnableSmsOverrideNumber": "true"}, "Test mode", TEST),
    ],
)
def test_banner_links_sysadmins_to_the_setting_of_the_mode(
    web_app: Flask,
    admin: WebClient,
    sysadmin: WebClient,
    all_settings_set: None,
    changes: dict[str, str],
    label: str,
    setting: str,
) -> None:
    with web_app.app_context():
        for name, value in changes.items():
            setting_changes.set_setting(name, value, None, now_ms())
    banner = sysadmin.get("/Admin/Mode").text
    assert f">{label}</strong>" in banner
    assert f'href="{path(setting)}"' in banner
    assert f">{label}</strong>" in admin.get("/Admin/Mode").text
    assert INDEX not in admin.get("/Admin/Mode").text
