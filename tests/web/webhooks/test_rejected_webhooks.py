"""Rejected webhooks: recorded, shown to administrators if they come from Twilio, and limited in number."""

import hashlib
import json

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from structlog.testing import capture_logs
from twilio.request_validator import RequestValidator
from werkzeug.datastructures import MultiDict

from portal.core.clock import now_ms
from portal.core.context import settings
from portal.core.extensions import db
from portal.messages.tables.communications import Attempt, Receipt
from portal.operations import webhook_rejections
from portal.operations.tables.rejected_webhooks import RejectedWebhook
from portal.settings import setting_changes
from tests.support import servers
from tests.support.html_checks import find_page_problems
from tests.support.page_queries import app_transaction, visible_text
from tests.support.web_client import ACCOUNT_SID, AUTH_TOKEN, PUBLIC_URL, WebClient

STATUS, INBOUND = "/webhooks/twilio/status", "/webhooks/twilio/inbound"
SENDING_NUMBER = "+12025550199"
RECEIPT = {
    "MessageSid": "SM1",
    "MessageStatus": "sent",
    "AccountSid": ACCOUNT_SID,
    "From": SENDING_NUMBER,
    "To": "+12025550101",
}
STOP = {"MessageSid": "SM2", "AccountSid": ACCOUNT_SID, "From": "+12025550101", "To": SENDING_NUMBER, "Body": "STOP"}
SHARED = {"X-Twilio-Webhooks-Signature-Settings": "key=webhooks_sharedkey_1,algorithm=HMAC_SHA256"}


def post(app: Flask, path: str, form: dict[str, str], token: str = AUTH_TOKEN, base: str = "", **headers: str) -> int:
    """Post as Twilio does. The signature is for the portal's public URL, or for `base`."""
    public = app.config["PORTAL"].public_url
    signature = RequestValidator(token).compute_signature(f"{base or public}{path}", form)
    headers = {"X-Twilio-Signature": signature, **headers}
    return app.test_client().post(path, data=form, headers=headers, base_url="http://10.0.0.7").status_code


def sends_page_text(app: Flask, admin: WebClient) -> str:
    page = admin.get("/Admin/Sends").text
    assert find_page_problems(page) == []
    return visible_text(page)


@pytest.mark.parametrize(
    ("path", "form", "token", "headers", "expected"),
    [
        (STATUS, RECEIPT, "the secondary token", {}, "Receipts are refused: the AuthToken is not the one"),
        (INBOUND, STOP, "a rotated token", {}, "START, STOP and other texts from phones are refused: the AuthToken"),
        (STATUS, RECEIPT, "a shared key", SHARED, "Twilio signs with a shared key"),
        (INBOUND, {**STOP, "AccountSid": "AC9"}, "a subaccount's", {}, "signed by another Twilio account"),
        (STATUS, RECEIPT, "", {"X-Twilio-Signature": ""}, "the signature is missing"),
    ],
)
def test_administrators_see_rejected_webhooks_on_every_page(
    web_app: Flask,
    sms_enabled: None,
    number_owner: WebClient,
    admin: WebClient,
    sysadmin: WebClient,
    path: str,
    form: dict[str, str],
    token: str,
    headers: dict[str, str],
    expected: str,
) -> None:
    assert "Webhooks refused" not in sends_page_text(web_app, admin)
    assert post(web_app, path, form, token, **headers) == 403
    assert "Webhooks refused" in sends_page_text(web_app, admin)
    assert expected in sends_page_text(web_app, admin)
    assert "1 call so far." in sends_page_text(web_app, admin)
    assert "Webhooks refused" not in visible_text(number_owner.get("/MyAccount/CommunicationsHistory").text)
    metrics = sysadmin.get("/metrics").text
    assert "portal_webhooks_rejection_active 1.0" in metrics
    assert f'webhook="{path.rpartition("/")[2]}"}} 1.0' in metrics


@pytest.mark.parametrize("path", [STATUS, INBOUND, f"{STATUS}?attempt=a"])
def test_call_signed_for_another_url_names_that_url(
    web_app: Flask, sms_enabled: None, admin: WebClient, path: str
) -> None:
    form = {"MessageSid": "SM3"}
    assert post(web_app, path, form, base="http://portal.example.org") == 403
    assert "Twilio called http://portal.example.org/webhooks/twilio/" in sends_page_text(web_app, admin), (
        "the signature proves that Twilio called"
    )
    assert post(web_app, "/webhooks/twilio/sms", form) == 404
    assert "Calls to a webhook that the portal does not have are refused" in sends_page_text(web_app, admin)


def test_accepted_call_ends_the_alert_for_its_webhook(web_app: Flask, sms_enabled: None, admin: WebClient) -> None:
    assert post(web_app, STATUS, RECEIPT, "another") == 403
    assert post(web_app, STATUS, RECEIPT) == 204
    assert "Webhooks refused" not in sends_page_text(web_app, admin)
    assert post(web_app, INBOUND, STOP, "another") == 403
    assert post(web_app, STATUS, {**RECEIPT, "MessageSid": "SM9"}) == 204
    assert "Webhooks refused" in sends_page_text(web_app, admin), "texts from handsets are still refused"
    with web_app.app_context():
        changed = json.dumps({"AccountSid": ACCOUNT_SID, "AuthToken": "another"})
        setting_changes.set_setting("SmsGatewayAuthentication", changed, None, now_ms() + 1)
    assert "Webhooks refused" not in sends_page_text(web_app, admin)


