"""Unresolved texts: where they are listed, who decides about them and when, and evidence that arrives later."""

import re

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from portal.core.clock import now_ms
from portal.core.context import settings
from portal.core.extensions import db
from portal.core.rules.delivery_status import NO_FURTHER_CHECK_MS
from portal.delivery.receipts import record_receipt
from portal.messages.tables.communications import Attempt, Delivery
from portal.messages.tables.delivery_counts import delivery_counts, group_counts_by_send
from tests.support.html_checks import find_page_problems
from tests.support.page_queries import (
    QUEUES_PATH,
    SENT_NOTICE,
    UNRESOLVED_TEXTS_PATH,
    app_transaction,
    audit_entries,
    delivery_state,
    visible_text,
)
from tests.support.web_client import NOW_MS, WebClient

DECISIONS = (("sent", "SENT"), ("not_sent", "NOT SENT"), ("resend", "RESEND"))


def communication_of(app: Flask, delivery_id: int) -> int:
    with app.app_context():
        return db.session.get_one(Delivery, delivery_id).communication_id


def set_last_seen(app: Flask, settle_windows_ago: float) -> None:
    """Set when the attempt was last known to be in flight."""
    with app_transaction(app):
        window_ms = settings().sms_unknown_seconds * 1000
        db.session.get_one(Attempt, "attempt-1").finished_at_ms = now_ms() - round(window_ms * settle_windows_ago)


def decide(visitor: WebClient, delivery_id: int, how: str, word: str, attempt: str = "attempt-1") -> TestResponse:
    return visitor.post(f"{UNRESOLVED_TEXTS_PATH}/{delivery_id}/{how}", **{how: word, "attempt": attempt})


def test_unresolved_text_is_listed_with_its_reason(web_app: Flask, sysadmin: WebClient, unknown_text_id: int) -> None:
    page = visible_text(sysadmin.get(QUEUES_PATH).text)
    assert "Olive Owner P-1" in page
    assert "No answer within 15 seconds." in page
    assert "Check Twilio now" in page
    sysadmin.post(f"{UNRESOLVED_TEXTS_PATH}/{unknown_text_id}/look")
    with web_app.app_context():
        assert db.session.get_one(Delivery, unknown_text_id).due_at_ms <= now_ms()
    assert delivery_state(web_app, unknown_text_id) == "unknown"


@pytest.mark.parametrize(("how", "word"), DECISIONS)
def test_no_decision_while_twilio_may_still_answer(
    web_app: Flask, admin: WebClient, unknown_text_id: int, how: str, word: str
) -> None:
    set_last_seen(web_app, 1.9)
    page = visible_text(admin.get(f"{UNRESOLVED_TEXTS_PATH}/{unknown_text_id}").text)
    assert "If Twilio has no answer, you can decide in" in page
    assert "Mark as sent" not in page
    decide(admin, unknown_text_id, how, word)
    assert "It is too early to decide" in admin.get(UNRESOLVED_TEXTS_PATH).text
    assert delivery_state(web_app, unknown_text_id) == "unknown"
    assert audit_entries(web_app) == SENT_NOTICE
    set_last_seen(web_app, 2.1)
    assert "The portal asks Twilio about it repeatedly" in visible_text(admin.get(UNRESOLVED_TEXTS_PATH).text)
    decide(admin, unknown_text_id, how, word)
    assert delivery_state(web_app, unknown_text_id) != "unknown"


def test_text_of_another_account_waits_one_settle_window(
    web_app: Flask, sysadmin: WebClient, foreign_account_text_id: int
) -> None:
    set_last_seen(web_app, 0.9)
    assert "You can decide in" in visible_text(sysadmin.get(QUEUES_PATH).text)
    decide(sysadmin, foreign_account_text_id, "sent", "SENT")
    assert delivery_state(web_app, foreign_account_text_id) == "unknown"
    set_last_seen(web_app, 1.1)
    decide(sysadmin, foreign_account_text_id, "sent", "SENT")
    assert delivery_state(web_app, foreign_account_text_id) == "accepted"


@pytest.mark.parametrize(
    ("how", "word", "state", "action"),
    [
        ("sent", "SENT", "accepted", "text_marked_sent"),
        ("not_sent", "NOT SENT", "expired", "text_marked_unsent"),
        ("resend", "RESEND", "ready", "text_resent"),
    ],
)
def test_decision_needs_a_typed_word_and_is_audited(
    web_app: Flask, admin: WebClient, foreign_account_text_id: int, how: str, word: str, state: str, action: str
) -> None:
    address = f"{UNRESOLVED_TEXTS_PATH}/{foreign_account_text_id}"
    assert f'href="{address}"' in admin.get(UNRESOLVED_TEXTS_PATH).text
    assert "the person gets the same text twice" in admin.get(address).text
    for typed in ("", word.lower(), "\x00", "x" * 5_000):
        response = decide(admin, foreign_account_text_id, how, typed)
        assert response.status_code == 422
        assert f"Type {word} to confirm" in response.text
        assert find_page_problems(response.text) == []
    assert delivery_state(web_app, foreign_account_text_id) == "unknown"
    assert decide(admin, foreign_account_text_id, how, word).status_code == 303
    assert delivery_state(web_app, foreign_account_text_id) == state
    assert decide(admin, foreign_account_text_id, how, word).status_code == 303
    assert "resolved in the meantime" in admin.get(UNRESOLVED_TEXTS_PATH).text
    assert audit_entries(web_app) == [*SENT_NOTICE, (action, f"text {foreign_account_text_id}")]
    assert "administrator" in visible_text(admin.get("/Admin/Communications/1").text)
    assert admin.get(address).status_code == 404


