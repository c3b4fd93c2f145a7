"""Scenarios 14 and 18: handsets say STOP and sysadmins change the settings in the middle of a send."""

from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.faults.support.engine_marks import on_engine_in_short_run, on_engines
from tests.faults.support.fault_environment import LONG_RUN, FaultEnvironment, now_ms
from tests.faults.support.fault_report import FaultReport
from tests.faults.support.invariants import check_emails, check_ledger, check_transitions
from tests.support import servers

_OVERRIDE = "+14155550199"


@on_engine_in_short_run("sqlite")
def test_after_stop_nothing_leaves_that_was_not_claimed_before(
    environment: FaultEnvironment, report: FaultReport
) -> None:
    """Every third handset says STOP while the send runs; one says START first, and that START is told again later."""
    audience = environment.create_recipients(300 if LONG_RUN else 42)
    environment.configure(rate=20 if LONG_RUN else 14)
    send = environment.create_send(audience)
    environment.wait_for_texts(5, "the first texts", send=send)
    stopping = audience.phone_numbers[-1::-3]
    starts = environment.simulator.send_from_handset(stopping[0], "START")["sid"]
    for number in stopping:
        environment.simulator.send_from_handset(number, "STOP")
    environment.simulator.send_from_handset(stopping[0], "START", message_sid=starts)
    environment.wait_until_settled(send)
    environment.wait(
        lambda: _all_opted_out(environment, stopping), "every STOP to be heard, by webhook or from Twilio's list", 90
    )
    late = _texted_after_stop(environment, stopping)
    assert not late, f"I3 on {environment.engine}: {late}"
    texted = {text["to"] for text in environment.simulator.accepted_texts()}
    assert set(audience.phone_numbers) - set(stopping) <= texted
    assert environment.database.value("SELECT stopped_at_ms FROM phone_state WHERE number = :n", n=stopping[0])
    states = environment.count_states(send)
    assert set(states) <= {"delivered", "skipped", "opted_out"}, states
    check_emails(environment, send)
    check_transitions(environment, send)
    check_ledger(environment)
    report.add(
        "14 STOP during a send", environment.engine, handsets=len(stopping), texts_after_stop=len(late), **states
    )


def _all_opted_out(stage: FaultEnvironment, numbers: list[str]) -> bool:
    stopped = {row[0] for row in stage.database.rows("SELECT number FROM phone_state WHERE stopped_at_ms IS NOT NULL")}
    return set(numbers) <= stopped


def _texted_after_stop(stage: FaultEnvironment, numbers: list[str]) -> list[str]:
    """Texts that the simulator accepted although the claim came after the STOP was written down."""
    texted = {text["to"] for text in stage.simulator.accepted_texts()}
    query = """SELECT max(a.started_at_ms) - max(h.stopped_at_ms) FROM attempt a JOIN phone_state h ON h.number = a.sent_to
               WHERE a.sent_to = :number AND a.outcome = 'accepted'"""
    return [number for number in numbers if number in texted and stage.database.value(query, number=number) > 0]


@on_engines("postgresql")
def test_a_stop_that_only_twilio_heard_is_suppression_and_not_failure(
    environment: FaultEnvironment, report: FaultReport
) -> None:
    """Two accounts share the number of one of them: STOP counts for both."""
    audience = environment.create_recipients(3)
    stopped = audience.phone_numbers[0]
    environment.simulator.send_from_handset(stopped, "STOP", deliver=0)
    send = environment.create_send(audience)
    environment.wait_until_settled(send)
    assert environment.count_states(send) == {"opted_out": 1, "delivered": 2}
    assert environment.state(stopped) == "opted_out"
    second = environment.create_send(audience)
    environment.wait_until_settled(second)
    assert environment.count_states(second) == {"skipped": 1, "delivered": 2}
    assert not environment.simulator.texts_to(stopped)
    report.add("14 STOP that only Twilio heard", environment.engine, **environment.count_states(send))