def test_forged_calls_appear_in_diagnostics_only(
    web_app: Flask, sms_enabled: None, admin: WebClient, sysadmin: WebClient
) -> None:
    for form in ({"MessageSid": "SM1"}, {"AccountSid": "AC" + "9" * 32}, {}):
        assert post(web_app, STATUS, form, "a guess") == 403
    assert "Webhooks refused" not in sends_page_text(web_app, admin)
    diagnostics = visible_text(sysadmin.post("/SysAdmin/SmsNotificationsTestHarness/doctor").text)
    assert "Receipts are refused: the AuthToken is not the one" in diagnostics
    assert "3 calls so far." in diagnostics
    metric = 'portal_webhooks_rejected_total{cause="token",names_us="no",webhook="status"} 3.0'
    assert metric in sysadmin.get("/metrics").text


def test_known_attempt_in_the_url_identifies_twilio(web_app: Flask, unknown_text_id: int, admin: WebClient) -> None:
    assert post(web_app, f"{STATUS}?attempt=attempt-2", {"MessageSid": "SM1\x00"}, "another") == 403
    assert "Webhooks refused" not in sends_page_text(web_app, admin)
    assert post(web_app, f"{STATUS}?attempt=attempt-1", {"MessageSid": "SM1"}, "another") == 403
    assert "Webhooks refused" in sends_page_text(web_app, admin)


def test_known_message_sid_identifies_twilio(web_app: Flask, unknown_text_id: int, admin: WebClient) -> None:
    with app_transaction(web_app):
        db.session.get_one(Attempt, "attempt-1").provider_id = "SM77"
    assert post(web_app, STATUS, {"MessageSid": "SM77", "MessageStatus": "sent"}, "another") == 403
    assert "Webhooks refused" in sends_page_text(web_app, admin)


def test_rejection_is_logged_once_a_minute_without_its_content(web_app: Flask, sms_enabled: None) -> None:
    with capture_logs() as lines:
        for number in range(5):
            post(web_app, f"{STATUS}?attempt=a", {**RECEIPT, "MessageSid": f"SM{number}"}, "another")
    (line,) = lines
    assert (line["likely"], line["webhook"], line["names_us"]) == ("token", "status", True)
    assert not any(secret in str(line) for secret in (ACCOUNT_SID, AUTH_TOKEN, "2025550", "SM0", "another"))


@pytest.fixture
def portal_with_credentials(app: Flask) -> Flask:
    """On either database, with the credentials set."""
    values = {"SmsGatewayType": "Twilio", "SmsGatewayAuthentication": json.dumps(servers.LIVE_CREDENTIALS)}
    for name, value in values.items():
        setting_changes.set_setting(name, value, None, now_ms())
    return app


def test_many_forged_calls_cause_two_rows_and_few_writes(
    portal_with_credentials: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhook_rejections, "_MAX_WRITES", 4)
    monkeypatch.setattr(webhook_rejections, "_WINDOW_SECONDS", 600.0)
    for number in range(30):
        post(portal_with_credentials, STATUS, {"MessageSid": f"SM{number}"}, f"guess {number}")
        post(portal_with_credentials, INBOUND, {"Body": f"{number}"}, f"guess {number}")
    db.session.rollback()
    assert sum(row.request_count for row in db.session.scalars(select(RejectedWebhook))) == 4
    assert sum(rejection.call_count for rejection in webhook_rejections.all_rejections(now_ms())) == 60, (
        "this process counts every call"
    )
    assert len(db.session.scalars(select(RejectedWebhook)).all()) == 2


def test_repeated_fields_and_url_fragments_are_verified(portal_with_credentials: Flask, client: FlaskClient) -> None:
    token = servers.LIVE_CREDENTIALS["AuthToken"]
    form = MultiDict([("MessageSid", "SM1"), ("MessageStatus", "sent"), ("Tag", "b"), ("Tag", "a"), ("Tag", "b")])
    url = f"{settings().public_url}{STATUS}?attempt=a"
    for index, fragment in enumerate(("", "#rc=3&rp=5xx,ct,rt", "#rc=3&rp=all", "#rc=3")):
        form["MessageSid"] = f"SM{index}"
        headers = {"X-Twilio-Signature": RequestValidator(token).compute_signature(f"{url}{fragment}", form)}
        response = client.post(f"{STATUS}?attempt=a", data=form, headers=headers)
        assert response.status_code == 204, fragment
    db.session.rollback()
    assert len(db.session.scalars(select(Receipt)).all()) == 4


def test_json_body_is_refused(portal_with_credentials: Flask, client: FlaskClient) -> None:
    body = json.dumps({"MessageSid": "SM1", "MessageStatus": "undelivered"})
    path = f"{STATUS}?attempt=a&bodySHA256={hashlib.sha256(body.encode()).hexdigest()}"
    validator = RequestValidator(servers.LIVE_CREDENTIALS["AuthToken"])
    headers = {
        "X-Twilio-Signature": validator.compute_signature(f"{settings().public_url}{path}", {}),
        "Content-Type": "application/json; charset=utf-8",
    }
    assert client.post(path, data=body, headers=headers).status_code == 403


def test_rejections_are_hidden_while_texts_are_off(web_app: Flask, admin: WebClient) -> None:
    with app_transaction(web_app):
        db.session.add(
            RejectedWebhook(
                webhook="status", cause="token", identifies_us=True, request_count=1, last_seen_at_ms=now_ms()
            )
        )
    assert "Webhooks refused" not in sends_page_text(web_app, admin)
    assert PUBLIC_URL not in sends_page_text(web_app, admin)


@pytest.mark.parametrize("path", [f"{STATUS}/", f"{INBOUND}/"])
def test_webhook_url_may_end_with_a_slash(web_app: Flask, sms_enabled: None, path: str) -> None:
    assert post(web_app, path, {**RECEIPT, "Body": "hello"}) in (200, 204)
    assert post(web_app, path, RECEIPT, "another") == 403
