"""System → queues and audit log, and the buttons of a send: what they show, what they do, and who may."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from flask import Flask
from linting import problems_of
from sqlalchemy import select, update
from web_people import AUTH_TOKEN, NOW, Visitor
from werkzeug.test import TestResponse

from portal.actions import lanes, send_control, sweep
from portal.actions import settings as app_settings
from portal.actions.email_claim import server_address
from portal.actions.expansion import expand_send
from portal.actions.receipts import take_receipt
from portal.actions.sends import create_send
from portal.actions.transaction import transaction
from portal.clock import now_ms
from portal.context import settings
from portal.domain.status import NO_MORE_LOOKS_MS
from portal.extensions import db
from portal.models import mail_server
from portal.models.account import Account
from portal.models.audit_log import AuditEntry
from portal.models.communication import Attempt, Communication, Delivery
from portal.models.gateway import Sender
from portal.models.lane import all_lanes
from portal.models.progress import counts, groups_of
from portal.models.send import Send

QUEUES, AUDIT = "/SysAdmin/Queues", "/SysAdmin/AuditLog"
ACCOUNT = "AC" + "0" * 32
TEXTS = "/Admin/UnknownTexts"
DECISIONS = (("sent", "SENT"), ("unsent", "NOT SENT"), ("again", "AGAIN"))
ADDRESSES = (QUEUES, f"{QUEUES}/now", AUDIT)
POSTS = (
    f"{QUEUES}/everything/pause",
    f"{QUEUES}/lanes/sms/bulk/pause",
    f"{QUEUES}/sends/1/pause",
    f"{QUEUES}/senders/resume",
    f"{QUEUES}/mail/try",
)


@contextmanager
def rows(app: Flask) -> Iterator[None]:
    with app.app_context(), transaction():
        yield


def words(page: str) -> str:
    """What a person reads."""
    return " ".join(re.sub(r"<[^>]*>", " ", page).split())


@pytest.fixture
def going(web_app: Flask, texts_on: None, sent: dict[str, int]) -> int:
    """A send to everybody, of which nothing has left; the id of its one text."""
    with web_app.app_context():
        found = db.session.scalars(
            select(Delivery.id).where(Delivery.channel == "sms", Delivery.state == "ready")
        ).one()
        sweep.beat("a worker", "worker:sms", now_ms())
        return found


@pytest.fixture
def unknown(web_app: Flask, going: int) -> int:
    """Its text's outcome is unknown, and it left by the account that is set."""
    with rows(web_app):
        delivery = db.session.get_one(Delivery, going)
        delivery.state, delivery.attempt_id, delivery.next_at_ms = "unknown", "attempt-1", 2**52
        attempt = Attempt(id="attempt-1", delivery_id=going, account_sid=ACCOUNT, sender="+12025550199")
        attempt.sent_to, attempt.outcome, attempt.detail = delivery.address, "unknown", "No answer within 15 seconds."
        attempt.started_at_ms = attempt.slot_at_ms = attempt.lease_until_ms = attempt.finished_at_ms = NOW
        db.session.add(attempt)
    return going


@pytest.fixture
def undecided(web_app: Flask, unknown: int) -> int:
    """It left by another account than the one that is set now."""
    with web_app.app_context():
        other = f'{{"AccountSid": "AC{"f" * 32}", "AuthToken": "{AUTH_TOKEN}"}}'
        app_settings.set_setting("SmsGatewayAuthentication", other, None, now_ms())
    return unknown


def audited(app: Flask) -> list[tuple[str, str]]:
    with app.app_context():
        found = db.session.execute(select(AuditEntry.action, AuditEntry.subject).order_by(AuditEntry.id)).all()
        return [(action, subject) for action, subject in found]


def communication_of(app: Flask, delivery_id: int) -> int:
    with app.app_context():
        return db.session.get_one(Delivery, delivery_id).communication_id


def state_of(app: Flask, delivery_id: int) -> str:
    with app.app_context():
        return db.session.get_one(Delivery, delivery_id).state


def paused_lanes(app: Flask) -> list[tuple[str, int]]:
    with app.app_context():
        return [(row.channel, row.lane) for row in all_lanes() if row.paused_at_ms]


@pytest.mark.parametrize("address", ADDRESSES)
def test_the_pages_exist_for_sysadmins_alone(
    owner: Visitor, admin: Visitor, visitor: Visitor, sysadmin: Visitor, unknown: int, address: str
) -> None:
    assert [who.get(address).status_code for who in (owner, admin, visitor, sysadmin)] == [404, 404, 303, 200]


