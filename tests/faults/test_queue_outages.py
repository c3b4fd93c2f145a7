"""Scenario 5: Valkey forgets everything, is killed, stays away, comes back empty, is full, or takes no writes."""

import contextlib
import time

from tests.faults.support.engine_marks import on_engine_in_short_run, on_engines
from tests.faults.support.fault_environment import LONG_RUN, Audience, FaultEnvironment
from tests.faults.support.fault_report import FaultReport
from tests.faults.support.http_actors import AdminSession
from tests.faults.support.invariants import KnownDefect, check_invariants, max_per_second

OUTAGE_SECONDS = 60 if LONG_RUN else 2
_DEADLINE_SECONDS = 15
_TEXTS_WITHOUT_VALKEY = 20 if LONG_RUN else 12
"""So many texts leave without Valkey."""


@on_engine_in_short_run("postgresql")
def test_a_send_survives_that_valkey_forgets_dies_and_returns_empty(
    environment: FaultEnvironment, report: FaultReport
) -> None:
    """Meanwhile the pages work, and what is sent from them is kept."""
    visitor = AdminSession(environment)
    audience = environment.create_recipients(1_500 if LONG_RUN else 80)
    send = environment.create_send(audience)
    environment.wait_for_texts(10, "the first texts")
    environment.valkey.run_redis_command("FLUSHALL")
    environment.wait_for_texts(20, "more texts")
    environment.valkey.stop()
    _check_pages_during_outage(environment, visitor, send)
    later = _send_from_the_page(visitor, environment.create_recipients(10))
    environment.valkey.delete_data()
    environment.valkey.start()
    environment.wait_until_settled(send, later, seconds=120)
    environment.wait(environment.is_ready, "the portal to be ready again")
    found = check_invariants(environment, send, audience.phone_numbers)
    full = max_per_second([call["at_ms"] for call in environment.simulator.calls()])
    # I7 is judged by the slots; the simulator notes an arrival when it comes to read it, late on a busy machine
    assert not LONG_RUN or full <= environment.rate * 2
    report.add("5 Valkey flushed, killed, empty", environment.engine, away_s=OUTAGE_SECONDS, busiest_second=full,
               rate=environment.rate, **found.figures())  # fmt: skip


def _check_pages_during_outage(stage: FaultEnvironment, visitor: AdminSession, send: int) -> None:
    ends = time.monotonic() + OUTAGE_SECONDS
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


def _send_from_the_page(visitor: AdminSession, audience: Audience) -> int:
    """Chosen, confirmed and sent as an administrator does it; the id of the send."""
    chosen = {
        "template": "notice",
        "audience_type": "external_ids",
        "external_ids": " ".join(map(str, audience.indexes)),
    }
    confirm = visitor.submit("/Admin/Sends/confirm", visitor.get("/Admin/Sends/new?template=notice"), **chosen)
    assert confirm.status_code == 200, confirm.text
    sent = visitor.submit("/Admin/Sends", confirm)
    assert "/Admin/Sends/" in sent.url, sent.text
    return int(sent.url.rpartition("/")[2])


@on_engine_in_short_run("sqlite")
def test_sends_go_on_while_valkey_answers_and_takes_no_writes(
    environment: FaultEnvironment, report: FaultReport
) -> None:
    """One that runs ends, and one made meanwhile is sent too; every light shows it, each worker says it once."""
    visitor = AdminSession(environment)
    for trouble, (begin, end) in _VALKEY_FAULTS.items():
        environment.wait(environment.is_ready, "the portal to be ready")
        running, later = (
            environment.create_recipients(40 if LONG_RUN else 24),
            environment.create_recipients(20 if LONG_RUN else 8),
        )
        environment.configure(rate=20)
        before = environment.simulator.count_texts()
        send = environment.create_send(running)
        environment.wait_for_texts(before + 5, "the first texts", send=send)
        said = environment.said().count("working without Redis")
        environment.valkey.run_redis_command(*begin)
        try:
            second = environment.create_send(later)
            environment.wait_until_settled(send, second)
            ready = visitor.get("/readyz")
            assert (ready.status_code, ready.json()["redis"]) == (503, "failing")
            assert "The queue takes no work." in visitor.get("/SysAdmin/Queues").text
            assert "portal_queue_down 1.0" in visitor.get("/metrics").text
        finally:
            environment.valkey.run_redis_command(*end)
        workers = sum(len(environment.supervisor.with_name(name)) for name in ("sms", "email", "work"))
        assert environment.said().count("working without Redis") - said <= workers
        report.add(
            f"5 Valkey {trouble}",
            environment.engine,
            **check_invariants(environment, send, running.phone_numbers).figures(),
        )
        check_invariants(environment, second, later.phone_numbers)


_VALKEY_FAULTS = {
    "full": (("CONFIG", "SET", "maxmemory", "1"), ("CONFIG", "SET", "maxmemory", "256mb")),
    "read-only": (("REPLICAOF", "127.0.0.1", "1"), ("REPLICAOF", "NO", "ONE")),
    "without rights": (("ACL", "SETUSER", "default", "-@write"), ("ACL", "SETUSER", "default", "+@all")),
}


@on_engines("sqlite")
def test_texts_keep_leaving_while_valkey_is_away(environment: FaultEnvironment, report: FaultReport) -> None:
    """The pace is kept: what the rate allows leaves with or without the doorbell."""
    environment.valkey.stop()
    for worker in environment.supervisor.with_name("sms"):
        environment.supervisor.signal_group(worker)
    send = environment.create_send(environment.create_recipients(40 if LONG_RUN else 24))
    with contextlib.suppress(AssertionError):
        environment.wait_for_texts(_TEXTS_WITHOUT_VALKEY, "texts to leave without Valkey", _DEADLINE_SECONDS)
    left = environment.simulator.count_texts()
    environment.valkey.start()
    environment.wait_until_settled(send)
    if left < _TEXTS_WITHOUT_VALKEY:
        raise KnownDefect(f"{left} texts left in {_DEADLINE_SECONDS} seconds without Valkey at {environment.rate:g}/s")
