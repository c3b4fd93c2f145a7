"""Webhooks are authenticated by their signature, stored once and answered in TwiML."""

import dataclasses
import itertools
import json
import secrets
from threading import BoundedSemaphore
from urllib.parse import urlencode
from xml.etree import ElementTree

import pytest
from flask import Flask, has_request_context
from flask.testing import FlaskClient
from sqlalchemy import select
from twilio.request_validator import RequestValidator
from werkzeug.test import TestResponse

from portal import create_app
from portal.accounts.tables.phone_numbers import PhoneState
from portal.consent.tables.inbound_messages import InboundMessage
from portal.consent.tables.ledger import ConsentEvent
from portal.core.clock import now_ms
from portal.core.context import settings
from portal.core.extensions import db
from portal.messages.tables.communications import Receipt
from portal.settings import setting_changes
from portal.web.webhooks import twilio_webhooks
from tests.support import servers
from tests.support.web_client import AUTH_TOKEN, PUBLIC_URL, WebClient

STATUS = "/webhooks/twilio/status"
INBOUND = "/webhooks/twilio/inbound"
RECEIPT = {"MessageSid": "SM1", "MessageStatus": "delivered"}
FORM = "application/x-www-form-urlencoded"
HANDSET = "+12025550101"
START = {"MessageSid": "SM2", "From": HANDSET, "To": "+12025550199", "Body": "START 日本\x00"}


def signed_post(
    visitor: WebClient, path: str, form: dict[str, str], token: str = AUTH_TOKEN, signed: str = ""
) -> TestResponse:
    signature = RequestValidator(token).compute_signature(signed or PUBLIC_URL + path, form)
    return visitor.client.post(path, data=form, headers={"X-Twilio-Signature": signature}, base_url="http://10.0.0.7")


@pytest.fixture
def webhook_client(sms_enabled: None, visitor: WebClient) -> WebClient:
    """A client of the webhooks while texts are on."""
    return visitor


def test_signed_receipt_is_stored_with_the_attempt_in_its_url(web_app: Flask, webhook_client: WebClient) -> None:
    response = signed_post(webhook_client, f"{STATUS}?attempt=abc%2Fd", RECEIPT)
    assert (response.status_code, response.data) == (204, b"")
    with web_app.app_context():
        receipt = db.session.scalars(select(Receipt)).one()
        assert (receipt.provider_id, receipt.status, receipt.attempt_id) == ("SM1", "delivered", "abc/d")


