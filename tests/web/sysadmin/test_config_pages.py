"""AppConfig pages: settings as fields or text, rejected input, expiry, history, and no displayed secrets."""

import html
import json
import re

import pytest
from flask import Flask
from markupsafe import escape
from sqlalchemy import func, select, text

from portal.consent.recording import record
from portal.consent.rules.consent_state import EventKind
from portal.core.clock import now_ms
from portal.core.extensions import db
from portal.core.rules.routing import Mode
from portal.core.transaction import transaction
from portal.messages.tables.communications import Delivery
from portal.settings import app_settings
from portal.settings.rules.app_config import DEFINITIONS
from portal.settings.tables.setting_values import AppSetting, SettingChange
from tests.support.html_checks import find_page_problems
from tests.support.invalid_inputs import INVALID_VALUES, VALID_VALUES
from tests.support.page_queries import visible_text
from tests.support.web_client import WebClient

INDEX = "/SysAdmin/AppConfig"
PAGES = [INDEX, *(f"{INDEX}/{name}" for name in DEFINITIONS)]
SID = "AC" + "0123456789abcdef" * 2
CANARY = "canary-4f1d-0000-zq9x"
AUTHENTICATION, SENDER, TEST = "SmsGatewayAuthentication", "SmsGatewaySettings", "EnableSmsTestMode"


def path(name: str) -> str:
    return f"{INDEX}/{name}"


def original_value(visitor: WebClient, name: str) -> str:
    match = re.search(r'name="original_value" value="([^"]*)"', visitor.get(path(name)).text)
    assert match
    return html.unescape(match.group(1))


def save(visitor: WebClient, name: str, input_format: str = "fields", **fields: str) -> str:
    """The page after saving: the index, or the form with errors."""
    response = visitor.post(
        path(name), input_format=input_format, **{"original_value": original_value(visitor, name), **fields}
    )
    assert response.status_code in (303, 422), response.status_code
    return visitor.get(INDEX).text if response.status_code == 303 else response.text


def stored(app: Flask, name: str) -> object:
    with app.app_context():
        return app_settings.configuration().values.get(name)


def current_mode(app: Flask) -> Mode:
    with app.app_context():
        return app_settings.resolve_current_gateway().switches.mode


@pytest.fixture
def all_settings_set(web_app: Flask, sms_enabled: None) -> None:
    """Live with Twilio's real address; override number and test settings are set too."""
    with web_app.app_context():
        for name in ("SmsOverrideNumber", "TestSmsGatewayAuthentication", "TestSmsGatewaySettings"):
            app_settings.set_setting(name, VALID_VALUES[name], None, now_ms())


@pytest.mark.parametrize("address", PAGES)
def test_pages_are_valid_with_and_without_settings(web_app: Flask, sysadmin: WebClient, address: str) -> None:
    for _ in range(2):
        response = sysadmin.get(address)
        assert response.status_code == 200
        assert find_page_problems(response.text) == []
        with web_app.app_context():
            for name, value in VALID_VALUES.items():
                app_settings.set_setting(name, value, None, now_ms())


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


@pytest.mark.parametrize("name", INVALID_VALUES)
def test_invalid_text_is_rejected_at_its_field(web_app: Flask, sysadmin: WebClient, name: str) -> None:
    with web_app.app_context():
        app_settings.set_setting(name, VALID_VALUES[name], None, now_ms())
    before, token, here = _rows(web_app), sysadmin.csrf_token(), original_value(sysadmin, name)
    # tests/settings/test_setting_changes.py tries all of them; a third for each page is enough here
    for typed in INVALID_VALUES[name][list(INVALID_VALUES).index(name) % 3 :: 3]:
        if '"AuthToken": ""' in typed and '"Previous' not in typed:
            continue  # an empty secret keeps the stored one
        form = {
            "csrf_token": token,
            "input_format": "json_text",
            "original_value": here,
            "json_text": typed.encode("utf-8", "replace").decode(),
        }
        response = sysadmin.post_without_token(path(name), form)
        assert response.status_code == 422, typed
        assert 'id="field-json_text-error"' in response.text, typed
        assert f">{name}" in response.text, typed
    assert _rows(web_app) == before