@pytest.mark.parametrize("address", POSTS)
def test_nobody_else_can_steer(
    owner: Visitor, admin: Visitor, web_app: Flask, sent: dict[str, int], address: str
) -> None:
    assert owner.post(address).status_code == admin.post(address).status_code == 404
    assert paused_lanes(web_app) == audited(web_app) == []


def test_the_pages_are_sound_with_nothing_and_with_everything_on_them(
    web_app: Flask, sysadmin: Visitor, admin: Visitor, texts_on: None
) -> None:
    for address in (QUEUES, AUDIT):
        assert problems_of(sysadmin.get(address).text) == []


def test_the_pages_are_sound_in_the_middle_of_everything(
    web_app: Flask, sysadmin: Visitor, admin: Visitor, undecided: int
) -> None:
    sysadmin.post(f"{QUEUES}/lanes/sms/bulk/pause")
    admin.post("/Admin/Sends/1/pause")
    with rows(web_app):
        db.session.add(Sender(number="+12025550199", paused_reason="20003: wrong", paused_at_ms=NOW))
    for address in (
        QUEUES,
        f"{TEXTS}/{undecided}",
        AUDIT,
        "/Admin/Sends",
        "/Admin/Sends/1",
        "/Admin/Sends/1/cancel",
    ):
        assert problems_of(sysadmin.get(address).text) == [], address


def test_the_board_is_the_same_on_the_page_and_by_itself_and_looks_again(sysadmin: Visitor, going: int) -> None:
    board = sysadmin.get(f"{QUEUES}/now").text
    assert board.lstrip().startswith('<div id="queues"')
    assert f'hx-get="{QUEUES}/now" hx-trigger="every 5s"' in board
    assert words(board) in words(sysadmin.get(QUEUES).text)


def test_each_lane_tells_what_waits_and_since_when(sysadmin: Visitor, going: int) -> None:
    board = words(sysadmin.get(f"{QUEUES}/now").text)
    assert re.search(r"Bulk texts 1 0 \d+ \w+ (\d{4}|at \d\d:\d\d) Open Pause", board)
    assert "Urgent texts 0 0 None Open" in board
    assert re.search(r"Bulk emails 6 0 \d", board)


def test_a_lane_is_paused_and_resumed_by_its_button_and_every_page_says_so(
    web_app: Flask, sysadmin: Visitor, going: int
) -> None:
    answer = sysadmin.post(f"{QUEUES}/lanes/sms/bulk/pause")
    assert (answer.status_code, answer.location) == (303, QUEUES)
    page = words(sysadmin.get(QUEUES).text)
    assert "The lane of bulk texts is paused." in page
    assert "Paused just now by Name of S-1" in page
    assert "Lane paused: bulk texts" in page
    assert "The lane of its texts is paused" in page
    assert paused_lanes(web_app) == [("sms", 1)]
    sysadmin.post(f"{QUEUES}/lanes/sms/bulk/resume")
    assert "Lane paused" not in sysadmin.get(QUEUES).text
    assert audited(web_app) == [("lane_paused", "sms bulk"), ("lane_resumed", "sms bulk")]


def test_everything_is_paused_and_resumed_at_once(web_app: Flask, sysadmin: Visitor) -> None:
    sysadmin.post(f"{QUEUES}/everything/pause")
    assert len(paused_lanes(web_app)) == 4
    page = sysadmin.get(QUEUES).text
    assert "Resume everything" in page
    assert "Pause everything" not in page
    sysadmin.post(f"{QUEUES}/everything/resume")
    assert paused_lanes(web_app) == []


def test_without_redis_the_page_works_and_says_so(sysadmin: Visitor, going: int) -> None:
    page = words(sysadmin.get(QUEUES).text)
    assert "Redis does not answer. Nothing is lost" in page
    assert "Redis Does not answer" in page


def test_processes_that_are_silent_are_named(web_app: Flask, sysadmin: Visitor, going: int) -> None:
    with web_app.app_context():
        sweep.beat("another", "worker:email", now_ms() - 600_000)
    page = words(sysadmin.get(QUEUES).text)
    assert "Worker for email: not running. Its last sign of life came 10 minutes ago" in page
    assert "Scheduler: not running. It never gave a sign of life" in page
    assert "Worker for texts: not running" not in page


