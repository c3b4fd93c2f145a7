"""Scenarios 14 and 18: recipients text STOP, and sysadmins change the settings, during a send."""

from functools import partial
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.faults.support.engine_marks import on_engine_in_short_run, on_engines
from tests.faults.support.fault_environment import FaultEnvironment
from tests.faults.support.fault_report import FaultReport
from tests.faults.support.invariants import check_emails, check_ledger, check_transitions
from tests.faults.support.timing import LONG_RUN, now_ms
from tests.support import servers

_OVERRIDE = "+14155550199"


@on_engine_in_short_run("sqlite")
def test_no_text_is_claimed_after_the_stop_of_its_number(environment: FaultEnvironment, report: FaultReport) -> None:
    """Every third recipient texts STOP during the send; one texted START before it, which is delivered again later."""
    audience = environment.sends.create_recipients(300 if LONG_RUN else 42)
    environment.configure(rate=20 if LONG_RUN else 14)
    send = environment.sends.create(audience)
    environment.progress.wait_for_texts(5, "the first texts", send=send)
    stopping = audience.phone_numbers[-1::-3]
    start_sid = environment.simulator.send_from_handset(stopping[0], "START")["sid"]
    for phone_number in stopping:
        environment.simulator.send_from_handset(phone_number, "STOP")
    environment.simulator.send_from_handset(stopping[0], "START", message_sid=start_sid)
    environment.progress.wait_until_settled(send)
    environment.wait(
        lambda: _all_opted_out(environment, stopping),
        "every STOP to arrive, by webhook or from Twilio's message list",
        90,
    )
    late = _texted_after_stop(environment, stopping)
    assert not late, f"I3 on {environment.engine}: {late}"
    texted = {text["to"] for text in environment.simulator.accepted_texts()}
    assert set(audience.phone_numbers) - set(stopping) <= texted
    assert environment.database.value("SELECT stopped_at_ms FROM phone_state WHERE number = :n", n=stopping[0])
    states = environment.progress.count_states(send)
    assert set(states) <= {"delivered", "skipped", "opted_out"}, states
    check_emails(environment, send)
    check_transitions(environment, send)
    check_ledger(environment)
    report.add(
        "14 STOP during a send",
        environment.engine,
        handsets=len(stopping),
        texts_claimed_after_stop=len(late),
        **states,
    )


def _all_opted_out(environment: FaultEnvironment, phone_numbers: list[str]) -> bool:
    stopped = {
        row[0] for row in environment.database.rows("SELECT number FROM phone_state WHERE stopped_at_ms IS NOT NULL")
    }
    return set(phone_numbers) <= stopped


def _texted_after_stop(environment: FaultEnvironment, phone_numbers: list[str]) -> list[str]:
    """The phone numbers whose text was accepted although it was claimed after the STOP was recorded."""
    texted = {text["to"] for text in environment.simulator.accepted_texts()}
    query = """SELECT max(a.started_at_ms) - max(p.stopped_at_ms) FROM attempt a
               JOIN phone_state p ON p.number = a.destination
               WHERE a.destination = :number AND a.outcome = 'accepted'"""
    accepted = [number for number in phone_numbers if number in texted]
    return [number for number in accepted if environment.database.value(query, number=number) > 0]


@on_engines("postgresql")
def test_a_stop_known_only_to_twilio_counts_as_opted_out(environment: FaultEnvironment, report: FaultReport) -> None:
    """Twilio rejects the first text because of the STOP; the second send skips the number."""
    audience = environment.sends.create_recipients(3)
    stopped = audience.phone_numbers[0]
    environment.simulator.send_from_handset(stopped, "STOP", deliver=0)
    send = environment.sends.create(audience)
    environment.progress.wait_until_settled(send)
    assert environment.progress.count_states(send) == {"opted_out": 1, "delivered": 2}
    assert environment.progress.state_of_text(stopped) == "opted_out"
    second = environment.sends.create(audience)
    environment.progress.wait_until_settled(second)
    assert environment.progress.count_states(second) == {"skipped": 1, "delivered": 2}
    assert not environment.simulator.texts_to(stopped)
    report.add("14 STOP known only to Twilio", environment.engine, **environment.progress.count_states(send))


