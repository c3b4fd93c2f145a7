import pytest
from flask import Flask
from sqlalchemy import select
from twilio.request_validator import RequestValidator
from web_people import AUTH_TOKEN, PUBLIC_URL, Visitor
from werkzeug.test import TestResponse

from portal.extensions import db
from portal.models.communication import Receipt
from portal.models.inbound import InboundMessage

STATUS = "/webhooks/twilio/status"
INBOUND = "/webhooks/twilio/inbound"
RECEIPT = {"MessageSid": "SM1", "MessageStatus": "delivered"}
START = {"MessageSid": "SM2", "From": "+12025550101", "To": "+12025550199", "Body": "START 日本\x00"}

pytestmark = pytest.mark.usefixtures("texts_on")


def call(visitor: Visitor, path: str, form: dict[str, str], token: str = AUTH_TOKEN, signed: str = "") -> TestResponse:
    signature = RequestValidator(token).compute_signature(signed or PUBLIC_URL + path, form)
    return visitor.client.post(path, data=form, headers={"X-Twilio-Signature": signature}, base_url="http://10.0.0.7")


def test_a_signed_receipt_is_kept_with_the_attempt_its_address_names(web_app: Flask, visitor: Visitor) -> None:
    answer = call(visitor, f"{STATUS}?attempt=abc%2Fd", RECEIPT)
    assert (answer.status_code, answer.data) == (204, b"")
    with web_app.app_context():
        receipt = db.session.scalars(select(Receipt)).one()
        assert (receipt.provider_id, receipt.status, receipt.attempt_id) == ("SM1", "delivered", "abc/d")


def test_a_signed_text_from_a_handset_is_kept_and_answered_with_empty_twiml(web_app: Flask, visitor: Visitor) -> None:
    answer = call(visitor, INBOUND, START)
    assert (answer.text, answer.mimetype) == ("<Response/>", "text/xml")
    with web_app.app_context():
        assert db.session.scalars(select(InboundMessage)).one().body == "START 日本"


@pytest.mark.parametrize("path", [STATUS, INBOUND])
def test_a_stranger_without_our_token_is_refused(web_app: Flask, visitor: Visitor, path: str) -> None:
    assert call(visitor, path, RECEIPT, token="another token").status_code == 403
    assert visitor.client.post(path, data=RECEIPT).status_code == 403
    with web_app.app_context():
        assert db.session.scalars(select(Receipt)).all() == []


def test_a_signature_for_another_address_or_for_other_words_does_not_count(visitor: Visitor) -> None:
    assert call(visitor, f"{STATUS}?attempt=1", RECEIPT, signed=f"{PUBLIC_URL}{STATUS}?attempt=2").status_code == 403
    assert call(visitor, STATUS, RECEIPT, signed=f"http://10.0.0.7{STATUS}").status_code == 403
    signature = RequestValidator(AUTH_TOKEN).compute_signature(PUBLIC_URL + STATUS, RECEIPT)
    changed = {**RECEIPT, "MessageStatus": "failed"}
    assert visitor.client.post(STATUS, data=changed, headers={"X-Twilio-Signature": signature}).status_code == 403


@pytest.mark.parametrize("signature", ["", "x", "é" * 28, "=" * 5000])
@pytest.mark.parametrize("body", [b"", b"\xff\xfe%%%", b"{}", b"a=" + b"\x00" * 50])
@pytest.mark.parametrize("kind", ["application/x-www-form-urlencoded", "application/json", "multipart/form-data", "x"])
def test_odd_input_is_refused_and_never_a_fault_of_ours(
    visitor: Visitor, signature: str, body: bytes, kind: str
) -> None:
    for path in (STATUS, INBOUND):
        answer = visitor.client.post(path, data=body, content_type=kind, headers={"X-Twilio-Signature": signature})
        assert answer.status_code == 403


def test_a_body_that_no_webhook_has_is_not_read(visitor: Visitor) -> None:
    assert visitor.client.post(STATUS, data={"Body": "x" * 70_000}).status_code == 413


def test_only_posts_come_in(visitor: Visitor) -> None:
    assert visitor.get(STATUS).status_code == 405
