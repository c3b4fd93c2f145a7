"""An administrator answers a reply: who gets what, once, and never after a STOP."""

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import event, func, select
from sqlalchemy.engine import Engine

from portal.accounts.account_management import NewAccount, create_account
from portal.accounts.tables.accounts import Account
from portal.consent import consent_export, manual_consent, reply_answers
from portal.consent.reply_answers import MAX_ANSWER_LENGTH, NO_ACCOUNT, AnswerDraft, answer_reply, plan_answer
from portal.consent.tables.inbound_messages import InboundMessage
from portal.content.rules import markdown
from portal.core import audit_log
from portal.core.errors import ActionRefused, InvalidInput
from portal.core.extensions import db
from portal.core.rules.routing import Reason
from portal.core.translation import language_named, use_language
from portal.messages.tables import communication_history
from portal.messages.tables.communications import Delivery
from portal.settings import setting_changes
from tests.consent.test_consent_concurrency import run_in_threads
from tests.support import inbound_helpers, multi_sender_scenario, scenario, servers
from tests.support.lane_driver import LaneDriver

pytestmark = pytest.mark.usefixtures("app")

NUMBER = scenario.phone_number(0)
QUESTION, ANSWER = "Is the exam *still* on Friday?", "It is. Bring [your letter]."
ANSWER_TEXT = f"Notification portal: {ANSWER}"
NOW = scenario.now_ms() - 60_000
HOUR_MS = 3_600_000


@pytest.fixture(autouse=True)
def gateway(app: object) -> None:
    scenario.configure_gateway()


@pytest.fixture
def admin_id() -> int:
    return create_account(NewAccount("ADMIN", "Ada Admin", "ada@example.org", "Staff", "admin"), NOW)


@pytest.fixture
def owner_id(admin_id: int) -> int:
    """The only account with the number, which the phone has confirmed with START."""
    (owner_id,) = inbound_helpers.create_sharing_accounts(NUMBER, NOW - 900_000, "A")
    inbound_helpers.invite(owner_id, NUMBER, NOW - 800_000)
    inbound_helpers.receive_text("START", NUMBER, NOW - 700_000)
    scenario.run_sms_worker()
    return owner_id


def ask(body: str = QUESTION, number: str = NUMBER, **fields: str) -> int:
    """Return the id of the reply."""
    inbound_helpers.receive_text(body, number, NOW, **fields)
    return db.session.scalars(select(func.max(InboundMessage.id)).where(InboundMessage.needs_review == True)).one()  # noqa: E712


def answer(message_id: int, admin_id: int, account_id: int | None, text: str = ANSWER, by_text: bool = True) -> int:
    draft = AnswerDraft(text, account_id, by_text)
    try:
        return answer_reply(message_id, draft, inbound_helpers.make_actor(admin_id), scenario.now_ms())
    finally:
        db.session.remove()


def deliveries_of(communication_id: int) -> dict[str, Delivery]:
    db.session.rollback()
    rows = db.session.scalars(select(Delivery).where(Delivery.communication_id == communication_id))
    return {row.channel: row for row in rows}


def answers_at(simulator: servers.SimulatorClient) -> list[tuple[str, str]]:
    return [(text["to"], text["body"]) for text in simulator.accepted_texts() if text["body"] == ANSWER_TEXT]


def test_answer_goes_once_by_text_and_by_email(
    admin_id: int, owner_id: int, simulator: servers.SimulatorClient
) -> None:
    message_id = ask()
    communication_id = answer(message_id, admin_id, owner_id)
    for _ in range(2):
        scenario.run_sms_worker()
        scenario.run_email_worker()
    assert answers_at(simulator) == [(NUMBER, ANSWER_TEXT)]
    (email,) = [mail for mail in simulator.received_emails() if mail["subject"] == "Our answer to your text"]
    assert email["to"] == ["a@example.org"]
    assert deliveries_of(communication_id)["sms"].state in ("accepted", "sent", "delivered")
    message = db.session.get_one(InboundMessage, message_id)
    assert (message.decision, message.decided_by_id, message.answer_id) == ("answered", admin_id, communication_id)
    (entry,) = audit_log.entries_about(f"reply {message_id}", ["reply_answered"])
    assert (entry.actor_id, entry.detail) == (admin_id, {"communication": communication_id, "by": "text and email"})


