"""AppConfig pages: access, settings as fields or text, rejected input, and history."""

import html
import json
import re

import pytest
from flask import Flask
from sqlalchemy import func, select

from portal.core.clock import now_ms
from portal.core.extensions import db
from portal.settings import setting_changes
from portal.settings.tables.setting_values import AppSetting, SettingChange
from tests.support.html_checks import find_page_problems
from tests.support.invalid_inputs import INVALID_VALUES, VALID_VALUES
from tests.support.page_queries import visible_text
from tests.support.web_client import WebClient
from tests.web.sysadmin.config.helpers import (
    AUTHENTICATION,
    CANARY,
    INDEX,
    NAMES,
    PAGES,
    SENDER,
    SID,
    original_value,
    path,
    save,
    stored,
)


@pytest.mark.parametrize("address", PAGES)
def test_pages_are_valid_with_and_without_settings(web_app: Flask, sysadmin: WebClient, address: str) -> None:
    for _ in range(2):
        response = sysadmin.get(address)
        assert response.status_code == 200
        assert find_page_problems(response.text) == []
        with web_app.app_context():
            for name, value in VALID_VALUES.items():
                setting_changes.set_setting(name, value, None, now_ms())


@pytest.mark.parametrize("address", PAGES)
def test_pages_are_for_sysadmins_only(
    number_owner: WebClient, admin: WebClient, visitor: WebClient, address: str
) -> None:
    assert (number_owner.get(address).status_code, admin.get(address).status_code) == (404, 404)
    assert visitor.get(address).status_code == 303


@pytest.mark.parametrize("address", [path("EnableSmsNotifications"), f"{path(AUTHENTICATION)}/token"])
def test_only_sysadmins_can_change_settings(
    number_owner: WebClient, admin: WebClient, web_app: Flask, address: str
) -> None:
    for visitor in (number_owner, admin):
        assert (
            visitor.post(address, input_format="json_text", json_text="true", original_value=" ", token="x").status_code
            == 404
        )
    assert stored(web_app, "EnableSmsNotifications") is None


def test_unknown_setting_gives_404(sysadmin: WebClient) -> None:
    assert sysadmin.get(path("SmsTimeout")).status_code == 404
    assert sysadmin.post(path("SmsTimeout"), input_format="json_text", json_text="x").status_code == 404
    assert sysadmin.post(f"{path('SmsTimeout')}/token", token="x").status_code == 404


def test_menu_links_appconfig_for_sysadmins_only(admin: WebClient, sysadmin: WebClient) -> None:
    assert f'href="{INDEX}"' in sysadmin.get("/Admin/Accounts").text
    assert INDEX not in admin.get("/Admin/Accounts").text


@pytest.mark.parametrize(
    ("name", "fields", "value"),
    [
        ("EnableSmsNotifications", {"value": "true"}, True),
        ("SmsGatewayType", {"value": "Twilio"}, "Twilio"),
        ("SmsOverrideNumber", {"value": "+12025550142"}, "+12025550142"),
        (AUTHENTICATION, {"AccountSid": SID, "AuthToken": CANARY}, {"AccountSid": SID, "AuthToken": CANARY}),
        (
            SENDER,
            {
                "FromNumber": " 12345 ",
                "NumberType": "short_code",
                "SegmentsPerSecond": "30",
                "TwilioAnswers.own": "yes",
            },
            {"FromNumber": "12345", "NumberType": "short_code", "SegmentsPerSecond": 30, "TwilioAnswers": []},
        ),
        (
            SENDER,
            {"FromNumber": "+12025550100", "TwilioAnswers": "STOP", "TwilioAnswers.own": "yes"},
            {"FromNumber": "+12025550100", "TwilioAnswers": ["STOP"]},
        ),
        (SENDER, {"FromNumber": "+12025550100", "TwilioAnswers": "STOP"}, {"FromNumber": "+12025550100"}),
        (
            SENDER,
            {"FromNumber": "+12025550100", "MoreNumbers": " +12025550101\r\n\r\n+12025550102, +12025550103 "},
            {"FromNumber": "+12025550100", "MoreNumbers": ["+12025550101", "+12025550102", "+12025550103"]},
        ),
    ],
)
def test_each_setting_can_be_saved_as_fields_and_as_text(
    web_app: Flask, sysadmin: WebClient, name: str, fields: dict[str, str], value: object
) -> None:
    assert f"{name} saved." in save(sysadmin, name, **fields)
    assert stored(web_app, name) == value
    raw = json.dumps(value) if isinstance(value, dict) else fields["value"]
    assert f"{name} saved." in save(sysadmin, name, "json_text", json_text=raw)
    assert stored(web_app, name) == value