def test_each_invalid_field_keeps_its_input_and_error(sysadmin: WebClient) -> None:
    page = save(sysadmin, SENDER, FromNumber="+1202", SegmentsPerSecond="fast", MessagingServiceSid="MG1")
    for key, typed in (("FromNumber", "+1202"), ("SegmentsPerSecond", "fast"), ("MessagingServiceSid", "MG1")):
        assert f'id="field-{key}-error"' in page
        assert f'value="{typed}"' in page
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
        app_settings.set_setting("SmsGatewaySettings", json.dumps({"FromNumber": number}), None, now_ms())
    for address in ("/SysAdmin/AppConfig", "/SysAdmin/AppConfig/SmsGatewaySettings"):
        page = sysadmin.get(address).text
        assert description in visible_text(page)
        assert find_page_problems(page) == []


@pytest.mark.parametrize("typed", ["Vonage", "twilio", "", "<script>"])
def test_unknown_gateway_error_lists_the_gateways(sysadmin: WebClient, typed: str) -> None:
    page = save(sysadmin, "SmsGatewayType", "json_text", json_text=typed)
    assert "SmsGatewayType must be Twilio, the only gateway available" in page
    assert "<script>" not in page.replace('<script type="module"', "").replace("<script src", "")


def test_empty_secret_field_keeps_the_stored_one(web_app: Flask, sysadmin: WebClient) -> None:
    save(sysadmin, AUTHENTICATION, AccountSid=SID, AuthToken=CANARY)
    page = save(sysadmin, AUTHENTICATION, AccountSid=SID.upper(), AuthToken="")
    assert stored(web_app, AUTHENTICATION) == {"AccountSid": SID.upper(), "AuthToken": CANARY}
    assert "••••zq9x" in page
    assert CANARY not in page + sysadmin.get(path(AUTHENTICATION)).text


@pytest.mark.parametrize("input_format", ["fields", "json_text"])
def test_secret_of_a_rejected_form_must_be_retyped(web_app: Flask, sysadmin: WebClient, input_format: str) -> None:
    save(sysadmin, AUTHENTICATION, AccountSid=SID, AuthToken="token-of-before")
    bad = {"AccountSid": "AC1", "AuthToken": CANARY}
    page = save(sysadmin, AUTHENTICATION, input_format, json_text=json.dumps(bad), **bad)
    assert CANARY not in page
    assert '<input type="hidden" name="secrets_to_retype" value="AuthToken">' in page
    again = {"AccountSid": SID, "AuthToken": ""}
    page = save(
        sysadmin, AUTHENTICATION, input_format, json_text=json.dumps(again), secrets_to_retype="AuthToken", **again
    )
    assert "enter it again, because secrets are never displayed" in page
    assert stored(web_app, AUTHENTICATION) == {"AccountSid": SID, "AuthToken": "token-of-before"}


def test_unreadable_json_with_secrets_is_not_displayed(sysadmin: WebClient) -> None:
    page = save(sysadmin, AUTHENTICATION, "json_text", json_text=f'{{"AccountSid": "{SID}", "AuthToken": "{CANARY}"')
    assert "is not valid JSON" in page
    assert CANARY not in page
    assert escape('{"FromNumber": ') in save(sysadmin, SENDER, "json_text", json_text='{"FromNumber": ')


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
    asked = sysadmin.get(path(TEST)).text
    assert "1 text is waiting and then leaves too." in asked
    assert find_page_problems(asked) == []
    page = save(sysadmin, TEST, value="false", confirmation="yes")
    assert "immediately. 1 text is waiting and then leaves too. Type LIVE" in page
    page = save(sysadmin, TEST, value="false", confirmation="LIVE")
    assert "from now on. 1 text is waiting and then leaves too." in page
    with web_app.app_context():
        db.session.get_one(Delivery, ready_text_id).state = "delivered"
        db.session.commit()
    save(sysadmin, TEST, value="true")
    assert "waiting and then" not in sysadmin.get(path(TEST)).text


