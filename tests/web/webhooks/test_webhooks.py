"""What Twilio tells us at the webhooks: believed by its signature alone, kept once, answered in TwiML."""

import dataclasses
import itertools
import json
import secrets
from threading import BoundedSemaphore
from urllib.parse import urlencode
from xml.etree import ElementTree

import pytest
from flask import Flask
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
    """Whoever calls the webhooks, of a portal whose texts are switched on."""
    return visitor


def test_a_signed_receipt_is_kept_with_the_attempt_its_address_names(web_app: Flask, webhook_client: WebClient) -> None:
    answer = signed_post(webhook_client, f"{STATUS}?attempt=abc%2Fd", RECEIPT)
    assert (answer.status_code, answer.data) == (204, b"")
    with web_app.app_context():
        receipt = db.session.scalars(select(Receipt)).one()
        assert (receipt.provider_id, receipt.status, receipt.attempt_id) == ("SM1", "delivered", "abc/d")


def test_when_too_many_wait_already_twilio_is_asked_to_come_again(
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


def test_a_token_that_another_process_replaces_counts_at_once_and_the_old_one_no_more(
    web_app: Flask, webhook_client: WebClient
) -> None:
    assert signed_post(webhook_client, STATUS, RECEIPT).status_code == 204
    with web_app.app_context():
        elsewhere = create_app(settings())
    with elsewhere.app_context():
        replaced = json.dumps({**servers.LIVE_CREDENTIALS, "AuthToken": "another-token"})
        setting_changes.set_setting("SmsGatewayAuthentication", replaced, None, now_ms())
        db.session.remove()
        db.engine.dispose()
    assert signed_post(webhook_client, STATUS, {**RECEIPT, "MessageSid": "SM8"}, "another-token").status_code == 204
    assert signed_post(webhook_client, STATUS, {**RECEIPT, "MessageSid": "SM9"}).status_code == 403


def test_a_signed_text_from_a_handset_is_kept_and_answered_with_empty_twiml(
    web_app: Flask, webhook_client: WebClient
) -> None:
    answer = signed_post(webhook_client, INBOUND, START)
    assert (answer.status_code, answer.mimetype) == (200, "text/xml")
    assert ElementTree.tostring(ElementTree.fromstring(answer.text)) == b"<Response />"
    with web_app.app_context():
        assert db.session.scalars(select(InboundMessage)).one().body == "START 日本"


@pytest.mark.parametrize("path", [STATUS, INBOUND])
def test_a_stranger_without_our_token_is_refused(web_app: Flask, webhook_client: WebClient, path: str) -> None:
    for form in (RECEIPT, START):
        assert signed_post(webhook_client, path, form, token="another token").status_code == 403
        assert webhook_client.client.post(path, data=form).status_code == 403
    with web_app.app_context():
        assert db.session.scalars(select(Receipt)).all() == []
        assert db.session.scalars(select(InboundMessage)).all() == []


def test_a_signature_for_another_address_or_for_other_words_does_not_count(webhook_client: WebClient) -> None:
    assert (
        signed_post(
            webhook_client, f"{STATUS}?attempt=1", RECEIPT, signed=f"{PUBLIC_URL}{STATUS}?attempt=2"
        ).status_code
        == 403
    )
    assert signed_post(webhook_client, STATUS, RECEIPT, signed=f"http://10.0.0.7{STATUS}").status_code == 403
    signature = RequestValidator(AUTH_TOKEN).compute_signature(PUBLIC_URL + STATUS, RECEIPT)
    changed = {**RECEIPT, "MessageStatus": "failed"}
    answer = webhook_client.client.post(STATUS, data=changed, headers={"X-Twilio-Signature": signature})
    assert answer.status_code == 403


def test_parameters_outside_the_signature_are_ignored(web_app: Flask, webhook_client: WebClient) -> None:
    signed = {**START, "Body": "STOP"}
    headers = {"X-Twilio-Signature": RequestValidator(AUTH_TOKEN).compute_signature(PUBLIC_URL + INBOUND, signed)}
    first = [("Body", "START"), *signed.items()]
    assert (
        webhook_client.client.post(INBOUND, data=urlencode(first), headers=headers, content_type=FORM).status_code
        == 403
    )
    last = [*signed.items(), ("Body", "START")]
    assert (
        webhook_client.client.post(INBOUND, data=urlencode(last), headers=headers, content_type=FORM).status_code == 403
    )
    twice = [*signed.items(), ("Body", "STOP")]
    assert (
        webhook_client.client.post(INBOUND, data=urlencode(twice), headers=headers, content_type=FORM).status_code
        == 200
    )
    assert webhook_client.client.post(f"{INBOUND}?Body=START", data=signed, headers=headers).status_code == 403
    with web_app.app_context():
        assert db.session.scalars(select(InboundMessage.body)).all() == ["STOP"]


def test_odd_input_is_refused_and_never_a_fault_of_ours(webhook_client: WebClient) -> None:
    signatures = ["", "x", "é" * 28, "=" * 5000]
    bodies = [b"", b"\xff\xfe%%%", b"{}", b"a=" + b"\x00" * 50]
    kinds = [FORM, "application/json", "multipart/form-data", "x"]
    for path, signature, body, kind in itertools.product((STATUS, INBOUND), signatures, bodies, kinds):
        headers = {"X-Twilio-Signature": signature}
        answer = webhook_client.client.post(path, data=body, content_type=kind, headers=headers)
        assert answer.status_code == 403, (path, signature, body, kind)


def test_a_body_that_no_webhook_has_is_not_read_signed_or_not(webhook_client: WebClient) -> None:
    assert webhook_client.client.post(STATUS, data={"Body": "x" * 70_000}).status_code == 413
    assert signed_post(webhook_client, INBOUND, {**START, "Body": "x" * 70_000}).status_code == 413


def test_only_posts_come_in(webhook_client: WebClient) -> None:
    assert webhook_client.get(STATUS).status_code == 405
    assert webhook_client.get(INBOUND).status_code == 405


class WebhookClient:
    """The inbound webhook of a portal on either database, called as Twilio calls it."""

    def __init__(self, app: Flask) -> None:
        self._client = app.test_client()
        self._count = itertools.count(1)

    def output_of(self, body: str, **more: str) -> str | None:
        """The text that the TwiML answers with, if any."""
        form = {
            "MessageSid": f"SM{next(self._count)}",
            "From": HANDSET,
            "To": servers.FROM_NUMBER,
            "Body": body,
            **more,
        }
        answer = self.post({name: value for name, value in form.items() if value != "left out"})
        assert (answer.status_code, answer.mimetype) == (200, "text/xml")
        root = ElementTree.fromstring(answer.text)
        assert root.tag == "Response"
        texts = [message.text for message in root.findall("Message")]
        assert len(texts) <= 1
        return texts[0] if texts else None

    def post(self, form: dict[str, str]) -> TestResponse:
        address = f"{settings().public_url}{INBOUND}"
        signature = RequestValidator(servers.LIVE_CREDENTIALS["AuthToken"]).compute_signature(address, form)
        answer = self._client.post(INBOUND, data=form, headers={"X-Twilio-Signature": signature})
        db.session.remove()
        return answer


@pytest.fixture
def webhook_endpoint(app: Flask) -> WebhookClient:
    values = {
        "EnableSmsNotifications": "true",
        "SmsGatewayType": "Twilio",
        "SmsGatewayAuthentication": json.dumps(servers.LIVE_CREDENTIALS),
        "SmsGatewaySettings": json.dumps({"FromNumber": servers.FROM_NUMBER}),
    }
    for name, value in values.items():
        setting_changes.set_setting(name, value, None, now_ms())
    return WebhookClient(app)


def kinds() -> list[str]:
    return list(db.session.scalars(select(ConsentEvent.kind).order_by(ConsentEvent.id)))


def test_a_stop_takes_effect_before_it_is_answered(webhook_endpoint: WebhookClient) -> None:
    assert webhook_endpoint.output_of("STOP") is None, "Twilio answers it by itself"
    assert db.session.get_one(PhoneState, HANDSET).stopped_at_ms is not None
    assert kinds() == ["stop"]


def test_a_webhook_that_is_posted_again_or_replayed_changes_nothing(webhook_endpoint: WebhookClient) -> None:
    webhook_endpoint.output_of("STOP", MessageSid="SMa")
    webhook_endpoint.output_of("START", MessageSid="SMb")
    for _ in range(3):
        webhook_endpoint.output_of("STOP", MessageSid="SMa")
        webhook_endpoint.output_of("START", MessageSid="SMb")
    assert kinds() == ["stop", "start"]


def test_our_own_answer_is_escaped_and_comes_where_twilio_gives_none(
    app: Flask, webhook_endpoint: WebhookClient
) -> None:
    app.config["PORTAL"] = dataclasses.replace(app.config["PORTAL"], organisation="Board & Sons <Ltd> “é” 😀")
    answer = webhook_endpoint.output_of("opt out")
    assert answer is not None
    assert answer.startswith('Board & Sons <Ltd> "é" 😀: ')
    assert webhook_endpoint.output_of("leave me alone", From="+12025550102") is not None
    assert webhook_endpoint.output_of("who is this?") is None


def test_whatever_a_handset_sends_is_taken(webhook_endpoint: WebhookClient) -> None:
    for body in ("😀" * 1_600, "a\x00b", "", " ", "]]>&<Message>hello</Message>", "\u202e\u0000\uffff", "é" * 1_600):
        assert webhook_endpoint.output_of(body) is None
    for name in ("From", "To", "Body", "MessageSid"):
        assert webhook_endpoint.output_of("STOP", From="12345", **{name: "left out"} if name != "From" else {}) is None
    for sender in ("12345", "BANK", "+", "", secrets.token_hex(2_000)):
        assert webhook_endpoint.output_of("STOP", From=sender) is None
    assert kinds() == []