def test_the_same_answer_again_changes_nothing_in_any_language(admin_id: int, owner_id: int) -> None:
    message_id = ask()
    with use_language(language_named("es")):
        assert answer(message_id, admin_id, owner_id) == answer(message_id, admin_id, owner_id)


def test_account_finds_question_and_answer_in_its_history(admin_id: int, owner_id: int) -> None:
    communication_id = answer(ask(), admin_id, owner_id, f"{ANSWER}\n\nSecond _paragraph_\nand line")
    for with_sms in (True, False):
        newest = communication_history.account_page(owner_id, None, 1, with_sms)[0]
        assert newest.id == communication_id
    html = markdown.to_html(newest.body)
    assert QUESTION in html
    assert ANSWER in html
    assert "<p>Second _paragraph_<br>" in html.replace("<br />", "<br>").replace("\n", "")


def test_stop_before_the_answer_leaves_wins(admin_id: int, owner_id: int, simulator: servers.SimulatorClient) -> None:
    communication_id = answer(ask(), admin_id, owner_id)
    inbound_helpers.receive_text("STOP", NUMBER, scenario.now_ms())
    scenario.run_sms_worker()
    assert answers_at(simulator) == []
    rows = deliveries_of(communication_id)
    assert (rows["sms"].state, rows["sms"].reason, rows["email"].state) == ("skipped", Reason.STOPPED, "ready")


def test_opted_out_phone_is_answered_by_email_only(
    admin_id: int, owner_id: int, simulator: servers.SimulatorClient
) -> None:
    message_id = ask()
    inbound_helpers.receive_text("STOP", NUMBER, NOW + 1_000)
    plan = plan_answer(db.session.get_one(InboundMessage, message_id), admin_id, NOW)
    assert (plan.routing.will_send, plan.routing.reason, plan.is_possible) == (False, Reason.STOPPED, True)
    with pytest.raises(InvalidInput, match="Choose an account to answer by email"):
        answer(message_id, admin_id, NO_ACCOUNT, by_text=False)
    communication_id = answer(message_id, admin_id, owner_id, by_text=False)
    scenario.run_sms_worker()
    rows = deliveries_of(communication_id)
    assert (rows["sms"].state, rows["email"].state) == ("skipped", "ready")
    assert answers_at(simulator) == []


def test_opted_out_phone_without_account_cannot_be_answered(admin_id: int) -> None:
    message_id = ask()
    inbound_helpers.receive_text("STOP", NUMBER, NOW + 1_000)
    with pytest.raises(ActionRefused, match="cannot be answered from here"):
        answer(message_id, admin_id, NO_ACCOUNT, by_text=False)


def test_stop_since_the_page_was_opened_is_told(admin_id: int, owner_id: int) -> None:
    message_id = ask()
    inbound_helpers.receive_text("STOP", NUMBER, NOW + 1_000)
    with pytest.raises(ActionRefused, match="Nothing was sent: this phone can no longer get texts"):
        answer(message_id, admin_id, owner_id, by_text=True)
    assert db.session.get_one(InboundMessage, message_id).decision == ""


def test_phone_on_no_account_is_answered_by_text_only(admin_id: int, simulator: servers.SimulatorClient) -> None:
    message_id = ask()
    assert plan_answer(db.session.get_one(InboundMessage, message_id), admin_id, NOW).suggested_id == NO_ACCOUNT
    communication_id = answer(message_id, admin_id, NO_ACCOUNT)
    scenario.run_sms_worker()
    assert answers_at(simulator) == [(NUMBER, ANSWER_TEXT)]
    assert set(deliveries_of(communication_id)) == {"sms"}
    assert communication_history.account_page(admin_id, None, 9, with_sms=False) == []
    assert [item.id for item in communication_history.account_page(admin_id, None, 9, with_sms=True)] == [
        communication_id
    ]


