"""Scenario 21: the database is put back to an older copy, and what left since then is not sent again."""

from tests.faults.support.engine_marks import FAULT_ENGINES, on_engines
from tests.faults.support.fault_environment import LONG_RUN, FaultEnvironment, now_ms
from tests.faults.support.fault_report import FaultReport
from tests.faults.support.invariants import (
    check_emails,
    check_ledger,
    check_transitions,
    delivery_timeline,
    measure_outcome,
)

_DAY_MS = 86_400_000
_TIMESTAMP_COLUMNS = {
    "delivery": ("due_at_ms", "state_changed_at_ms", "created_at_ms", "lease_until_ms"),
    "attempt": ("started_at_ms", "slot_at_ms", "lease_until_ms", "finished_at_ms"),
    "send": ("created_at_ms", "fanned_out_at_ms"),
    "communication": ("created_at_ms",),
    "bookmark": ("at_ms",),
    "heartbeat": ("at_ms",),
    "lease": ("expires_at_ms",),
}


@on_engines(*FAULT_ENGINES)
def test_a_database_restored_from_yesterday_sends_nothing_again_without_evidence(
    environment: FaultEnvironment, report: FaultReport
) -> None:
    """The copy is made while texts wait, are being sent and are accepted; all of them leave; then the copy comes back.

    On one engine Valkey remembers that there was a later database; on the other it was put back, empty, as well. Texts
    are looked for at Twilio; mail, of which nobody can ask, waits for an administrator.
    """
    audience = environment.create_recipients(60 if LONG_RUN else 30)
    environment.configure(rate=8)
    send = environment.create_send(audience)
    environment.wait_for_texts(10 if LONG_RUN else 5, "the first texts", send=send)
    environment.database.back_up_to("yesterday")
    environment.wait_until_settled(send)
    waiting = _restore_old_copy(environment, send)
    environment.wait_until_texts_settled(send)
    found = measure_outcome(environment, send, audience.phone_numbers)
    assert not found.missing
    assert not found.duplicated, (
        f"on {environment.engine} texted again: {delivery_timeline(environment, found.duplicated[0])}"
    )
    held = environment.count_states(send, "email").get("ready", 0)
    environment.database.execute("UPDATE lane SET paused_at_ms = NULL")
    environment.wait_until_settled(send)
    check_transitions(environment, send)
    check_emails(environment, send)
    check_ledger(environment)
    report.add("21 restored from yesterday", environment.engine, texts_waiting_in_the_copy=waiting,
               mails_held=held, **found.figures())  # fmt: skip


def _restore_old_copy(stage: FaultEnvironment, send: int) -> int:
    """Everything stops, the copy is put in place, a day older than it was, and everything starts again.

    How many texts wait in it.
    """
    stage.stop_all_processes()
    stage.database.restore("yesterday")
    for table, columns in _TIMESTAMP_COLUMNS.items():
        moved = ", ".join(f"{column} = {column} - {_DAY_MS}" for column in columns)
        stage.database.execute(f"UPDATE {table} SET {moved}")
    stage.database.execute("DELETE FROM faults_journal", "UPDATE sending_number SET next_free_at_us = 0")
    assert stage.database.value("SELECT max(created_at_ms) FROM delivery") < now_ms() - _DAY_MS // 2
    waiting = stage.count_states(send)["ready"]
    if stage.engine == "sqlite":
        stage.valkey.run_redis_command("FLUSHALL")
    stage.scale_processes()
    return waiting