@pytest.mark.parametrize("name", [name for name in INVALID_VALUES if name in NAMES])
def test_invalid_text_is_rejected_at_its_field(web_app: Flask, sysadmin: WebClient, name: str) -> None:
    with web_app.app_context():
        setting_changes.set_setting(name, VALID_VALUES[name], None, now_ms())
    before, token, here = _rows(web_app), sysadmin.csrf_token(), original_value(sysadmin, name)
    # tests/settings/test_setting_changes.py tries all of them; a third for each page is enough here
    for entered in INVALID_VALUES[name][list(INVALID_VALUES).index(name) % 3 :: 3]:
        if '"AuthToken": ""' in entered and '"Previous' not in entered:
            continue  # an empty secret keeps the stored one
        form = {
            "csrf_token": token,
            "input_format": "json_text",
            "original_value": here,
            "json_text": entered.encode("utf-8", "replace").decode(),
        }
        response = sysadmin.post_without_token(path(name), form)
        assert response.status_code == 422, entered
        assert 'id="field-json_text-error"' in response.text, entered
        assert f">{name}" in response.text, entered
    assert _rows(web_app) == before


def test_each_invalid_field_keeps_its_input_and_error(sysadmin: WebClient) -> None:
    page = save(sysadmin, SENDER, FromNumber="+1202", SegmentsPerSecond="fast", MessagingServiceSid="MG1")
    for key, entered in (("FromNumber", "+1202"), ("SegmentsPerSecond", "fast"), ("MessagingServiceSid", "MG1")):
        assert f'id="field-{key}-error"' in page
        assert f'value="{entered}"' in page
    assert "3 problems to correct" in page
    assert find_page_problems(page) == []


def test_invalid_additional_numbers_are_kept_as_entered(
    sysadmin: WebClient,
) -> None:
    page = save(sysadmin, SENDER, FromNumber="+12025550100", MoreNumbers="+12025550101\r\n+1202")
    assert 'id="field-MoreNumbers-error"' in page
    assert "\n+12025550101\n+1202</textarea>" in page.replace("\r", "")
    assert find_page_problems(page) == []
    assert 'name="MoreNumbers"' not in sysadmin.get(path("TestSmsGatewaySettings")).text


@pytest.mark.parametrize(
    ("number", "description"),
    [
        ("+18335550100", "NumberType Toll-free number, inferred from the number SegmentsPerSecond 3, by the type"),
        ("12345", "NumberType Short code, inferred from the number SegmentsPerSecond 100, by the type"),
        ("+12025550100", "NumberType Long code, inferred from the number SegmentsPerSecond 1, by the type"),
    ],
)
def test_derived_number_type_is_shown_with_its_rate(
    web_app: Flask, sysadmin: WebClient, number: str, description: str
) -> None:
    with web_app.app_context():
        setting_changes.set_setting("SmsGatewaySettings", json.dumps({"FromNumber": number}), None, now_ms())
    for address in ("/SysAdmin/AppConfig", "/SysAdmin/AppConfig/SmsGatewaySettings"):
        page = sysadmin.get(address).text
        assert description in visible_text(page)
        assert find_page_problems(page) == []


@pytest.mark.parametrize("entered", ["Vonage", "twilio", "", "<script>"])
def test_unknown_gateway_error_lists_the_gateways(sysadmin: WebClient, entered: str) -> None:
    page = save(sysadmin, "SmsGatewayType", "json_text", json_text=entered)
    assert "SmsGatewayType must be Twilio, the only gateway available" in page
    assert "<script>" not in page.replace('<script type="module"', "").replace("<script src", "")


def test_conflicting_edit_is_reported_with_input_kept(web_app: Flask, sysadmin: WebClient) -> None:
    before = original_value(sysadmin, SENDER)
    save(sysadmin, SENDER, FromNumber="+12025550100")
    page = save(sysadmin, SENDER, FromNumber="+12025550142", original_value=before)
    assert "Somebody else changed this setting while you were editing it." in page
    assert 'value="+12025550142"' in page
    assert stored(web_app, SENDER) == {"FromNumber": "+12025550100"}
    (now,) = set(re.findall(r'name="original_value" value="([^"]*)"', page))
    save(sysadmin, SENDER, FromNumber="+12025550142", original_value=html.unescape(now))
    assert stored(web_app, SENDER) == {"FromNumber": "+12025550142"}


def test_incomplete_setup_links_the_missing_settings(web_app: Flask, sysadmin: WebClient) -> None:
    save(sysadmin, "EnableSmsNotifications", value="true")
    assert f'href="{path(AUTHENTICATION)}"' in sysadmin.get("/Admin/Mode").text
    page = sysadmin.get(INDEX).text
    assert "Set SmsGatewayAuthentication" in page
    assert "Set SmsGatewaySettings" in page


def test_history_is_paginated(web_app: Flask, sysadmin: WebClient) -> None:
    for index in range(25):
        with web_app.app_context():
            setting_changes.set_setting("SmsOverrideNumber", f"+120255501{index:02d}", None, now_ms())
    save(sysadmin, "SmsOverrideNumber", value="+12025550199")
    page = sysadmin.get(path("SmsOverrideNumber")).text
    assert "Name of S-1" in page
    assert "Command line" in page
    older = re.search(r'href="([^"]+before=[^"]+)"', page)
    assert older
    assert "+12025550100" in sysadmin.get(html.unescape(older.group(1))).text


def _rows(app: Flask) -> list[object]:
    with app.app_context():
        rows = db.session.execute(
            select(AppSetting.name, AppSetting.value, AppSetting.changed_at_ms).order_by(AppSetting.name)
        ).all()
        return [*rows, db.session.scalar(select(func.count(SettingChange.id)))]
