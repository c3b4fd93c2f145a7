"""Texts in doubt: where they are told, who decides about them and when, and the news that comes after all."""

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
    UNKNOWN_TEXTS_PATH,
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


def record_unknown_outcome(app: Flask, settle_windows_ago: float) -> None:
    """When the attempt's outcome was last record_unknown_outcome of."""
    with app_transaction(app):
        window_ms = settings().sms_unknown_seconds * 1000
        db.session.get_one(Attempt, "attempt-1").finished_at_ms = now_ms() - round(window_ms * settle_windows_ago)


def decide(visitor: WebClient, delivery_id: int, how: str, word: str, attempt: str = "attempt-1") -> TestResponse:
    return visitor.post(f"{UNKNOWN_TEXTS_PATH}/{delivery_id}/{how}", **{how: word, "attempt": attempt})


def test_unresolved_text_is_listed_with_its_reason(web_app: Flask, sysadmin: WebClient, unknown_text_id: int) -> None:
    page = visible_text(sysadmin.get(QUEUES_PATH).text)
    assert "Olive Owner P-1" in page
    assert "No answer within 15 seconds." in page
    assert "Check Twilio now" in page
    sysadmin.post(f"{UNKNOWN_TEXTS_PATH}/{unknown_text_id}/look")
    with web_app.app_context():
        assert db.session.get_one(Delivery, unknown_text_id).due_at_ms <= now_ms()
    assert delivery_state(web_app, unknown_text_id) == "unknown"


@pytest.mark.parametrize(("how", "word"), DECISIONS)
def test_a_text_is_not_decided_while_an_answer_may_still_settle_it(
    web_app: Flask, admin: WebClient, unknown_text_id: int, how: str, word: str
) -> None:
    record_unknown_outcome(web_app, 1.9)
    page = visible_text(admin.get(f"{UNKNOWN_TEXTS_PATH}/{unknown_text_id}").text)
    assert "If none comes, a person can decide in" in page
    assert "Count as sent" not in page
    decide(admin, unknown_text_id, how, word)
    assert "It is too early to decide" in admin.get(UNKNOWN_TEXTS_PATH).text
    assert delivery_state(web_app, unknown_text_id) == "unknown"
    assert audit_entries(web_app) == []
    record_unknown_outcome(web_app, 2.1)
    assert "Twilio is asked about it repeatedly" in visible_text(admin.get(UNKNOWN_TEXTS_PATH).text)
    decide(admin, unknown_text_id, how, word)
    assert delivery_state(web_app, unknown_text_id) != "unknown"


def test_where_nobody_can_be_asked_one_settle_window_is_waited_for(
    web_app: Flask, sysadmin: WebClient, foreign_account_text_id: int
) -> None:
    record_unknown_outcome(web_app, 0.9)
    assert "To be decided in" in visible_text(sysadmin.get(QUEUES_PATH).text)
    decide(sysadmin, foreign_account_text_id, "sent", "SENT")
    assert delivery_state(web_app, foreign_account_text_id) == "unknown"
    record_unknown_outcome(web_app, 1.1)
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
def test_what_nobody_can_be_asked_about_is_decided_with_a_typed_word_and_a_line(
    web_app: Flask, admin: WebClient, foreign_account_text_id: int, how: str, word: str, state: str, action: str
) -> None:
    address = f"{UNKNOWN_TEXTS_PATH}/{foreign_account_text_id}"
    assert f'href="{address}"' in admin.get(UNKNOWN_TEXTS_PATH).text
    assert "the person gets the same text twice" in admin.get(address).text
    for typed in ("", word.lower(), "\x00", "x" * 5_000):
        answer = decide(admin, foreign_account_text_id, how, typed)
        assert answer.status_code == 422
        assert f"Type {word} to confirm" in answer.text
        assert find_page_problems(answer.text) == []
    assert delivery_state(web_app, foreign_account_text_id) == "unknown"
    assert decide(admin, foreign_account_text_id, how, word).status_code == 303
    assert delivery_state(web_app, foreign_account_text_id) == state
    assert decide(admin, foreign_account_text_id, how, word).status_code == 303
    assert "resolved in the meantime" in admin.get(UNKNOWN_TEXTS_PATH).text
    assert audit_entries(web_app) == [(action, f"text {foreign_account_text_id}")]
    assert "administrator" in visible_text(admin.get("/Admin/Communications/1").text)
    assert admin.get(address).status_code == 404