def test_account_without_consent_must_be_chosen_by_a_person(admin_id: int) -> None:
    """Anybody can add a stranger's number, and must not get the stranger's question by email."""
    (account_id,) = inbound_helpers.create_sharing_accounts(NUMBER, NOW - 1_000, "A")
    message_id = ask()
    assert plan_answer(db.session.get_one(InboundMessage, message_id), admin_id, NOW).suggested_id is None
    with pytest.raises(InvalidInput, match="Choose whose question this is"):
        answer(message_id, admin_id, None)
    assert set(deliveries_of(answer(message_id, admin_id, account_id))) == {"sms", "email"}


def test_confirmed_account_is_suggested_among_several(admin_id: int, owner_id: int) -> None:
    inbound_helpers.create_sharing_accounts(NUMBER, NOW - 1_000, "B", "C")
    plan = plan_answer(db.session.get_one(InboundMessage, ask()), admin_id, NOW)
    assert (len(plan.accounts), plan.suggested_id) == (3, owner_id)


def test_inactive_account_is_not_offered(admin_id: int, owner_id: int) -> None:
    message_id = ask()
    db.session.get_one(Account, owner_id).active = False
    db.session.commit()
    assert plan_answer(db.session.get_one(InboundMessage, message_id), admin_id, NOW).accounts == ()
    with pytest.raises(InvalidInput, match="Choose whose question this is"):
        answer(message_id, admin_id, owner_id)


@pytest.mark.parametrize("account_id", [999_999, 2**60])
def test_account_without_the_number_is_rejected(admin_id: int, owner_id: int, account_id: int) -> None:
    with pytest.raises(InvalidInput, match="Choose whose question this is"):
        answer(ask(), admin_id, account_id)
    with pytest.raises(InvalidInput, match="Choose whose question this is"):
        answer(db.session.scalars(select(func.max(InboundMessage.id))).one(), admin_id, admin_id)


def test_same_answer_again_changes_nothing(admin_id: int, owner_id: int) -> None:
    message_id = ask()
    first = answer(message_id, admin_id, owner_id)
    assert answer(message_id, admin_id, owner_id) == first
    with pytest.raises(ActionRefused, match="Ada Admin chose: Answered"):
        answer(message_id, admin_id, owner_id, "Something else")
    with pytest.raises(ActionRefused, match="Ada Admin chose: Answered"):
        answer(message_id, admin_id, NO_ACCOUNT)
    assert len(audit_log.entries_about(f"reply {message_id}", ["reply_answered"])) == 1


@pytest.mark.parametrize("round_number", range(4))
def test_one_of_three_administrators_wins(app: Flask, admin_id: int, owner_id: int, round_number: int) -> None:
    """Two answer at once, and a third decides that there is nothing to do."""
    other_id = create_account(NewAccount("ADMIN-2", "Bea Boss", "bea@example.org", "Staff", "admin"), NOW)
    message_id, begin = ask(), threading.Barrier(3)

    def answer_at_once(author_id: int) -> None:
        begin.wait(30)
        answer(message_id, author_id, owner_id, f"{ANSWER} {author_id}")

    def dismiss() -> None:
        begin.wait(30)
        manual_consent.decide_reply(message_id, "nothing", inbound_helpers.make_actor(other_id), NOW)

    faults = run_in_threads(app, lambda: answer_at_once(admin_id), lambda: answer_at_once(other_id), dismiss)
    assert [type(fault) for fault in faults] == [ActionRefused] * 2
    assert all("Somebody has already decided on this reply." in str(fault) for fault in faults)
    db.session.rollback()
    is_answered = db.session.get_one(InboundMessage, message_id).decision == "answered"
    assert len(inbound_helpers.texts_of_kind("answer")) == is_answered


def test_answer_leaves_from_the_number_that_was_texted(admin_id: int) -> None:
    multi_sender_scenario.set_up_three_numbers()
    texted = multi_sender_scenario.SENDING_NUMBERS[2]
    answer(ask(To=texted), admin_id, NO_ACCOUNT)
    LaneDriver().run(lambda: not scenario.count_states("sms").get("ready"), max_seconds=30)
    assert multi_sender_scenario.last_sending_number_by_recipient()[NUMBER] == texted