def test_confirmation_appears_only_if_needed(sysadmin: WebClient, all_settings_set: None) -> None:
    assert "Type LIVE" not in sysadmin.get(path("SmsOverrideNumber")).text
    assert "Type LIVE" not in sysadmin.get(path(TEST)).text
    save(sysadmin, TEST, value="true")
    assert "Type LIVE" in sysadmin.get(path(TEST)).text


EMAILS = "EnableEmailOverride"


def test_ending_the_email_override_states_the_waiting_emails(
    web_app: Flask, sysadmin: WebClient, sent_communications: dict[str, int]
) -> None:
    save(sysadmin, "EmailOverrideAddress", value="rehearsals@example.org")
    assert "Type LIVE" not in sysadmin.get(path(EMAILS)).text
    save(sysadmin, EMAILS, value="true")
    asked = sysadmin.get(path(EMAILS)).text
    assert "Once emails reach the people themselves:" in asked
    assert "Type LIVE if emails may reach the people themselves" in asked
    assert find_page_problems(asked) == []
    page = save(sysadmin, EMAILS, value="false", confirmation="yes")
    waiting = f"{len(sent_communications)} emails are waiting and then leave too."
    assert f"emails will reach the people themselves immediately. {waiting} Type LIVE to confirm." in page
    assert stored(web_app, EMAILS) is True
    page = save(sysadmin, EMAILS, value="false", confirmation="LIVE")
    assert f"Emails reach the people themselves from now on. {waiting}" in page
    assert stored(web_app, EMAILS) is False


def test_expiring_email_override_needs_confirmation(web_app: Flask, sysadmin: WebClient) -> None:
    save(sysadmin, "EmailOverrideAddress", value="rehearsals@example.org")
    save(sysadmin, EMAILS, value="true")
    page = sysadmin.get(path(EMAILS)).text
    assert "When it ends, emails go LIVE." in page
    assert "Type LIVE to confirm." in save(sysadmin, EMAILS, value="true", expiry="4")
    page = save(sysadmin, EMAILS, value="true", expiry="4", confirmation="LIVE")
    assert "Emails then go LIVE and reach the people themselves." in page


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


@pytest.mark.parametrize("typed", ["", "tomorrow", "2020-01-01T10:00", "2999-01-01T10:00", "2026-13-45T99:00", "９９"])
def test_invalid_expiry_is_rejected_at_its_field(web_app: Flask, sysadmin: WebClient, typed: str) -> None:
    page = save(sysadmin, TEST, value="true", expiry="at", expires_at=typed)
    assert 'id="field-expires_at-error"' in page
    assert stored(web_app, TEST) is None


def test_expiry_is_in_the_sysadmins_time_zone(web_app: Flask, sysadmin: WebClient) -> None:
    from datetime import datetime, timedelta
    from zoneinfo import ZoneInfo

    zone = ZoneInfo("America/New_York")
    expiry = (datetime.now(zone) + timedelta(days=2)).replace(second=0, microsecond=0)
    save(sysadmin, TEST, value="true", expiry="at", expires_at=expiry.strftime("%Y-%m-%dT%H:%M"))
    with web_app.app_context():
        assert app_settings.configuration().expires_at_ms_by_name == {TEST: round(expiry.timestamp() * 1000)}
    assert expiry.strftime("%Y-%m-%dT%H:%M") in sysadmin.get(path(TEST)).text


def test_expired_switch_is_shown_as_off(web_app: Flask, sysadmin: WebClient) -> None:
    save(sysadmin, "EnableSmsOverrideNumber", value="true", expiry="1")
    with web_app.app_context():
        db.session.execute(text("UPDATE app_setting SET expires_at_ms = :at"), {"at": now_ms() - 90_000})
        db.session.commit()
    for page in (sysadmin.get(INDEX).text, sysadmin.get(path("EnableSmsOverrideNumber")).text):
        assert "Expired" in page
        assert "Expired automatically" in page
        assert find_page_problems(page) == []


