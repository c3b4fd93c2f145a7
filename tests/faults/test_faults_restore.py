"""Scenario 21: the database is put back to an older copy, and what left since then is not sent again."""

from fault_engines import ENGINES, on
from fault_oracle import check_ledger, check_mails, check_moves, look, story
from fault_report import Report
from fault_stage import LONG, Stage, now_ms

_DAY_MS = 86_400_000
_TIMES = {
    "delivery": ("next_at_ms", "state_at_ms", "created_at_ms", "lease_until_ms"),
    "attempt": ("started_at_ms", "slot_at_ms", "lease_until_ms", "finished_at_ms"),
    "send": ("created_at_ms", "expanded_at_ms"),
    "communication": ("created_at_ms",),
    "bookmark": ("at_ms",),
    "heartbeat": ("at_ms",),
    "lease": ("until_ms",),
}


@on(*ENGINES)
def test_a_database_restored_from_yesterday_sends_nothing_again_without_evidence(stage: Stage, report: Report) -> None:
    """The copy is made while texts wait, are being sent and are accepted; all of them leave; then the copy comes back.

    On one engine Valkey remembers that there was a later database; on the other it was put back, empty, as well. Texts
    are looked for at Twilio; mail, of which nobody can ask, waits for an administrator.
    """
    audience = stage.people(60 if LONG else 30)
    stage.configure(rate=8)
    send = stage.send(audience)
    stage.texts_leave(10 if LONG else 5, "the first texts", send=send)
    stage.database.copy_to("yesterday")
    stage.settled(send)
    waiting = _restore(stage, send)
    stage.settled_texts(send)
    found = look(stage, send, audience.numbers)
    assert not found.lost
    assert not found.twice, f"on {stage.engine} texted again: {story(stage, found.twice[0])}"
    held = stage.states(send, "email").get("ready", 0)
    stage.database.execute("UPDATE lane SET paused_at_ms = NULL")
    stage.settled(send)
    check_moves(stage, send)
    check_mails(stage, send)
    check_ledger(stage)
    report.add("21 restored from yesterday", stage.engine, texts_waiting_in_the_copy=waiting,
               mails_held=held, **found.figures())  # fmt: skip


def _restore(stage: Stage, send: int) -> int:
    """Everything stops, the copy is put in place, a day older than it was, and everything starts again.

    How many texts wait in it.
    """
    stage.stop_all()
    stage.database.restore("yesterday")
    for table, columns in _TIMES.items():
        moved = ", ".join(f"{column} = {column} - {_DAY_MS}" for column in columns)
        stage.database.execute(f"UPDATE {table} SET {moved}")
    stage.database.execute("DELETE FROM faults_journal", "UPDATE sender SET next_free_at_us = 0")
    assert stage.database.value("SELECT max(created_at_ms) FROM delivery") < now_ms() - _DAY_MS // 2
    waiting = stage.states(send)["ready"]
    if stage.engine == "sqlite":
        stage.doorbell.ask("FLUSHALL")
    stage.crew()
    return waiting