def test_override_and_test_mode_hold_for_answers(admin_id: int, simulator: servers.SimulatorClient) -> None:
    override = scenario.phone_number(99)
    scenario.configure_gateway(EnableSmsOverrideNumber="true", SmsOverrideNumber=override)
    answer(ask(), admin_id, NO_ACCOUNT)
    scenario.run_sms_worker()
    assert answers_at(simulator) == [(override, ANSWER_TEXT)]
    scenario.configure_gateway(EnableSmsOverrideNumber="false", EnableSmsTestMode="true")
    communication_id = answer(ask(f"{QUESTION} again"), admin_id, NO_ACCOUNT)
    scenario.run_sms_worker()
    assert deliveries_of(communication_id)["sms"].state == "simulated"


def test_switched_off_texts_leave_the_email(admin_id: int, owner_id: int) -> None:
    message_id = ask()
    setting_changes.set_setting("EnableSmsNotifications", "false", None, NOW)
    rows = deliveries_of(answer(message_id, admin_id, owner_id, by_text=False))
    assert (rows["sms"].state, rows["sms"].reason, rows["email"].state) == ("skipped", Reason.FEATURE_OFF, "ready")


def test_answer_that_waited_for_a_day_is_not_sent(admin_id: int, simulator: servers.SimulatorClient) -> None:
    communication_id = answer(ask(), admin_id, NO_ACCOUNT)
    scenario.run_sms_worker(clock_ahead_ms=24 * HOUR_MS)
    assert (deliveries_of(communication_id)["sms"].reason, answers_at(simulator)) == (Reason.EXPIRED, [])


class TestQuietHours:
    @pytest.fixture(autouse=True)
    def quiet_hours_now(self, app: Flask, admin_id: int) -> None:
        """It is night where the administrator is, from an hour ago until an hour from now."""
        db.session.get_one(Account, admin_id).timezone = "Africa/Abidjan"
        db.session.commit()
        now = datetime.now(UTC)
        hours = f"{(now - timedelta(hours=1)).time()}-{(now + timedelta(hours=1)).time()}"
        app.config["PORTAL"] = replace(app.config["PORTAL"], quiet_hours=hours)

    def test_answer_waits_for_their_end(self, admin_id: int, simulator: servers.SimulatorClient) -> None:
        communication_id = answer(ask(), admin_id, NO_ACCOUNT)
        scenario.run_sms_worker()
        row = deliveries_of(communication_id)["sms"]
        assert (row.state, row.reason) == ("ready", Reason.QUIET_HOURS)
        assert HOUR_MS - 120_000 < row.due_at_ms - scenario.now_ms() < HOUR_MS + 1
        assert answers_at(simulator) == []
        scenario.run_sms_worker(clock_ahead_ms=HOUR_MS + 120_000)
        assert answers_at(simulator) == [(NUMBER, ANSWER_TEXT)]

    def test_claim_postpones_an_answer_of_the_day(self, admin_id: int, simulator: servers.SimulatorClient) -> None:
        communication_id = answer(ask(), admin_id, NO_ACCOUNT)
        deliveries_of(communication_id)["sms"].due_at_ms = NOW
        db.session.commit()
        scenario.run_sms_worker()
        row = deliveries_of(communication_id)["sms"]
        assert (row.state, row.reason, row.due_at_ms > scenario.now_ms()) == ("ready", Reason.QUIET_HOURS, True)
        assert answers_at(simulator) == []


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "Write the answer."),
        (" \n\x00\x07\u200b\u202e ", "Write the answer."),
        ("x" * 2_000, f"Keep the answer to {MAX_ANSWER_LENGTH} characters; this has 2,000."),
    ],
)
def test_unusable_answer_is_refused(admin_id: int, owner_id: int, text: str, problem: str) -> None:
    message_id = ask()
    with pytest.raises(InvalidInput) as refusal:
        answer(message_id, admin_id, owner_id, text)
    assert refusal.value.errors == {"body": problem}