def test_a_sending_number_shows_its_rate_its_pace_and_why_it_stands_still(
    web_app: Flask, sysadmin: Visitor, unknown: int
) -> None:
    with rows(web_app):
        db.session.get_one(Attempt, "attempt-1").slot_at_ms = now_ms() - 1_000
        db.session.add(Sender(number="+12025550199", paused_reason="20003: No", paused_at_ms=now_ms() - 120_000))
        db.session.add(Sender(number="+12025550188", failures=9, rests_until_us=(now_ms() + 45_000) * 1000))
    page = words(sysadmin.get(QUEUES).text)
    assert "1 segment/s 0.1/s 10 %" in page
    assert "Paused 2 minutes ago 20003: No Resume sending" in page
    assert "Resting 9 calls in a row were not answered" in page
    assert "Not in use" in page


def test_a_number_is_not_resumed_while_twilio_does_not_answer_for_it(
    web_app: Flask, sysadmin: Visitor, going: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    with rows(web_app):
        db.session.add(Sender(number="+12025550199", paused_reason="20003: No", paused_at_ms=NOW))
    monkeypatch.setattr("portal.actions.doctor.why_not_resume", lambda _checks: "Twilio refuses the credentials.")
    sysadmin.post(f"{QUEUES}/senders/resume")
    assert "Twilio refuses the credentials." in sysadmin.get(QUEUES).text
    assert audited(web_app) == []
    monkeypatch.setattr("portal.actions.doctor.why_not_resume", lambda _checks: None)
    sysadmin.post(f"{QUEUES}/senders/resume")
    assert "sending goes on" in sysadmin.get(QUEUES).text
    assert audited(web_app) == [("sender_resumed", "the sending number")]


def test_sends_under_way_are_listed_with_their_share_and_steered_from_there(
    web_app: Flask, sysadmin: Visitor, going: int
) -> None:
    page = words(sysadmin.get(QUEUES).text)
    assert "Notice for [full name]" in page
    assert "100 %" in page
    assert re.search(r"About \d\d:\d\d", page)
    assert sysadmin.post(f"{QUEUES}/sends/1/pause").location == f"{QUEUES}#sends"
    assert "This send is paused" in sysadmin.get(QUEUES).text
    sysadmin.post(f"{QUEUES}/sends/1/resume")
    assert "This send is paused" not in sysadmin.get(QUEUES).text


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


def heard(app: Flask, settle_windows_ago: float) -> None:
    """When the attempt's outcome was last heard of."""
    with rows(app):
        window_ms = settings().sms_settle_seconds * 1000
        db.session.get_one(Attempt, "attempt-1").finished_at_ms = now_ms() - round(window_ms * settle_windows_ago)


def decide(visitor: Visitor, delivery_id: int, how: str, word: str, attempt: str = "attempt-1") -> TestResponse:
    return visitor.post(f"{TEXTS}/{delivery_id}/{how}", **{how: word, "attempt": attempt})


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


def test_a_mail_server_that_is_away_is_told_and_tried_by_a_button(
    web_app: Flask, sysadmin: Visitor, visitor: Visitor, going: int
) -> None:
    with rows(web_app):
        row = mail_server.locked(server_address())
        row.failures, row.words, row.away_since_ms = 10, "The mail server could not be reached.", now_ms() - 120_000
        row.rests_until_ms = now_ms() + 180_000
    page = sysadmin.get(QUEUES).text
    assert problems_of(page) == []
    assert "has taken no mail since 2 minutes ago" in words(page)
    assert re.search(r"One email is tried in \d minutes", words(page))
    assert "Mail server away" in words(sysadmin.get("/Admin/Sends").text)
    assert visitor.get("/readyz").json["mail_server"] == "away"  # type: ignore[index]
    sysadmin.post(f"{QUEUES}/mail/try")
    assert "One email is being tried now." in words(sysadmin.get(QUEUES).text)


def test_an_administrator_pauses_resumes_and_cancels_a_send_on_its_page(
    web_app: Flask, admin: Visitor, going: int
) -> None:
    assert re.search(r"The last text leaves about \d\d:\d\d", words(admin.get("/Admin/Sends/1").text))
    admin.post("/Admin/Sends/1/pause")
    page = words(admin.get("/Admin/Sends/1").text)
    assert "This send is paused, so there is no telling when the last text leaves." in page
    assert "Paused just now by Name of A-1" in page
    assert "Paused" in words(admin.get("/Admin/Sends").text)
    admin.post("/Admin/Sends/1/resume")
    question = words(admin.get("/Admin/Sends/1/cancel").text)
    assert "It stops 6 emails and 1 text." in question
    assert "What has left has left: 0 emails and 0 texts." in question
    assert "Cancelled" not in words(admin.get("/Admin/Sends/1").text)
    admin.post("/Admin/Sends/1/cancel")
    page = words(admin.get("/Admin/Sends/1").text)
    assert "Cancelled just now by Name of A-1" in page
    assert "Pause" not in page
    assert "Cancelled" in words(admin.get("/Admin/Sends").text)


def test_what_has_left_and_what_is_on_its_way_is_told_before_cancelling(
    web_app: Flask, admin: Visitor, going: int
) -> None:
    with rows(web_app):
        mails = list(db.session.scalars(select(Delivery.id).where(Delivery.channel == "email").order_by(Delivery.id)))
        for ids, state in ((mails[:3], "mailed"), (mails[3:4], "sending"), ([going], "accepted")):
            db.session.execute(update(Delivery).where(Delivery.id.in_(ids)).values(state=state))
    question = words(admin.get("/Admin/Sends/1/cancel").text)
    assert "It stops 2 emails and 0 texts." in question
    assert "What has left has left: 3 emails and 1 text." in question
    assert "1 email is on the way at this moment" in question


def test_a_send_that_has_ended_is_not_asked_about_and_not_steered(web_app: Flask, admin: Visitor, going: int) -> None:
    with rows(web_app):
        db.session.get_one(Send, 1).state = "done"
    assert admin.get("/Admin/Sends/1/cancel").status_code == 303
    for verb in ("pause", "resume", "cancel"):
        assert admin.post(f"/Admin/Sends/1/{verb}").status_code == 303
        assert "ended already" in admin.get("/Admin/Sends/1").text
        assert admin.post(f"/Admin/Sends/99/{verb}").status_code == 404
    assert "Cancel this send" not in admin.get("/Admin/Sends/1").text


def test_a_cancelled_send_stops_being_looked_at(web_app: Flask, admin: Visitor, going: int) -> None:
    admin.post("/Admin/Sends/1/cancel")
    assert "hx-trigger" in admin.get("/Admin/Sends/1/progress").text
    with web_app.app_context():
        send_control.carry_out(1, now_ms)
    assert "hx-trigger" not in admin.get("/Admin/Sends/1/progress").text


def test_while_texts_are_off_a_sends_page_says_nothing_of_them(
    web_app: Flask, admin: Visitor, sent: dict[str, int]
) -> None:
    question = words(
        re.sub(r'<aside id="mode".*?</aside>', "", admin.get("/Admin/Sends/1/cancel").text, flags=re.DOTALL)
    )
    assert "It stops 6 emails." in question
    assert "text" not in question.lower()


def test_the_confirmation_says_when_the_last_text_leaves_and_what_is_only_estimated(
    web_app: Flask, admin: Visitor, going: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = words(admin.post("/Admin/Sends/confirm", template="notice", to="all").text)
    assert re.search(r"The last text leaves about \d\d:\d\d", page)
    assert "1 other send takes turns with it: 1 segment of theirs leaves meanwhile." in page
    assert "worked out from the words" not in page


def test_a_last_text_beyond_ten_hours_is_warned_of_before_the_send_and_on_its_page(
    web_app: Flask, admin: Visitor, going: int
) -> None:
    def warned() -> list[bool]:
        pages = (admin.post("/Admin/Sends/confirm", template="notice", to="all"), admin.get("/Admin/Sends/1"))
        return ["more than ten hours from now" in words(page.text) for page in pages]

    with rows(web_app):
        db.session.add(Sender(number="+12025550199", next_free_at_us=(now_ms() + 9 * 3_600_000) * 1000))
    assert warned() == [False, False]
    with rows(web_app):
        db.session.get_one(Sender, "+12025550199").next_free_at_us = (now_ms() + 11 * 3_600_000) * 1000
    assert warned() == [True, True]


def test_of_a_cancelled_send_the_page_says_how_much_of_it_left(web_app: Flask, admin: Visitor, going: int) -> None:
    with rows(web_app):
        mails = list(db.session.scalars(select(Delivery.id).where(Delivery.channel == "email").order_by(Delivery.id)))
        db.session.execute(update(Delivery).where(Delivery.id.in_(mails[:2])).values(state="mailed"))
    admin.post("/Admin/Sends/1/cancel")
    with web_app.app_context():
        send_control.carry_out(1, now_ms)
    page = words(admin.get("/Admin/Sends/1").text)
    assert "2 of 6 sent" in page
    assert "0 of 1 sent Cancelled 1" in page
    assert "4 cancelled" in words(admin.get("/Admin/Sends").text)


def test_mail_that_was_not_taken_is_told_on_the_lists_and_on_the_accounts_page_until_one_is(
    web_app: Flask, admin: Visitor, sent: dict[str, int]
) -> None:
    with rows(web_app):
        communication = db.session.get_one(Communication, sent["P-1"])
        account_id, mail = communication.account_id, communication.deliveries[0]
        mail.state, mail.error_code = "rejected", "5.1.1"
    account, why = f"/Admin/Accounts/{account_id}", "There is no such mailbox. Ask the person for another address"
    for address in (account, "/Admin/Communications", f"/Admin/Communications/{sent['P-1']}"):
        page = admin.get(address).text
        assert why in words(page), address
        assert problems_of(page) == []
    assert "The last email was not taken" in words(admin.get(account).text)
    with rows(web_app):
        db.session.get_one(Account, account_id).email = "another@example.org"
    assert "The last email was not taken" not in admin.get(account).text, "it was another address"
    with rows(web_app):
        db.session.get_one(Account, account_id).email = "owner@example.org"
        db.session.get_one(Communication, sent["P-1"]).deliveries[0].state = "mailed"
    assert "The last email was not taken" not in admin.get(account).text


def test_the_audit_log_holds_who_when_and_what_newest_first(web_app: Flask, sysadmin: Visitor, going: int) -> None:
    sysadmin.post(f"{QUEUES}/lanes/email/bulk/pause")
    sysadmin.post("/Admin/Sends/1/pause")
    page = sysadmin.get(AUDIT).text
    assert problems_of(page) == []
    read = words(page)
    assert "just now Name of S-1 Paused the lane of bulk emails" in read
    assert re.search(r"just now Name of S-1 Paused send 1 ", read)
    assert read.index("Paused send 1") < read.index("Paused the lane of bulk emails") < read.index("Changed ")
    assert '<a href="/Admin/Sends/1">Paused send 1</a>' in page
    assert "The command line Changed SmsGatewaySettings" in read
    assert AUTH_TOKEN not in page


def test_the_audit_log_is_filtered_by_what_was_done(web_app: Flask, sysadmin: Visitor, going: int) -> None:
    sysadmin.post(f"{QUEUES}/lanes/email/bulk/pause")
    sysadmin.post("/Admin/Sends/1/pause")

    def rows_of(action: str) -> list[str]:
        page = sysadmin.get(AUDIT, query_string={"action": action}).text
        return re.findall(r'data-label="What">(.*?)</td>', page)

    assert [words(row) for row in rows_of("lane_paused")] == ["Paused the lane of bulk emails"]
    assert [words(row) for row in rows_of("send_paused")] == ["Paused send 1"]
    assert all("Changed" in row for row in rows_of("setting_changed"))
    assert rows_of("send_canceled") == []
    for odd in ("\x00", "nothing", "a" * 5_000, "<b>"):
        assert len(rows_of(odd)) == len(rows_of(""))


def test_the_audit_log_is_read_to_its_end_page_by_page_and_nothing_is_left_out(
    web_app: Flask, sysadmin: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("portal.web.sysadmin_audit._PAGE", 4)
    with web_app.app_context():
        for turn in range(5):
            lanes.pause_lane("sms", 1, None, NOW + turn * 1_000)
            lanes.resume_lane("sms", 1, None, NOW + turn * 1_000 + 1)
            app_settings.set_setting("SmsOverrideNumber", f"+1202555010{turn}", None, NOW + turn * 1_000 + 2)
    found, address = [], AUDIT
    while address:
        page = sysadmin.get(address).text
        found += [words(row) for row in re.findall(r'data-label="What">(.*?)</td>', page)]
        older = re.search(r'href="([^"]+)" rel="next"', page)
        address = older.group(1).replace("&amp;", "&") if older else ""
    kinds = [row.split()[0] for row in found]
    assert kinds == ["Changed", "Resumed", "Paused"] * 5
    for odd in ("x", "1.x", ".", "9" * 40, "-1.-1"):
        assert sysadmin.get(AUDIT, query_string={"before": odd}).status_code == 200


def test_the_menu_leads_there_for_sysadmins(admin: Visitor, sysadmin: Visitor) -> None:
    for address, name in ((QUEUES, "Queues"), (AUDIT, "Audit log")):
        assert re.search(rf'href="{address}"[^>]*>{name}<', sysadmin.get("/Admin/Sends").text)
        assert f'href="{address}"' not in admin.get("/Admin/Sends").text


def test_a_new_send_shows_beside_the_one_that_waits(web_app: Flask, sysadmin: Visitor, going: int) -> None:
    with web_app.app_context():
        second = create_send("notice", {"all": True}, {}, None, now_ms())
        expand_send(second, now_ms)
    assert words(sysadmin.get(QUEUES).text).count(" 50 %") == 2