@pytest.mark.parametrize("attempt", ["attempt-0", "", "\x00"])
def test_decision_about_an_earlier_attempt_changes_nothing(
    web_app: Flask, admin: WebClient, foreign_account_text_id: int, attempt: str
) -> None:
    decide(admin, foreign_account_text_id, "resend", "RESEND", attempt)
    assert "resolved in the meantime" in admin.get(UNRESOLVED_TEXTS_PATH).text
    assert delivery_state(web_app, foreign_account_text_id) == "unknown"


def test_evidence_that_arrives_before_the_decision_wins(
    web_app: Flask, admin: WebClient, foreign_account_text_id: int
) -> None:
    assert admin.get(f"{UNRESOLVED_TEXTS_PATH}/{foreign_account_text_id}").status_code == 200
    with web_app.app_context():
        record_receipt({"MessageSid": "SM1", "MessageStatus": "delivered"}, "attempt-1", NOW_MS)
    decide(admin, foreign_account_text_id, "resend", "RESEND")
    assert delivery_state(web_app, foreign_account_text_id) == "delivered"
    assert audit_entries(web_app) == SENT_NOTICE


def test_evidence_that_arrives_after_the_decision_counts(
    web_app: Flask, admin: WebClient, foreign_account_text_id: int
) -> None:
    decide(admin, foreign_account_text_id, "sent", "SENT")
    assert "Final status not reported" in visible_text(admin.get("/Admin/Communications/1").text)
    with web_app.app_context():
        record_receipt({"MessageSid": "SM1", "MessageStatus": "delivered"}, "attempt-1", now_ms())
    assert delivery_state(web_app, foreign_account_text_id) == "delivered"


def test_only_administrators_see_the_unresolved_texts_of_a_send(
    admin: WebClient, number_owner: WebClient, visitor: WebClient, unknown_text_id: int
) -> None:
    page = admin.get("/Admin/Sends/1").text
    assert "1 text: outcome not known yet." in visible_text(page)
    assert f'href="{UNRESOLVED_TEXTS_PATH}?send=1"' in page
    assert "Olive Owner" in admin.get(f"{UNRESOLVED_TEXTS_PATH}?send=1").text
    assert "Olive Owner" not in admin.get(f"{UNRESOLVED_TEXTS_PATH}?send=2").text
    for address in (UNRESOLVED_TEXTS_PATH, f"{UNRESOLVED_TEXTS_PATH}/{unknown_text_id}"):
        assert find_page_problems(admin.get(address).text) == []
        assert (number_owner.get(address).status_code, visitor.get(address).status_code) == (404, 303)
    for how in ("look", "resend"):
        assert number_owner.post(f"{UNRESOLVED_TEXTS_PATH}/{unknown_text_id}/{how}").status_code == 404


def test_unresolved_texts_are_hidden_while_texts_are_off(
    admin: WebClient, sysadmin: WebClient, sent_communications: dict[str, int]
) -> None:
    assert (admin.get(UNRESOLVED_TEXTS_PATH).status_code, sysadmin.get(UNRESOLVED_TEXTS_PATH).status_code) == (404, 200)


def test_missing_final_status_is_shown_until_a_receipt_arrives(
    web_app: Flask, admin: WebClient, unknown_text_id: int
) -> None:
    with app_transaction(web_app):
        delivery, attempt = db.session.get_one(Delivery, unknown_text_id), db.session.get_one(Attempt, "attempt-1")
        delivery.state, attempt.outcome = "accepted", "accepted"
        delivery.provider_id = attempt.provider_id = "SM1"
        delivery.due_at_ms = NO_FURTHER_CHECK_MS - 1
    address = f"/Admin/Communications/{communication_of(web_app, unknown_text_id)}"
    filtered = "/Admin/Communications?group=no_receipt"
    pages = (address, "/Admin/Communications?channel=sms", "/Admin/Sends/1")
    tag = re.compile("<(span( class=.tag. data-tone=.off.)?|dt)>Final status not reported<")
    assert not any(tag.search(admin.get(page).text) for page in pages)
    assert "No communications match" in admin.get(filtered).text
    with app_transaction(web_app):
        db.session.get_one(Delivery, unknown_text_id).due_at_ms = NO_FURTHER_CHECK_MS
    assert all(tag.search(admin.get(page).text) for page in pages)
    assert "reported no final status within a day" in admin.get(address).text
    assert "Olive Owner" in admin.get(filtered).text
    assert "No communications match" in admin.get("/Admin/Communications?group=accepted").text
    with web_app.app_context():
        assert group_counts_by_send([1])[1]["sms"]["no_receipt"] == delivery_counts(1)["sms"]["no_receipt"] == 1
        record_receipt({"MessageSid": "SM1", "MessageStatus": "delivered"}, "attempt-1", now_ms())
    assert not any(tag.search(admin.get(page).text) for page in pages)
