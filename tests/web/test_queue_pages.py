"""System → queues and audit log, and the buttons of a send: what they show, what they do, and who may."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from flask import Flask
from linting import problems_of
from sqlalchemy import select, update
from web_people import AUTH_TOKEN, NOW, Visitor

from portal.actions import lanes, send_control, sweep
from portal.actions import settings as app_settings
from portal.actions.expansion import expand_send
from portal.actions.sends import create_send
from portal.actions.transaction import transaction
from portal.clock import now_ms
from portal.extensions import db
from portal.models.audit_log import AuditEntry
from portal.models.communication import Attempt, Delivery
from portal.models.gateway import Sender
from portal.models.lane import all_lanes
from portal.models.send import Send

QUEUES, AUDIT = "/SysAdmin/Queues", "/SysAdmin/AuditLog"
ACCOUNT = "AC" + "0" * 32
ADDRESSES = (QUEUES, f"{QUEUES}/now", f"{QUEUES}/texts/1", AUDIT)
POSTS = (
    f"{QUEUES}/everything/pause",
    f"{QUEUES}/lanes/sms/bulk/pause",
    f"{QUEUES}/sends/1/pause",
    f"{QUEUES}/senders/resume",
    f"{QUEUES}/texts/1/look",
    f"{QUEUES}/texts/1/again",
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
    address = address.replace("/texts/1", f"/texts/{unknown}")
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
        f"{QUEUES}/texts/{undecided}",
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
    sysadmin.post(f"{QUEUES}/texts/{unknown}/look")
    with web_app.app_context():
        assert db.session.get_one(Delivery, unknown).next_at_ms <= now_ms()
    assert state_of(web_app, unknown) == "unknown"


@pytest.mark.parametrize(("how", "word"), [("sent", "SENT"), ("again", "AGAIN")])
def test_a_text_that_twilio_can_be_asked_about_is_never_decided_by_hand(
    web_app: Flask, sysadmin: Visitor, unknown: int, how: str, word: str
) -> None:
    assert "Treat as sent" not in sysadmin.get(f"{QUEUES}/texts/{unknown}").text
    sysadmin.post(f"{QUEUES}/texts/{unknown}/{how}", **{how: word})
    assert "Twilio can still be asked about this text" in sysadmin.get(QUEUES).text
    assert state_of(web_app, unknown) == "unknown"
    assert audited(web_app) == []


@pytest.mark.parametrize(("how", "word"), [("sent", "SENT"), ("again", "AGAIN")])
def test_a_text_is_not_decided_before_the_settle_window_is_over(
    web_app: Flask, sysadmin: Visitor, undecided: int, how: str, word: str
) -> None:
    with rows(web_app):
        db.session.get_one(Attempt, "attempt-1").finished_at_ms = now_ms() - 1_000
    assert "To be decided in" in words(sysadmin.get(QUEUES).text)
    sysadmin.post(f"{QUEUES}/texts/{undecided}/{how}", **{how: word})
    assert state_of(web_app, undecided) == "unknown"


@pytest.mark.parametrize(
    ("how", "word", "state", "action"),
    [("sent", "SENT", "accepted", "text_taken_as_sent"), ("again", "AGAIN", "ready", "text_sent_again")],
)
def test_what_nobody_can_be_asked_about_is_decided_with_a_typed_word_and_a_line(
    web_app: Flask, sysadmin: Visitor, undecided: int, how: str, word: str, state: str, action: str
) -> None:
    address = f"{QUEUES}/texts/{undecided}"
    assert f'href="{address}"' in sysadmin.get(QUEUES).text
    for typed in ("", word.lower(), "\x00", "x" * 5_000):
        answer = sysadmin.post(f"{address}/{how}", **{how: typed})
        assert answer.status_code == 422
        assert f"Type {word} to confirm" in answer.text
        assert problems_of(answer.text) == []
    assert state_of(web_app, undecided) == "unknown"
    assert sysadmin.post(f"{address}/{how}", **{how: word}).status_code == 303
    assert state_of(web_app, undecided) == state
    assert audited(web_app) == [(action, f"text {undecided}")]
    again = sysadmin.post(f"{address}/{how}", **{how: word})
    assert again.status_code == 303
    assert "settled meanwhile" in sysadmin.get(QUEUES).text
    assert audited(web_app) == [(action, f"text {undecided}")]
    assert "administrator" in words(sysadmin.get("/Admin/Communications/1").text)
    assert sysadmin.get(address).status_code == 404


def test_evidence_that_comes_after_the_decision_still_counts(web_app: Flask, sysadmin: Visitor, undecided: int) -> None:
    from portal.actions.receipts import take_receipt

    sysadmin.post(f"{QUEUES}/texts/{undecided}/sent", sent="SENT")
    with web_app.app_context():
        take_receipt({"MessageSid": "SM1", "MessageStatus": "delivered"}, "attempt-1", now_ms())
    assert state_of(web_app, undecided) == "delivered"


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