def test_excess_receipts_get_503_so_that_twilio_retries(
    web_app: Flask, webhook_client: WebClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = BoundedSemaphore(1)
    full.acquire()
    monkeypatch.setattr(twilio_webhooks, "_receipt_slots", full)
    form = {"MessageSid": "SM" + "7" * 32, "MessageStatus": "sent"}
    assert signed_post(webhook_client, "/webhooks/twilio/status?attempt=later", form).status_code == 503
    full.release()
    assert signed_post(webhook_client, "/webhooks/twilio/status?attempt=later", form).status_code == 204
    full.acquire()


def test_replaced_token_takes_effect_in_every_process_at_once(web_app: Flask, webhook_client: WebClient) -> None:
    assert signed_post(webhook_client, STATUS, RECEIPT).status_code == 204
    with web_app.app_context():
        other_process = create_app(settings())
    with other_process.app_context():
        credentials = json.dumps({**servers.LIVE_CREDENTIALS, "AuthToken": "another-token"})
        setting_changes.set_setting("SmsGatewayAuthentication", credentials, None, now_ms())
        db.session.remove()
        db.engine.dispose()
    assert signed_post(webhook_client, STATUS, {**RECEIPT, "MessageSid": "SM8"}, "another-token").status_code == 204
    assert signed_post(webhook_client, STATUS, {**RECEIPT, "MessageSid": "SM9"}).status_code == 403


def test_signed_text_is_stored_and_gets_empty_twiml(web_app: Flask, webhook_client: WebClient) -> None:
    response = signed_post(webhook_client, INBOUND, START)
    assert (response.status_code, response.mimetype) == (200, "text/xml")
    assert ElementTree.tostring(ElementTree.fromstring(response.text)) == b"<Response />"
    with web_app.app_context():
        assert db.session.scalars(select(InboundMessage)).one().body == "START 日本"


@pytest.mark.parametrize("path", [STATUS, INBOUND])
def test_request_without_a_valid_signature_is_rejected(web_app: Flask, webhook_client: WebClient, path: str) -> None:
    for form in (RECEIPT, START):
        assert signed_post(webhook_client, path, form, token="another token").status_code == 403
        assert webhook_client.client.post(path, data=form).status_code == 403
    with web_app.app_context():
        assert db.session.scalars(select(Receipt)).all() == []
        assert db.session.scalars(select(InboundMessage)).all() == []


def test_signature_for_another_url_or_form_is_rejected(webhook_client: WebClient) -> None:
    other_attempt = f"{PUBLIC_URL}{STATUS}?attempt=2"
    assert signed_post(webhook_client, f"{STATUS}?attempt=1", RECEIPT, signed=other_attempt).status_code == 403
    assert signed_post(webhook_client, STATUS, RECEIPT, signed=f"http://10.0.0.7{STATUS}").status_code == 403
    signature = RequestValidator(AUTH_TOKEN).compute_signature(PUBLIC_URL + STATUS, RECEIPT)
    changed = {**RECEIPT, "MessageStatus": "failed"}
    response = webhook_client.client.post(STATUS, data=changed, headers={"X-Twilio-Signature": signature})
    assert response.status_code == 403


def test_unsigned_parameters_never_take_effect(web_app: Flask, webhook_client: WebClient) -> None:
    signed = {**START, "Body": "STOP"}
    headers = {"X-Twilio-Signature": RequestValidator(AUTH_TOKEN).compute_signature(PUBLIC_URL + INBOUND, signed)}

    def status_of(fields: list[tuple[str, str]]) -> int:
        data = urlencode(fields)
        return webhook_client.client.post(INBOUND, data=data, headers=headers, content_type=FORM).status_code

    assert status_of([("Body", "START"), *signed.items()]) == 403
    assert status_of([*signed.items(), ("Body", "START")]) == 403
    assert status_of([*signed.items(), ("Body", "STOP")]) == 200, "Twilio signs a repeated field once"
    assert webhook_client.client.post(f"{INBOUND}?Body=START", data=signed, headers=headers).status_code == 403
    with web_app.app_context():
        assert db.session.scalars(select(InboundMessage.body)).all() == ["STOP"]


def test_malformed_request_gets_403_and_no_server_error(webhook_client: WebClient) -> None:
    signatures = ["", "x", "é" * 28, "=" * 5000]
    bodies = [b"", b"\xff\xfe%%%", b"{}", b"a=" + b"\x00" * 50]
    content_types = [FORM, "application/json", "multipart/form-data", "x"]
    for path, signature, body, content_type in itertools.product((STATUS, INBOUND), signatures, bodies, content_types):
        headers = {"X-Twilio-Signature": signature}
        response = webhook_client.client.post(path, data=body, content_type=content_type, headers=headers)
        assert response.status_code == 403, (path, signature, body, content_type)


def test_oversized_body_gets_413_even_if_signed(webhook_client: WebClient) -> None:
    assert webhook_client.client.post(STATUS, data={"Body": "x" * 70_000}).status_code == 413
    assert signed_post(webhook_client, INBOUND, {**START, "Body": "x" * 70_000}).status_code == 413


def test_webhooks_accept_post_only(webhook_client: WebClient) -> None:
    assert webhook_client.get(STATUS).status_code == 405
    assert webhook_client.get(INBOUND).status_code == 405


class WebhookClient:
    """The inbound webhook of a portal on either database, called as Twilio calls it."""

    def __init__(self, client: FlaskClient) -> None:
        self._client = client
        self._count = itertools.count(1)

    def auto_reply_to(self, body: str, **fields: str) -> str | None:
        """Return the text in the TwiML, or None."""
        form = {
            "MessageSid": f"SM{next(self._count)}",
            "From": HANDSET,
            "To": servers.FROM_NUMBER,
            "Body": body,
            **fields,
        }
        response = self.post({name: value for name, value in form.items() if value != "left out"})
        assert (response.status_code, response.mimetype) == (200, "text/xml")
        root = ElementTree.fromstring(response.text)
        assert root.tag == "Response"
        texts = [message.text for message in root.findall("Message")]
        assert len(texts) <= 1
        return texts[0] if texts else None

    def post(self, form: dict[str, str]) -> TestResponse:
        url = f"{settings().public_url}{INBOUND}"
        signature = RequestValidator(servers.LIVE_CREDENTIALS["AuthToken"]).compute_signature(url, form)
        response = self._client.post(INBOUND, data=form, headers={"X-Twilio-Signature": signature})
        db.session.remove()
        return response


@pytest.fixture
def webhook_endpoint(client: FlaskClient) -> WebhookClient:
    values = {
        "EnableSmsNotifications": "true",
        "SmsGatewayType": "Twilio",
        "SmsGatewayAuthentication": json.dumps(servers.LIVE_CREDENTIALS),
        "SmsGatewaySettings": json.dumps({"FromNumber": servers.FROM_NUMBER}),
    }
    for name, value in values.items():
        setting_changes.set_setting(name, value, None, now_ms())
    return WebhookClient(client)


@pytest.mark.one_engine
def test_no_request_is_open_before_the_first_webhook(client: FlaskClient) -> None:
    """Otherwise the tests would hide product code that lacks a request (tests/conftest.py)."""
    assert not has_request_context()


def event_kinds() -> list[str]:
    return list(db.session.scalars(select(ConsentEvent.kind).order_by(ConsentEvent.id)))


def test_stop_takes_effect_before_the_response(webhook_endpoint: WebhookClient) -> None:
    assert webhook_endpoint.auto_reply_to("STOP") is None, "Twilio answers STOP itself"
    assert db.session.get_one(PhoneState, HANDSET).stopped_at_ms is not None
    assert event_kinds() == ["stop"]


def test_repeated_webhook_changes_nothing(webhook_endpoint: WebhookClient) -> None:
    webhook_endpoint.auto_reply_to("STOP", MessageSid="SMa")
    webhook_endpoint.auto_reply_to("START", MessageSid="SMb")
    for _ in range(3):
        webhook_endpoint.auto_reply_to("STOP", MessageSid="SMa")
        webhook_endpoint.auto_reply_to("START", MessageSid="SMb")
    assert event_kinds() == ["stop", "start"]


def test_auto_reply_is_escaped_in_twiml(app: Flask, webhook_endpoint: WebhookClient) -> None:
    app.config["PORTAL"] = dataclasses.replace(app.config["PORTAL"], organisation="Board & Sons <Ltd> “é” 😀")
    answer = webhook_endpoint.auto_reply_to("opt out")
    assert answer is not None
    assert answer.startswith('Board & Sons <Ltd> "é" 😀: ')
    assert webhook_endpoint.auto_reply_to("leave me alone", From="+12025550102") is not None
    assert webhook_endpoint.auto_reply_to("who is this?") is None


def test_any_text_from_a_handset_is_accepted(webhook_endpoint: WebhookClient) -> None:
    for body in ("😀" * 1_600, "a\x00b", "", " ", "]]>&<Message>hello</Message>", "\u202e\u0000\uffff", "é" * 1_600):
        assert webhook_endpoint.auto_reply_to(body) is None
    for name in ("From", "To", "Body", "MessageSid"):
        assert (
            webhook_endpoint.auto_reply_to("STOP", From="12345", **{name: "left out"} if name != "From" else {}) is None
        )
    for from_number in ("12345", "BANK", "+", "", secrets.token_hex(2_000)):
        assert webhook_endpoint.auto_reply_to("STOP", From=from_number) is None
    assert event_kinds() == []
