"""Where an administrator sees what cannot all be true of a text: its story, the audit log, the metrics."""

from flask import Flask
from linting import problems_of
from queue_tools import AUDIT, audited, words
from web_people import Visitor

from portal.actions.receipts import take_receipt
from portal.clock import now_ms
from portal.domain.audit_words import ACTIONS, KINDS
from portal.domain.contradictions import SENTENCES, Contradiction
from portal.extensions import db
from portal.models.communication import Delivery


def heard(app: Flask, status: str, code: str = "", sid: str = "SM1") -> None:
    with app.app_context():
        form = {"MessageSid": sid, "MessageStatus": status, "ErrorCode": code}
        take_receipt({key: value for key, value in form.items() if value}, "attempt-1", now_ms())


def test_a_text_that_arrived_and_did_not_is_told_in_its_story_in_the_audit_log_and_in_the_metrics(
    web_app: Flask, admin: Visitor, sysadmin: Visitor, visitor: Visitor, unknown: int
) -> None:
    heard(web_app, "delivered")
    assert 'portal_contradictions{kind="text_ended_both_ways"} 0.0' in metrics(visitor)
    heard(web_app, "undelivered", "30003")
    heard(web_app, "undelivered", "30003")
    heard(web_app, "sent", sid="SM2")
    assert audited(web_app) == [("text_ended_both_ways", f"text {unknown}"), ("text_taken_twice", f"text {unknown}")]
    with web_app.app_context():
        communication_id = db.session.get_one(Delivery, unknown).communication_id
    address = f"/Admin/Communications/{communication_id}"
    page = admin.get(address).text
    assert problems_of(page) == []
    assert "Contradiction: Twilio said that it arrived, and that it did not" in words(page)
    assert "It stands as “Delivered”, which came first; “Not delivered” was told as well." in words(page)
    assert "Contradiction: Twilio took it more than once; the person may have it twice" in words(page)
    log = sysadmin.get(AUDIT, query_string={"action": "text_ended_both_ways"}).text
    assert f"Twilio said that text {unknown} arrived, and that it did not" in words(log)
    assert "code 30003, ids SM1, recorded Delivered, told Not delivered" in words(log)
    assert f'href="{address}"' in log
    assert 'portal_contradictions{kind="text_ended_both_ways"} 1.0' in metrics(visitor)
    assert 'portal_contradictions{kind="text_taken_twice"} 1.0' in metrics(visitor)
    assert 'portal_contradictions{kind="text_listed_twice"} 0.0' in metrics(visitor)


def metrics(visitor: Visitor) -> str:
    return visitor.client.get("/metrics", base_url="http://127.0.0.1").text


def test_every_contradiction_has_words_for_the_story_and_for_the_log() -> None:
    for kind in Contradiction:
        assert SENTENCES[kind]
        assert "{}" in ACTIONS[kind]
        assert KINDS[kind]
