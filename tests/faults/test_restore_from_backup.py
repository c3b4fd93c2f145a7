"""Scenario 21: the database is restored from a backup, and texts sent since then are not sent again."""

from tests.faults.support.engine_marks import FAULT_ENGINES, on_engines
from tests.faults.support.fault_environment import FaultEnvironment
from tests.faults.support.fault_report import FaultReport
from tests.faults.support.invariants import (
    check_emails,
    check_ledger,
    check_transitions,
    delivery_timeline,
    measure_outcome,
)
from tests.faults.support.timing import LONG_RUN, now_ms

_DAY_MS = 86_400_000
_TIMESTAMP_COLUMNS = {
    "delivery": ("due_at_ms", "state_changed_at_ms", "created_at_ms", "lease_until_ms"),
    "attempt": ("started_at_ms", "slot_at_ms", "lease_until_ms", "finished_at_ms"),
    "send": ("created_at_ms", "fanned_out_at_ms"),
    "communication": ("created_at_ms",),
    "sync_cursor": ("at_ms",),
    "heartbeat": ("at_ms",),
    "lease": ("expires_at_ms",),
}


@on_engines(*FAULT_ENGINES)
def test_texts_sent_after_the_backup_are_not_sent_again(environment: FaultEnvironment, report: FaultReport) -> None:
    """The backup contains ready, sending and accepted texts. All texts leave before it is restored.

    On PostgreSQL Valkey remembers the later database; on SQLite it is emptied as well. Texts are looked up at Twilio;
    emails, which cannot be looked up, wait for an administrator.
    """
    audience = environment.sends.create_recipients(60 if LONG_RUN else 20)
    environment.configure(rate=8)
    send = environment.sends.create(audience)
    environment.progress.wait_for_texts(10 if LONG_RUN else 5, "the first texts", send=send)
    environment.database.back_up_to("backup")
    environment.progress.wait_until_settled(send)
    waiting = _restore_backup(environment, send)
    environment.progress.wait_until_texts_settled(send)
    outcome = measure_outcome(environment, send, audience.phone_numbers)
    assert not outcome.missing
    assert not outcome.duplicated, (
        f"on {environment.engine} texted again: {delivery_timeline(environment, outcome.duplicated[0])}"
    )
    held = environment.progress.count_states(send, "email").get("ready", 0)
    environment.database.execute("UPDATE lane SET paused_at_ms = NULL")
    environment.progress.wait_until_settled(send)
    check_transitions(environment, send)
    check_emails(environment, send)
    check_ledger(environment)
    report.add("21 restored from a backup", environment.engine, texts_waiting_in_backup=waiting,
               emails_quarantined=held, **outcome.figures())  # fmt: skip


def _restore_backup(environment: FaultEnvironment, send: int) -> int:
    """Stop everything, restore the backup, make it a day older and start again; returns its count of ready texts."""
    environment.stop_all_processes()
    environment.database.restore("backup")
    for table, columns in _TIMESTAMP_COLUMNS.items():
        assignments = ", ".join(f"{column} = {column} - {_DAY_MS}" for column in columns)
        environment.database.execute(f"UPDATE {table} SET {assignments}")
    environment.database.execute("DELETE FROM faults_journal", "UPDATE sending_number SET next_free_at_us = 0")
    newest = "SELECT max(created_at_ms) FROM delivery WHERE send_id = :send"
    assert environment.database.value(newest, send=send) < now_ms() - _DAY_MS // 2
    waiting = environment.progress.count_states(send)["ready"]
    if environment.engine == "sqlite":
        environment.valkey.run_redis_command("FLUSHALL")
    environment.scale_processes()
    return waiting
