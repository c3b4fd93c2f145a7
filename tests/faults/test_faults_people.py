"""Scenarios 14 and 18: handsets say STOP and sysadmins change the settings in the middle of a send."""

from typing import Any
from urllib.parse import parse_qs, urlsplit

import parts
from fault_engines import on, turn_of
from fault_oracle import check_ledger, check_mails, check_moves
from fault_report import Report
from fault_stage import LONG, Stage, now_ms

_OVERRIDE = "+14155550199"


@turn_of("sqlite")
def test_after_stop_nothing_leaves_that_was_not_claimed_before(stage: Stage, report: Report) -> None:
    """Every third handset says STOP while the send runs; one says START first, and that START is told again later."""
    audience = stage.people(300 if LONG else 42)
    stage.configure(rate=20 if LONG else 14)
    send = stage.send(audience)
    stage.texts_leave(5, "the first texts", send=send)
    stopping = audience.numbers[-1::-3]
    starts = stage.outside.type_on_handset(stopping[0], "START")["sid"]
    for number in stopping:
        stage.outside.type_on_handset(number, "STOP")
    stage.outside.type_on_handset(stopping[0], "START", message_sid=starts)
    stage.settled(send)
    stage.wait(lambda: _are_silent(stage, stopping), "every STOP to be heard, by webhook or from Twilio's list", 90)
    late = _texted_after_stop(stage, stopping)
    assert not late, f"I3 on {stage.engine}: {late}"
    texted = {text["to"] for text in stage.outside.texts()}
    assert set(audience.numbers) - set(stopping) <= texted
    assert stage.database.value("SELECT stopped_at_ms FROM handset WHERE number = :n", n=stopping[0])
    states = stage.states(send)
    assert set(states) <= {"delivered", "skipped", "suppressed"}, states
    check_mails(stage, send)
    check_moves(stage, send)
    check_ledger(stage)
    report.add("14 STOP during a send", stage.engine, handsets=len(stopping), texts_after_stop=len(late), **states)


def _are_silent(stage: Stage, numbers: list[str]) -> bool:
    stopped = {row[0] for row in stage.database.rows("SELECT number FROM handset WHERE stopped_at_ms IS NOT NULL")}
    return set(numbers) <= stopped


def _texted_after_stop(stage: Stage, numbers: list[str]) -> list[str]:
    """Texts that the simulator accepted although the claim came after the STOP was written down."""
    texted = {text["to"] for text in stage.outside.texts()}
    query = """SELECT max(a.started_at_ms) - max(h.stopped_at_ms) FROM attempt a JOIN handset h ON h.number = a.sent_to
               WHERE a.sent_to = :number AND a.outcome = 'accepted'"""
    return [number for number in numbers if number in texted and stage.database.value(query, number=number) > 0]


@on("postgresql")
def test_a_stop_that_only_twilio_heard_is_suppression_and_not_failure(stage: Stage, report: Report) -> None:
    """Two accounts share the number of one of them: STOP counts for both."""
    audience = stage.people(3)
    stopped = audience.numbers[0]
    stage.outside.type_on_handset(stopped, "STOP", deliver=0)
    send = stage.send(audience)
    stage.settled(send)
    assert stage.states(send) == {"suppressed": 1, "delivered": 2}
    assert stage.state(stopped) == "suppressed"
    second = stage.send(audience)
    stage.settled(second)
    assert stage.states(second) == {"skipped": 1, "delivered": 2}
    assert not stage.outside.texts_to(stopped)
    report.add("14 STOP that only Twilio heard", stage.engine, **stage.states(send))


@turn_of("postgresql")
def test_settings_changed_in_the_middle_of_a_send_hold_for_every_claim_from_then_on(
    stage: Stage, report: Report
) -> None:
    """Override, test mode, and the feature off: no text mixes two configurations, whatever was claimed when."""
    audience = stage.people(200 if LONG else 40)
    stage.configure(rate=2 * _STEP, SmsOverrideNumber=_OVERRIDE)
    send = stage.send(audience)
    changes: list[tuple[int, str]] = []
    for texts, mode, name, value in _CHANGES:
        stage.wait(lambda texts=texts: _attempted(stage, send) >= texts, "texts to leave", send=send)
        stage.setting(name, value)
        changes.append((now_ms(), mode))
    stage.sweeps(3)
    tried = _attempted(stage, send)
    stage.sweeps(2)
    assert _attempted(stage, send) == tried, "a text left while the feature was off"
    stage.setting("EnableSmsNotifications", True)
    stage.settled(send)
    _check_modes(stage, send, changes)
    report.add("18 settings changed in a send", stage.engine, changes=len(changes), **stage.states(send))


_STEP = 10 if LONG else 5
_CHANGES: tuple[tuple[int, str, str, Any], ...] = (
    (1 * _STEP, "override", "EnableSmsOverrideNumber", True),
    (2 * _STEP, "test_override", "EnableSmsTestMode", True),
    (3 * _STEP, "test", "EnableSmsOverrideNumber", False),
    (4 * _STEP, "live", "EnableSmsTestMode", False),
    (5 * _STEP, "off", "EnableSmsNotifications", False),
)


def _attempted(stage: Stage, send: int) -> int:
    query = """SELECT count(DISTINCT d.id) FROM attempt a JOIN delivery d ON d.id = a.delivery_id
               WHERE d.channel = 'sms' AND d.send_id = :send"""
    return int(stage.database.value(query, send=send))


def _check_modes(stage: Stage, send: int, changes: list[tuple[int, str]]) -> None:
    """I8: what the simulator got from each attempt is what the mode in force asked for; it changes within a second."""
    query = """SELECT a.id, a.mode, a.started_at_ms, a.sent_to, d.address FROM attempt a
               JOIN delivery d ON d.id = a.delivery_id WHERE d.channel = 'sms' AND d.send_id = :send"""
    by_attempt = {_attempt_of(text["status_callback"]): text for text in stage.outside.texts()}
    for one in stage.database.rows(query, send=send):
        text = by_attempt.get(one.id)
        overridden, tested = "override" in one.mode, "test" in one.mode
        assert one.sent_to == (_OVERRIDE if overridden else one.address)
        if text is not None:
            assert (text["test"], text["to"]) == (tested, one.sent_to), one.mode
        for at_ms, mode in changes:
            following = next((later for later, _ in changes if later > at_ms), at_ms)
            if at_ms < one.started_at_ms < following - 1000:
                assert one.mode == mode, f"on {stage.engine}: claimed as {one.mode} when {mode} was in force"


def _attempt_of(status_callback: str) -> str:
    return parse_qs(urlsplit(status_callback).query)["attempt"][0]


@on("sqlite")
def test_a_token_changed_in_the_middle_of_a_send_pauses_it_until_the_right_one_is_set(
    stage: Stage, report: Report
) -> None:
    audience = stage.people(40 if LONG else 30)
    stage.configure(rate=10 if LONG else 8)
    send = stage.send(audience)
    stage.texts_leave(3, "the first texts", send=send)
    stage.setting("SmsGatewayAuthentication", {**parts.LIVE, "AuthToken": "rotated-away"})
    stage.wait(stage.paused, "the lane to pause", send=send)
    stage.configure()
    stage.settled(send)
    texted = [text["to"] for text in stage.outside.texts()]
    assert stage.states(send) == {"delivered": len(audience.places)}
    assert sorted(texted) == sorted(audience.numbers)
    report.add("18 token rotated in a send", stage.engine, **stage.states(send))