@on_engine_in_short_run("postgresql")
def test_settings_changed_during_a_send_apply_to_later_claims(
    environment: FaultEnvironment, report: FaultReport
) -> None:
    """Override, test mode, and texts off. No text mixes two configurations."""
    audience = environment.sends.create_recipients(200 if LONG_RUN else 40)
    environment.configure(rate=2 * _TEXTS_PER_CHANGE, SmsOverrideNumber=_OVERRIDE)
    send = environment.sends.create(audience)
    changes: list[tuple[int, str]] = []
    for count, mode, name, value in _SETTING_CHANGES:
        environment.wait(partial(_has_attempted, environment, send, count), "texts to leave", send=send)
        environment.change_setting(name, value)
        changes.append((now_ms(), mode))
    environment.wait_for_scheduler_runs(3)
    attempted = _count_attempted(environment, send)
    environment.wait_for_scheduler_runs(2)
    assert _count_attempted(environment, send) == attempted, "a text left while texts were off"
    environment.change_setting("EnableSmsNotifications", True)
    environment.progress.wait_until_settled(send)
    _check_modes(environment, send, changes)
    report.add(
        "18 settings changed during a send",
        environment.engine,
        changes=len(changes),
        **environment.progress.count_states(send),
    )


_TEXTS_PER_CHANGE = 10 if LONG_RUN else 5
_SETTING_CHANGES: tuple[tuple[int, str, str, Any], ...] = (
    (1 * _TEXTS_PER_CHANGE, "override", "EnableSmsOverrideNumber", True),
    (2 * _TEXTS_PER_CHANGE, "test_override", "EnableSmsTestMode", True),
    (3 * _TEXTS_PER_CHANGE, "test", "EnableSmsOverrideNumber", False),
    (4 * _TEXTS_PER_CHANGE, "live", "EnableSmsTestMode", False),
    (5 * _TEXTS_PER_CHANGE, "off", "EnableSmsNotifications", False),
)


def _count_attempted(environment: FaultEnvironment, send: int) -> int:
    query = """SELECT count(DISTINCT d.id) FROM attempt a JOIN delivery d ON d.id = a.delivery_id
               WHERE d.channel = 'sms' AND d.send_id = :send"""
    return int(environment.database.value(query, send=send))


def _has_attempted(environment: FaultEnvironment, send: int, count: int) -> bool:
    return _count_attempted(environment, send) >= count


def _check_modes(environment: FaultEnvironment, send: int, changes: list[tuple[int, str]]) -> None:
    """I8: each text was sent as its mode requires, and a changed mode applies within a second."""
    query = """SELECT a.id, a.mode, a.started_at_ms, a.destination, d.address FROM attempt a
               JOIN delivery d ON d.id = a.delivery_id WHERE d.channel = 'sms' AND d.send_id = :send"""
    by_attempt = {_attempt_id_in(text["status_callback"]): text for text in environment.simulator.accepted_texts()}
    for row in environment.database.rows(query, send=send):
        text = by_attempt.get(row.id)
        is_override, is_test = "override" in row.mode, "test" in row.mode
        assert row.destination == (_OVERRIDE if is_override else row.address)
        if text is not None:
            assert (text["test"], text["to"]) == (is_test, row.destination), row.mode
        for at_ms, mode in changes:
            next_change_ms = next((later for later, _ in changes if later > at_ms), at_ms)
            if at_ms < row.started_at_ms < next_change_ms - 1000:
                assert row.mode == mode, f"on {environment.engine}: claimed as {row.mode} in mode {mode}"


def _attempt_id_in(status_callback: str) -> str:
    return parse_qs(urlsplit(status_callback).query)["attempt"][0]


@on_engines("sqlite")
def test_wrong_auth_token_pauses_a_send_until_corrected(environment: FaultEnvironment, report: FaultReport) -> None:
    audience = environment.sends.create_recipients(40 if LONG_RUN else 30)
    environment.configure(rate=10 if LONG_RUN else 8)
    send = environment.sends.create(audience)
    environment.progress.wait_for_texts(3, "the first texts", send=send)
    environment.change_setting("SmsGatewayAuthentication", {**servers.LIVE_CREDENTIALS, "AuthToken": "rotated-away"})
    environment.wait(environment.progress.is_sms_paused, "the sending number to pause", send=send)
    environment.configure()
    environment.progress.wait_until_settled(send)
    texted = [text["to"] for text in environment.simulator.accepted_texts()]
    assert environment.progress.count_states(send) == {"delivered": len(audience.indexes)}
    assert sorted(texted) == sorted(audience.phone_numbers)
    report.add("18 wrong token during a send", environment.engine, **environment.progress.count_states(send))