def test_control_characters_do_not_reach_the_phone(admin_id: int, simulator: servers.SimulatorClient) -> None:
    answer(ask(), admin_id, NO_ACCOUNT, "It is.\x00\x07\r\nBring\u200b your letter \u2013 please.")
    scenario.run_sms_worker()
    assert "Notification portal: It is.\nBring your letter - please." in [
        text["body"] for text in simulator.accepted_texts()
    ]


@pytest.mark.parametrize(("body", "number"), [("START", NUMBER), ("Hello", "short-code")])
def test_only_a_question_from_a_phone_can_be_answered(admin_id: int, body: str, number: str) -> None:
    inbound_helpers.create_sharing_accounts(NUMBER, NOW - 1_000, "A", "B")
    with pytest.raises(ActionRefused, match="cannot be answered from here"):
        answer(ask(body, number), admin_id, NO_ACCOUNT)


def test_reply_that_does_not_exist_is_refused(admin_id: int) -> None:
    with pytest.raises(ActionRefused, match="There is no such reply"):
        answer(77, admin_id, NO_ACCOUNT)


def test_evidence_names_the_text_that_is_answered(admin_id: int) -> None:
    answer(ask(sid="SM-the-question"), admin_id, NO_ACCOUNT)
    scenario.run_sms_worker()
    (text,) = consent_export.sent_texts_to(NUMBER)
    assert text.authority == "the incoming text SM-the-question, which this text answers"
    assert (text.text, text.wording) == (ANSWER_TEXT, "Answer by an administrator")


def test_evidence_of_the_override_number_has_no_answers_to_other_phones(admin_id: int) -> None:
    override = scenario.phone_number(99)
    scenario.configure_gateway(EnableSmsOverrideNumber="true", SmsOverrideNumber=override)
    answer(ask(), admin_id, NO_ACCOUNT)
    scenario.run_sms_worker()
    assert consent_export.sent_texts_to(override) == []


def test_evidence_reads_no_texts_of_other_numbers(owner_id: int) -> None:
    """On PostgreSQL, the rest of the plan depends on what the tables contain."""
    with recorded_executions() as executions:
        consent_export.sent_texts_to(NUMBER)
    (query,) = [execution for execution in executions if "FROM attempt" in execution[0]]
    is_sqlite, connection = db.engine.name == "sqlite", db.session.connection()
    connection.exec_driver_sql("SELECT 1" if is_sqlite else "SET LOCAL enable_seqscan = off")
    plan_rows = connection.exec_driver_sql(f"EXPLAIN {'QUERY PLAN' if is_sqlite else ''} {query[0]}", query[1])
    plan = "\n".join(str(row[-1]) for row in plan_rows)
    assert "ix_inbound_message_from_number" in plan
    assert not (is_sqlite and re.search(r"^SCAN|ix_delivery_claim", plan, re.MULTILINE)), plan


@contextmanager
def recorded_executions() -> Iterator[list[tuple[str, Any]]]:
    """The statements that the block executes, with their parameters."""
    executions: list[tuple[str, Any]] = []

    def record(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_rest: Any) -> None:
        executions.append((statement, parameters))

    event.listen(Engine, "before_cursor_execute", record)
    try:
        yield executions
    finally:
        event.remove(Engine, "before_cursor_execute", record)


def test_answer_uses_the_zone_of_its_account(app: Flask, admin_id: int, owner_id: int) -> None:
    now = datetime.now(UTC)
    hours = f"{(now - timedelta(hours=1)).time()}-{(now + timedelta(hours=1)).time()}"
    app.config["PORTAL"] = replace(app.config["PORTAL"], quiet_hours=hours)
    db.session.get_one(Account, owner_id).timezone = "Etc/GMT-12"
    db.session.get_one(Account, admin_id).timezone = "Africa/Abidjan"
    db.session.commit()
    message = db.session.get_one(InboundMessage, ask())
    assert plan_answer(message, admin_id, scenario.now_ms()).routing.deferred_until_ms is None
    assert plan_answer(message, admin_id, scenario.now_ms(), NO_ACCOUNT).routing.deferred_until_ms is not None
    assert reply_answers.answer_text(ANSWER) == ANSWER_TEXT