@pytest.mark.parametrize("attempt", ["attempt-0", "", "\x00"])
def test_a_decision_about_an_attempt_before_this_one_changes_nothing(
    web_app: Flask, admin: WebClient, foreign_account_text_id: int, attempt: str
) -> None:
    decide(admin, foreign_account_text_id, "resend", "RESEND", attempt)
    assert "resolved in the meantime" in admin.get(UNKNOWN_TEXTS_PATH).text
    assert delivery_state(web_app, foreign_account_text_id) == "unknown"


def test_evidence_that_came_between_the_page_and_the_button_wins(
    web_app: Flask, admin: WebClient, foreign_account_text_id: int
) -> None:
    assert admin.get(f"{UNKNOWN_TEXTS_PATH}/{foreign_account_text_id}").status_code == 200
    with web_app.app_context():
        record_receipt({"MessageSid": "SM1", "MessageStatus": "delivered"}, "attempt-1", NOW_MS)
    decide(admin, foreign_account_text_id, "resend", "RESEND")
    assert delivery_state(web_app, foreign_account_text_id) == "delivered"
    assert audit_entries(web_app) == []


def test_evidence_that_comes_after_the_decision_still_counts(
    web_app: Flask, admin: WebClient, foreign_account_text_id: int
) -> None:
    decide(admin, foreign_account_text_id, "sent", "SENT")
    assert "Final status not reported" in visible_text(admin.get("/Admin/Communications/1").text)
    with web_app.app_context():
        record_receipt({"MessageSid": "SM1", "MessageStatus": "delivered"}, "attempt-1", now_ms())
    assert delivery_state(web_app, foreign_account_text_id) == "delivered"


def test_an_administrator_sees_the_unknown_texts_of_a_send_and_nobody_else_does(
    admin: WebClient, number_owner: WebClient, visitor: WebClient, unknown_text_id: int
) -> None:
    page = admin.get("/Admin/Sends/1").text
    assert "1 text: outcome not known yet." in visible_text(page)
    assert f'href="{UNKNOWN_TEXTS_PATH}?send=1"' in page
    assert "Olive Owner" in admin.get(f"{UNKNOWN_TEXTS_PATH}?send=1").text
    assert "Olive Owner" not in admin.get(f"{UNKNOWN_TEXTS_PATH}?send=2").text
    for address in (UNKNOWN_TEXTS_PATH, f"{UNKNOWN_TEXTS_PATH}/{unknown_text_id}"):
        assert find_page_problems(admin.get(address).text) == []
        assert (number_owner.get(address).status_code, visitor.get(address).status_code) == (404, 303)
    for how in ("look", "resend"):
        assert number_owner.post(f"{UNKNOWN_TEXTS_PATH}/{unknown_text_id}/{how}").status_code == 404


def test_unresolved_texts_are_hidden_while_texts_are_off(
    admin: WebClient, sysadmin: WebClient, sent_communications: dict[str, int]
) -> None:
    assert (admin.get(UNKNOWN_TEXTS_PATH).status_code, sysadmin.get(UNKNOWN_TEXTS_PATH).status_code) == (404, 200)


def test_a_text_without_news_for_a_day_says_so_everywhere_until_news_comes(
    web_app: Flask, admin: WebClient, unknown_text_id: int
) -> None:
    with app_transaction(web_app):
        delivery, attempt = db.session.get_one(Delivery, unknown_text_id), db.session.get_one(Attempt, "attempt-1")
        delivery.state, attempt.outcome = "accepted", "accepted"
        delivery.provider_id = attempt.provider_id = "SM1"
        delivery.due_at_ms = NO_FURTHER_CHECK_MS - 1
    address, few = (
        f"/Admin/Communications/{communication_of(web_app, unknown_text_id)}",
        "/Admin/Communications?group=no_receipt",
    )
    pages = (address, "/Admin/Communications?channel=sms", "/Admin/Sends/1")
    tag = re.compile(r'(data-tone="off"|<dt)>Final status not reported<')
    assert not any(tag.search(admin.get(page).text) for page in pages)
    assert "No communications match" in admin.get(few).text
    with app_transaction(web_app):
        db.session.get_one(Delivery, unknown_text_id).due_at_ms = NO_FURTHER_CHECK_MS
    assert all(tag.search(admin.get(page).text) for page in pages)
    assert "reported no final status within a day" in admin.get(address).text
    assert "Olive Owner" in admin.get(few).text
    assert "No communications match" in admin.get("/Admin/Communications?group=accepted").text
    with web_app.app_context():
        assert group_counts_by_send([1])[1]["sms"]["no_receipt"] == delivery_counts(1)["sms"]["no_receipt"] == 1
        record_receipt({"MessageSid": "SM1", "MessageStatus": "delivered"}, "attempt-1", now_ms())
    assert not any(tag.search(admin.get(page).text) for page in pages)
