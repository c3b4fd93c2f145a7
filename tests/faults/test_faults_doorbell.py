"""Scenario 5: Valkey forgets everything, is killed, stays away, comes back empty, is full, or takes no writes."""

import contextlib
import time

from fault_engines import on, turn_of
from fault_oracle import Defect, busiest, judge
from fault_report import Report
from fault_stage import LONG, Audience, Stage
from fault_visitor import Visitor

AWAY_SECONDS = 60 if LONG else 2
_PATIENCE_SECONDS = 15
_WITHOUT = 20 if LONG else 12
"""So many texts leave without Valkey."""


@turn_of("postgresql")
def test_a_send_survives_that_valkey_forgets_dies_and_returns_empty(stage: Stage, report: Report) -> None:
    """Meanwhile the pages work, and what is sent from them is kept."""
    visitor = Visitor(stage)
    audience = stage.people(1_500 if LONG else 80)
    send = stage.send(audience)
    stage.texts_leave(10, "the first texts")
    stage.doorbell.ask("FLUSHALL")
    stage.texts_leave(20, "more texts")
    stage.doorbell.stop()
    _while_away(stage, visitor, send)
    later = _send_from_the_page(visitor, stage.people(10))
    stage.doorbell.forget()
    stage.doorbell.start()
    stage.settled(send, later, seconds=120)
    stage.wait(stage.is_ready, "the portal to be ready again")
    found = judge(stage, send, audience.numbers)
    full = busiest([call["at_ms"] for call in stage.outside.calls()])
    # I7 is judged by the slots; the simulator notes an arrival when it comes to read it, late on a busy machine
    assert not LONG or full <= stage.rate * 2
    report.add("5 Valkey flushed, killed, empty", stage.engine, away_s=AWAY_SECONDS, busiest_second=full,
               rate=stage.rate, **found.figures())  # fmt: skip


def _while_away(stage: Stage, visitor: Visitor, send: int) -> None:
    ends = time.monotonic() + AWAY_SECONDS
    while time.monotonic() < ends:
        for page in (
            "/Admin/Sends",
            f"/Admin/Sends/{send}",
            "/Admin/Communications",
            "/MyAccount/CommunicationsHistory",
        ):
            assert visitor.get(page).status_code == 200, page
        ready = visitor.get("/readyz")
        assert (ready.status_code, ready.json()["redis"], ready.json()["database"]) == (503, "failing", "ok")
        time.sleep(0.2)


def _send_from_the_page(visitor: Visitor, audience: Audience) -> int:
    """Chosen, confirmed and sent as an administrator does it; the id of the send."""
    chosen = {"template": "notice", "to": "numbers", "numbers": " ".join(map(str, audience.places))}
    confirm = visitor.submit("/Admin/Sends/confirm", visitor.get("/Admin/Sends/new?template=notice"), **chosen)
    assert confirm.status_code == 200, confirm.text
    sent = visitor.submit("/Admin/Sends", confirm)
    assert "/Admin/Sends/" in sent.url, sent.text
    return int(sent.url.rpartition("/")[2])


@turn_of("sqlite")
def test_sends_go_on_while_valkey_answers_and_takes_no_writes(stage: Stage, report: Report) -> None:
    """One that runs ends, and one made meanwhile is sent too; every light shows it, each worker says it once."""
    visitor = Visitor(stage)
    for trouble, (begin, end) in _TROUBLES.items():
        stage.wait(stage.is_ready, "the portal to be ready")
        running, later = stage.people(40 if LONG else 24), stage.people(20 if LONG else 8)
        stage.configure(rate=20)
        before = stage.outside.count()
        send = stage.send(running)
        stage.texts_leave(before + 5, "the first texts", send=send)
        said = stage.said().count("working without Redis")
        stage.doorbell.ask(*begin)
        try:
            second = stage.send(later)
            stage.settled(send, second)
            ready = visitor.get("/readyz")
            assert (ready.status_code, ready.json()["redis"]) == (503, "failing")
            assert "The queue takes no work." in visitor.get("/SysAdmin/Queues").text
            assert "portal_queue_away 1.0" in visitor.get("/metrics").text
        finally:
            stage.doorbell.ask(*end)
        workers = sum(len(stage.keeper.named(name)) for name in ("sms", "email", "work"))
        assert stage.said().count("working without Redis") - said <= workers
        report.add(f"5 Valkey {trouble}", stage.engine, **judge(stage, send, running.numbers).figures())
        judge(stage, second, later.numbers)


_TROUBLES = {
    "full": (("CONFIG", "SET", "maxmemory", "1"), ("CONFIG", "SET", "maxmemory", "256mb")),
    "read-only": (("REPLICAOF", "127.0.0.1", "1"), ("REPLICAOF", "NO", "ONE")),
    "without rights": (("ACL", "SETUSER", "default", "-@write"), ("ACL", "SETUSER", "default", "+@all")),
}


@on("sqlite")
def test_texts_keep_leaving_while_valkey_is_away(stage: Stage, report: Report) -> None:
    """The pace is kept: what the rate allows leaves with or without the doorbell."""
    stage.doorbell.stop()
    for worker in stage.keeper.named("sms"):
        stage.keeper.strike(worker)
    send = stage.send(stage.people(40 if LONG else 24))
    with contextlib.suppress(AssertionError):
        stage.texts_leave(_WITHOUT, "texts to leave without Valkey", _PATIENCE_SECONDS)
    left = stage.outside.count()
    stage.doorbell.start()
    stage.settled(send)
    if left < _WITHOUT:
        raise Defect(f"{left} texts left in {_PATIENCE_SECONDS} seconds without Valkey at {stage.rate:g}/s")
