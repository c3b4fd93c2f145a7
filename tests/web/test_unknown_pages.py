"""Texts in doubt: where they are told, who decides about them and when, and the news that comes after all."""

import re

import pytest
from flask import Flask
from linting import problems_of
from queue_tools import QUEUES, TEXTS, audited, rows, state_of, words
from web_people import NOW, Visitor
from werkzeug.test import TestResponse

from portal.actions.receipts import take_receipt
from portal.clock import now_ms
from portal.context import settings
from portal.domain.status import NO_MORE_LOOKS_MS
from portal.extensions import db
from portal.models.communication import Attempt, Delivery
from portal.models.progress import counts, groups_of

DECISIONS = (("sent", "SENT"), ("unsent", "NOT SENT"), ("again", "AGAIN"))


def communication_of(app: Flask, delivery_id: int) -> int:
    with app.app_context():
        return db.session.get_one(Delivery, delivery_id).communication_id


def heard(app: Flask, settle_windows_ago: float) -> None:
    """When the attempt's outcome was last heard of."""
    with rows(app):
        window_ms = settings().sms_settle_seconds * 1000
        db.session.get_one(Attempt, "attempt-1").finished_at_ms = now_ms() - round(window_ms * settle_windows_ago)


def decide(visitor: Visitor, delivery_id: int, how: str, word: str, attempt: str = "attempt-1") -> TestResponse:
    return visitor.post(f"{TEXTS}/{delivery_id}/{how}", **{how: word, "attempt": attempt})


def test_a_text_in_doubt_is_listed_with_why_and_looked_for_at_once(
    web_app: Flask, sysadmin: Visitor, unknown: int
) -> None:
    page = words(sysadmin.get(QUEUES).text)
    assert "Olive Owner P-1" in page
    assert "No answer within 15 seconds." in page
    assert "Look now" in page
    sysadmin.post(f"{TEXTS}/{unknown}/look")
    with web_app.app_context():
        assert db.session.get_one(Delivery, unknown).next_at_ms <= now_ms()
    assert state_of(web_app, unknown) == "unknown"


@pytest.mark.parametrize(("how", "word"), DECISIONS)
def test_a_text_is_not_decided_while_an_answer_may_still_settle_it(
    web_app: Flask, admin: Visitor, unknown: int, how: str, word: str
) -> None:
    heard(web_app, 1.9)
    page = words(admin.get(f"{TEXTS}/{unknown}").text)
    assert "If none comes, a person can decide in" in page
    assert "Count as sent" not in page
    decide(admin, unknown, how, word)
    assert "It is too early to decide" in admin.get(TEXTS).text
    assert state_of(web_app, unknown) == "unknown"
    assert audited(web_app) == []
    heard(web_app, 2.1)
    assert "Twilio is asked about it again and again" in words(admin.get(TEXTS).text)
    decide(admin, unknown, how, word)
    assert state_of(web_app, unknown) != "unknown"


def test_where_nobody_can_be_asked_one_settle_window_is_waited_for(
    web_app: Flask, sysadmin: Visitor, undecided: int
) -> None:
    heard(web_app, 0.9)
    assert "To be decided in" in words(sysadmin.get(QUEUES).text)
    decide(sysadmin, undecided, "sent", "SENT")
    assert state_of(web_app, undecided) == "unknown"
    heard(web_app, 1.1)
    decide(sysadmin, undecided, "sent", "SENT")
    assert state_of(web_app, undecided) == "accepted"


@pytest.mark.parametrize(
    ("how", "word", "state", "action"),
    [
        ("sent", "SENT", "accepted", "text_taken_as_sent"),
        ("unsent", "NOT SENT", "dead", "text_taken_as_unsent"),
        ("again", "AGAIN", "ready", "text_sent_again"),
    ],
)
def test_what_nobody_can_be_asked_about_is_decided_with_a_typed_word_and_a_line(
    web_app: Flask, admin: Visitor, undecided: int, how: str, word: str, state: str, action: str
) -> None:
    address = f"{TEXTS}/{undecided}"
    assert f'href="{address}"' in admin.get(TEXTS).text
    assert "the person gets the same text twice" in admin.get(address).text
    for typed in ("", word.lower(), "\x00", "x" * 5_000):
        answer = decide(admin, undecided, how, typed)
        assert answer.status_code == 422
        assert f"Type {word} to confirm" in answer.text
        assert problems_of(answer.text) == []
    assert state_of(web_app, undecided) == "unknown"
    assert decide(admin, undecided, how, word).status_code == 303
    assert state_of(web_app, undecided) == state
    assert decide(admin, undecided, how, word).status_code == 303
    assert "settled meanwhile" in admin.get(TEXTS).text
    assert audited(web_app) == [(action, f"text {undecided}")]
    assert "administrator" in words(admin.get("/Admin/Communications/1").text)
    assert admin.get(address).status_code == 404