@on_engine_in_short_run("postgresql")
def test_settings_changed_in_the_middle_of_a_send_hold_for_every_claim_from_then_on(
    environment: FaultEnvironment, report: FaultReport
) -> None:
    """Override, test mode, and the feature off: no text mixes two configurations, whatever was claimed when."""
    audience = environment.create_recipients(200 if LONG_RUN else 40)
    environment.configure(rate=2 * _TEXTS_PER_CHANGE, SmsOverrideNumber=_OVERRIDE)
    send = environment.create_send(audience)
    changes: list[tuple[int, str]] = []
    for texts, mode, name, value in _SETTING_CHANGES:
        environment.wait(lambda texts=texts: _count_attempted(environment, send) >= texts, "texts to leave", send=send)
        environment.change_setting(name, value)
        changes.append((now_ms(), mode))
    environment.wait_for_scheduler_runs(3)
    tried = _count_attempted(environment, send)
    environment.wait_for_scheduler_runs(2)
    assert _count_attempted(environment, send) == tried, "a text left while the feature was off"
    environment.change_setting("EnableSmsNotifications", True)
    environment.wait_until_settled(send)
    _check_modes(environment, send, changes)
    report.add(
        "18 settings changed in a send", environment.engine, changes=len(changes), **environment.count_states(send)
    )


_TEXTS_PER_CHANGE = 10 if LONG_RUN else 5
_SETTING_CHANGES: tuple[tuple[int, str, str, Any], ...] = (
    (1 * _TEXTS_PER_CHANGE, "override", "EnableSmsOverrideNumber", True),
    (2 * _TEXTS_PER_CHANGE, "test_override", "EnableSmsTestMode", True),
    (3 * _TEXTS_PER_CHANGE, "test", "EnableSmsOverrideNumber", False),
    (4 * _TEXTS_PER_CHANGE, "live", "EnableSmsTestMode", False),
    (5 * _TEXTS_PER_CHANGE, "off", "EnableSmsNotifications", False),
)


def _count_attempted(stage: FaultEnvironment, send: int) -> int:
    query = """SELECT count(DISTINCT d.id) FROM attempt a JOIN delivery d ON d.id = a.delivery_id
               WHERE d.channel = 'sms' AND d.send_id = :send"""
    return int(stage.database.value(query, send=send))


def _check_modes(stage: FaultEnvironment, send: int, changes: list[tuple[int, str]]) -> None:
    """I8: what the simulator got from each attempt is what the mode in force asked for; it changes within a second."""
    query = """SELECT a.id, a.mode, a.started_at_ms, a.sent_to, d.address FROM attempt a
               JOIN delivery d ON d.id = a.delivery_id WHERE d.channel = 'sms' AND d.send_id = :send"""
    by_attempt = {_attempt_id_in(text["status_callback"]): text for text in stage.simulator.accepted_texts()}
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


def _attempt_id_in(status_callback: str) -> str:
    return parse_qs(urlsplit(status_callback).query)["attempt"][0]


@on_engines("sqlite")
def test_a_token_changed_in_the_middle_of_a_send_pauses_it_until_the_right_one_is_set(
    environment: FaultEnvironment, report: FaultReport
) -> None:
    audience = environment.create_recipients(40 if LONG_RUN else 30)
    environment.configure(rate=10 if LONG_RUN else 8)
    send = environment.create_send(audience)
    environment.wait_for_texts(3, "the first texts", send=send)
    environment.change_setting("SmsGatewayAuthentication", {**servers.LIVE_CREDENTIALS, "AuthToken": "rotated-away"})
    environment.wait(environment.is_sms_paused, "the lane to pause", send=send)
    environment.configure()
    environment.wait_until_settled(send)
    texted = [text["to"] for text in environment.simulator.accepted_texts()]
    assert environment.count_states(send) == {"delivered": len(audience.indexes)}
    assert sorted(texted) == sorted(audience.phone_numbers)
    report.add("18 token rotated in a send", environment.engine, **environment.count_states(send))