def test_token_can_be_replaced_and_the_old_one_removed(web_app: Flask, sysadmin: WebClient) -> None:
    save(sysadmin, AUTHENTICATION, AccountSid=SID, AuthToken="token-of-before")
    token = f"{path(AUTHENTICATION)}/token"
    assert sysadmin.post(token, token=f" {CANARY} ").status_code == 303
    page = sysadmin.get(path(AUTHENTICATION)).text
    assert "Remove old token" in page
    assert find_page_problems(page) == []
    with web_app.app_context():
        assert app_settings.signing_tokens() == [CANARY, "token-of-before"]
    assert save(sysadmin, AUTHENTICATION, AccountSid=SID, AuthToken="")
    with web_app.app_context():
        assert app_settings.signing_tokens() == [CANARY, "token-of-before"]
    assert sysadmin.post(f"{token}/remove").status_code == 303
    with web_app.app_context():
        assert app_settings.signing_tokens() == [CANARY]
    assert sysadmin.post(f"{token}/remove").status_code == 409


def test_invalid_token_is_rejected_at_its_field(web_app: Flask, sysadmin: WebClient) -> None:
    save(sysadmin, AUTHENTICATION, AccountSid=SID, AuthToken=CANARY)
    for typed in ("", CANARY, "ünïcödé"):
        response = sysadmin.post(f"{path(AUTHENTICATION)}/token", token=typed)
        assert response.status_code == 422
        assert 'id="field-token-error"' in response.text
        assert CANARY not in response.text
    assert sysadmin.post(f"{path(SENDER)}/token", token="x").status_code == 422


def test_webhooks_signed_with_either_token_are_accepted(
    web_app: Flask, visitor: WebClient, sysadmin: WebClient, sms_enabled: None
) -> None:
    from tests.support.web_client import AUTH_TOKEN
    from tests.web.webhooks.test_webhooks import INBOUND, START, signed_post

    assert sysadmin.post(f"{path(AUTHENTICATION)}/token", token="the-new-token-5678").status_code == 303
    statuses = [
        signed_post(visitor, INBOUND, START, token=token).status_code for token in (AUTH_TOKEN, "the-new-token-5678")
    ]
    assert statuses == [200, 200]
    assert sysadmin.post(f"{path(AUTHENTICATION)}/token/remove").status_code == 303
    assert signed_post(visitor, INBOUND, START, token=AUTH_TOKEN).status_code == 403


def test_banner_names_a_stopped_override_number(
    web_app: Flask, sysadmin: WebClient, admin: WebClient, all_settings_set: None
) -> None:
    save(sysadmin, "EnableSmsOverrideNumber", value="true")
    assert "Override number stopped" not in sysadmin.get("/Admin/Mode").text
    with web_app.app_context(), transaction():
        record(str(app_settings.current_values()["SmsOverrideNumber"]), EventKind.STOP, "handset", now_ms(), now_ms())
    banner = sysadmin.get("/Admin/Mode").text
    assert '<strong class="tag" data-tone="bad">Override number stopped</strong>' in banner
    assert "Text START from that phone, or choose another number." in banner
    assert f'href="{path("SmsOverrideNumber")}"' in banner
    page = save(sysadmin, "EnableSmsOverrideNumber", value="true")
    assert "so no text may go there" in page
    assert find_page_problems(page) == []
    save(sysadmin, "EnableSmsNotifications", value="false")
    assert "Override number stopped" not in admin.get("/Admin/Mode").text


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
            app_settings.set_setting(name, value, None, now_ms())
    banner = sysadmin.get("/Admin/Mode").text
    assert f">{label}</strong>" in banner
    assert f'href="{path(setting)}"' in banner
    assert f">{label}</strong>" in admin.get("/Admin/Mode").text
    assert INDEX not in admin.get("/Admin/Mode").text


def test_incomplete_setup_links_the_missing_settings(web_app: Flask, sysadmin: WebClient) -> None:
    save(sysadmin, "EnableSmsNotifications", value="true")
    assert f'href="{path(AUTHENTICATION)}"' in sysadmin.get("/Admin/Mode").text
    page = sysadmin.get(INDEX).text
    assert "Set SmsGatewayAuthentication" in page
    assert "Set SmsGatewaySettings" in page