@pytest.mark.parametrize("attempt", ["attempt-0", "", "\x00"])
def test_a_decision_about_an_attempt_before_this_one_changes_nothing(
    web_app: Flask, admin: Visitor, undecided: int, attempt: str
) -> None:
    decide(admin, undecided, "again", "AGAIN", attempt)
    assert "settled meanwhile" in admin.get(TEXTS).text
    assert state_of(web_app, undecided) == "unknown"


def test_evidence_that_came_between_the_page_and_the_button_wins(
    web_app: Flask, admin: Visitor, undecided: int
) -> None:
    assert admin.get(f"{TEXTS}/{undecided}").status_code == 200
    with web_app.app_context():
        take_receipt({"MessageSid": "SM1", "MessageStatus": "delivered"}, "attempt-1", NOW)
    decide(admin, undecided, "again", "AGAIN")
    assert state_of(web_app, undecided) == "delivered"
    assert audited(web_app) == []


def test_evidence_that_comes_after_the_decision_still_counts(web_app: Flask, admin: Visitor, undecided: int) -> None:
    decide(admin, undecided, "sent", "SENT")
    assert "Final status not reported" in words(admin.get("/Admin/Communications/1").text)
    with web_app.app_context():
        take_receipt({"MessageSid": "SM1", "MessageStatus": "delivered"}, "attempt-1", now_ms())
    assert state_of(web_app, undecided) == "delivered"


def test_an_administrator_sees_the_unknown_texts_of_a_send_and_nobody_else_does(
    admin: Visitor, owner: Visitor, visitor: Visitor, unknown: int
) -> None:
    page = admin.get("/Admin/Sends/1").text
    assert "Of 1 text nobody knows yet whether it left." in words(page)
    assert f'href="{TEXTS}?send=1"' in page
    assert "Olive Owner" in admin.get(f"{TEXTS}?send=1").text
    assert "Olive Owner" not in admin.get(f"{TEXTS}?send=2").text
    for address in (TEXTS, f"{TEXTS}/{unknown}"):
        assert problems_of(admin.get(address).text) == []
        assert (owner.get(address).status_code, visitor.get(address).status_code) == (404, 303)
    for how in ("look", "again"):
        assert owner.post(f"{TEXTS}/{unknown}/{how}").status_code == 404


def test_while_texts_are_off_administrators_see_none_in_doubt(
    admin: Visitor, sysadmin: Visitor, sent: dict[str, int]
) -> None:
    assert (admin.get(TEXTS).status_code, sysadmin.get(TEXTS).status_code) == (404, 200)


def test_a_text_without_news_for_a_day_says_so_everywhere_until_news_comes(
    web_app: Flask, admin: Visitor, unknown: int
) -> None:
    with rows(web_app):
        delivery, attempt = db.session.get_one(Delivery, unknown), db.session.get_one(Attempt, "attempt-1")
        delivery.state, attempt.outcome = "accepted", "accepted"
        delivery.provider_id = attempt.provider_id = "SM1"
        delivery.next_at_ms = NO_MORE_LOOKS_MS - 1
    address, few = (
        f"/Admin/Communications/{communication_of(web_app, unknown)}",
        "/Admin/Communications?group=unreported",
    )
    pages = (address, "/Admin/Communications?channel=sms", "/Admin/Sends/1")
    tag = re.compile(r'(data-tone="off"|<dt)>Final status not reported<')
    assert not any(tag.search(admin.get(page).text) for page in pages)
    assert "No communication fits" in admin.get(few).text
    with rows(web_app):
        db.session.get_one(Delivery, unknown).next_at_ms = NO_MORE_LOOKS_MS
    assert all(tag.search(admin.get(page).text) for page in pages)
    assert "told no final status within a day" in admin.get(address).text
    assert "Olive Owner" in admin.get(few).text
    assert "No communication fits" in admin.get("/Admin/Communications?group=accepted").text
    with web_app.app_context():
        assert groups_of([1])[1]["sms"]["unreported"] == counts(1)["sms"]["unreported"] == 1
        take_receipt({"MessageSid": "SM1", "MessageStatus": "delivered"}, "attempt-1", now_ms())
    assert not any(tag.search(admin.get(page).text) for page in pages)
