"""Invisible characters and unusual spaces in pasted input make no difference in any field."""

import json

import pytest
from flask import Flask
from sqlalchemy import select

from portal.accounts.account_management import set_missing_passwords
from portal.accounts.tables.accounts import Account
from portal.accounts.tables.phone_numbers import PhoneNumber, is_stopped
from portal.core.extensions import db
from portal.settings import app_settings
from tests.support.web_client import AUTH_TOKEN, PASSWORD, WebClient

PASTED = [
    pytest.param("{}\u202f", id="a narrow space behind"),
    pytest.param("\ufeff{}", id="a byte-order mark before"),
    pytest.param("\u202a{}\u202c", id="marks of direction around"),
    pytest.param("\u00a0{}\u200b\u00ad", id="a hard space, a zero-width one and a soft hyphen"),
    pytest.param("{}\x00\u2060\n", id="a null byte, a joiner and a line end"),
]
pasted = pytest.mark.parametrize("form", PASTED)


@pasted
def test_sign_in_ignores_invisible_characters(web_app: Flask, visitor: WebClient, form: str) -> None:
    with web_app.app_context():
        set_missing_passwords(PASSWORD)
    for name in ("P-1", "owner@example.org"):
        assert visitor.sign_in(form.format(name)).status_code == 302


@pasted
def test_search_ignores_invisible_characters(admin: WebClient, sent_communications: dict[str, int], form: str) -> None:
    for path, query in (("/Admin/Accounts", "owner@example.org"), ("/Admin/Accounts", "(202)\u2007555-0101")):
        page = admin.get(path, query_string={"q": form.format(query)}).text
        assert "Olive Owner" in page
        assert "Stan Stranger" not in page


@pasted
def test_pasted_number_is_added_with_its_label(web_app: Flask, number_owner: WebClient, form: str) -> None:
    typed = {"number": form.format("(202)\u202f555\u00a00177"), "label": form.format("My\u3000phone")}
    assert number_owner.post("/MyAccount/PhoneNumbers", **typed).status_code == 303
    with web_app.app_context():
        phone = db.session.scalars(select(PhoneNumber).where(PhoneNumber.number == "+12025550177")).one()
        assert phone.label == "My phone"


@pasted
def test_pasted_number_is_opted_out(web_app: Flask, admin: WebClient, sms_enabled: None, form: str) -> None:
    typed = {"number": form.format("+12025550101"), "channel": "phone", "reason": form.format("Said so.")}
    typed["confirmed"] = form.format("+12025550101")
    assert admin.post("/Admin/Consent/OptOut", **typed).status_code == 303
    with web_app.app_context():
        assert is_stopped("+12025550101")


@pasted
def test_pasted_account_numbers_form_an_audience(
    admin: WebClient, sent_communications: dict[str, int], form: str
) -> None:
    typed = {
        "template": "notice",
        "audience_type": "external_ids",
        "external_ids": f"{form.format('P-1')}\r\n{form.format('P-2')}",
    }
    assert "2 emails" in admin.post("/Admin/Sends/confirm", **typed).text


@pasted
def test_pasted_time_zone_is_saved(web_app: Flask, number_owner: WebClient, form: str) -> None:
    assert number_owner.post("/MyAccount/TimeZone", timezone=form.format("Europe/Vienna")).status_code == 303
    with web_app.app_context():
        assert db.session.scalars(select(Account).where(Account.external_id == "P-1")).one().timezone == "Europe/Vienna"


@pasted
def test_pasted_setting_is_saved(web_app: Flask, sysadmin: WebClient, sms_enabled: None, form: str) -> None:
    token, sid, number = "0123456789abcdef" * 2, "AC" + "1" * 32, "+12025550142"
    typed = {"AccountSid": form.format(sid), "AuthToken": form.format(token)}
    assert sysadmin.post("/SysAdmin/AppConfig/TestSmsGatewayAuthentication", **typed).status_code == 303
    assert sysadmin.post("/SysAdmin/AppConfig/SmsOverrideNumber", value=form.format(number)).status_code == 303
    raw = form.format(json.dumps({"FromNumber": "\u202a+12025550143\u202c"}, ensure_ascii=False))
    page = sysadmin.post("/SysAdmin/AppConfig/TestSmsGatewaySettings", input_format="json_text", json_text=raw)
    assert page.status_code == 303
    assert sysadmin.post("/SysAdmin/AppConfig/SmsGatewayAuthentication/token", token=form.format(token)).status_code
    with web_app.app_context():
        values = app_settings.configuration().values
    assert values["TestSmsGatewayAuthentication"] == {"AccountSid": sid, "AuthToken": token}
    assert values["SmsOverrideNumber"] == number
    assert values["TestSmsGatewaySettings"] == {"FromNumber": "+12025550143"}
    assert values["SmsGatewayAuthentication"]["AuthToken"] == token
    assert values["SmsGatewayAuthentication"]["PreviousAuthToken"] == AUTH_TOKEN


@pasted
def test_pasted_value_is_shown_as_it_will_be_sent(
    admin: WebClient, sent_communications: dict[str, int], form: str
) -> None:
    typed = {"key": "due", "name": "Due", "subject": "Due {{ data.when }}", "body": "x"}
    assert admin.post("/Admin/Automations/Templates/new", **typed).status_code == 303
    page = admin.post(
        "/Admin/Sends/confirm", template="due", audience_type="all", **{"data.when": form.format("May\u00a028")}
    ).text
    assert "Due May 28<" in page
    assert 'name="data.when" value="May 28"' in page