def test_history_is_paginated(web_app: Flask, sysadmin: WebClient) -> None:
    for index in range(25):
        with web_app.app_context():
            app_settings.set_setting("SmsOverrideNumber", f"+120255501{index:02d}", None, now_ms())
    save(sysadmin, "SmsOverrideNumber", value="+12025550199")
    page = sysadmin.get(path("SmsOverrideNumber")).text
    assert "Name of S-1" in page
    assert "The command line" in page
    older = re.search(r'href="([^"]+before=[^"]+)"', page)
    assert older
    assert "+12025550100" in sysadmin.get(html.unescape(older.group(1))).text


def test_unreadable_values_do_not_break_pages(web_app: Flask, sysadmin: WebClient, all_settings_set: None) -> None:
    with web_app.app_context():
        db.session.execute(
            text("UPDATE app_setting SET value = 'v1.00000000.AAAA' WHERE name = :n"), {"n": AUTHENTICATION}
        )
        db.session.execute(text("UPDATE app_setting SET value = '[]' WHERE name = :n"), {"n": SENDER})
        db.session.execute(text("""UPDATE app_setting SET value = '"FakeSms"' WHERE name = 'SmsGatewayType'"""))
        db.session.commit()
    for address in PAGES:
        response = sysadmin.get(address)
        assert response.status_code == 200, address
        assert find_page_problems(response.text) == []
    assert "Cannot be read" in sysadmin.get(INDEX).text
    assert "This value does not fit FakeSms" in sysadmin.get(INDEX).text


def test_secrets_appear_in_no_page_header_or_log(
    web_app: Flask,
    sysadmin: WebClient,
    all_settings_set: None,
    sent_communications: dict[str, int],
    capfd: pytest.CaptureFixture[str],
) -> None:
    refused = {"AccountSid": "AC", "AuthToken": CANARY}
    for name in (AUTHENTICATION, "TestSmsGatewayAuthentication"):
        pages = [
            save(sysadmin, name, AccountSid=SID, AuthToken=CANARY, ApiKeySid="SK" + "0" * 32, ApiKeySecret=CANARY),
            save(sysadmin, name, **refused),
            save(sysadmin, name, "json_text", json_text=json.dumps(refused)),
            save(sysadmin, name, "json_text", json_text=f'{{"AuthToken": "{CANARY}"'),
            save(sysadmin, name, "json_text", json_text=f'{{"AccountSid": "{SID}", "Auth Token": "{CANARY}"}}'),
            sysadmin.post(f"{path(name)}/token", token=CANARY).text,
            sysadmin.post_without_token(path(name), {"AuthToken": CANARY}).text,
        ]
        assert CANARY not in "".join(pages)
        assert stored(web_app, name)["AuthToken"] == CANARY  # type: ignore[index]
    for rule in _addresses(web_app):
        response = sysadmin.get(rule)
        assert CANARY not in response.text, rule
        assert CANARY not in str(response.headers), rule
    with web_app.app_context():
        assert CANARY not in repr(app_settings.configuration().gateway(now_ms()))
        for table in db.metadata.sorted_tables:
            assert CANARY not in str(db.session.execute(select(table)).all()), table
    assert CANARY not in "".join(capfd.readouterr())


def _addresses(app: Flask) -> list[str]:
    """Every page, with id 1 and every setting name."""
    rules = [str(rule) for rule in app.url_map.iter_rules() if "GET" in (rule.methods or set())]
    rules = [rule for rule in rules if "static" not in rule and "logout" not in rule.lower() and "SignOut" not in rule]
    plain = [re.sub(r"<id:[^>]+>", "1", rule) for rule in rules]
    return [rule for rule in plain if "<" not in rule] + PAGES + ["/nowhere"]


def _rows(app: Flask) -> list[object]:
    with app.app_context():
        rows = db.session.execute(
            select(AppSetting.name, AppSetting.value, AppSetting.changed_at_ms).order_by(AppSetting.name)
        ).all()
        return [*rows, db.session.scalar(select(func.count(SettingChange.id)))]
