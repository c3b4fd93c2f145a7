"""Scenario 5: Valkey is flushed, killed, down, comes back empty, is full, or accepts no writes."""

import contextlib
import time

from tests.faults.support.engine_marks import on_engine_in_short_run, on_engines
from tests.faults.support.fault_environment import FaultEnvironment
from tests.faults.support.fault_report import FaultReport
from tests.faults.support.http_actors import AdminSession
from tests.faults.support.invariants import DefectFound, check_invariants, max_per_second
from tests.faults.support.send_driver import Audience
from tests.faults.support.timing import LONG_RUN

OUTAGE_SECONDS = 60 if LONG_RUN else 2
_DEADLINE_SECONDS = 15
_TEXTS_WITHOUT_VALKEY = 20 if LONG_RUN else 12


@on_engine_in_short_run("postgresql")
def test_a_send_survives_a_flushed_killed_and_emptied_valkey(
    environment: FaultEnvironment, report: FaultReport
) -> None:
    """Pages work during the outage, and a send created on them is kept."""
    admin = AdminSession(environment)
    audience = environment.sends.create_recipients(1_500 if LONG_RUN else 80)
    send = environment.sends.create(audience)
    environment.progress.wait_for_texts(10, "the first texts")
    environment.valkey.run_redis_command("FLUSHALL")
    environment.progress.wait_for_texts(20, "more texts")
    environment.valkey.stop()
    _check_pages_during_outage(environment, admin, send)
    later = _send_from_the_page(admin, environment.sends.create_recipients(10))
    environment.valkey.delete_data()
    environment.valkey.start()
    environment.progress.wait_until_settled(send, later, seconds=120)
    environment.wait(environment.is_ready, "the portal to be ready again")
    outcome = check_invariants(environment, send, audience.phone_numbers)
    busiest = max_per_second([call["at_ms"] for call in environment.simulator.calls()])
    # check_invariants checks the slots; arrivals at the simulator may be late on a busy machine
    assert not LONG_RUN or busiest <= environment.rate * 2
    report.add("5 Valkey flushed, killed, empty", environment.engine, outage_s=OUTAGE_SECONDS, busiest_second=busiest,
               rate=environment.rate, **outcome.figures())  # fmt: skip


def _check_pages_during_outage(environment: FaultEnvironment, admin: AdminSession, send: int) -> None:
    deadline = time.monotonic() + OUTAGE_SECONDS
    while time.monotonic() < deadline:
        for page in (
            "/Admin/Sends",
            f"/Admin/Sends/{send}",
            "/Admin/Communications",
            "/MyAccount/CommunicationsHistory",
        ):
            assert admin.get(page).status_code == 200, page
        ready = admin.get("/readyz")
        assert (ready.status_code, ready.json()["redis"], ready.json()["database"]) == (503, "failing", "ok")
        time.sleep(0.2)


def _send_from_the_page(admin: AdminSession, audience: Audience) -> int:
    """Fill in, confirm and create a send as an administrator does; returns its id."""
    fields = {
        "template": "notice",
        "audience_type": "external_ids",
        "external_ids": " ".join(map(str, audience.indexes)),
    }
    confirm = admin.submit("/Admin/Sends/confirm", admin.get("/Admin/Sends/new?template=notice"), **fields)
    assert confirm.status_code == 200, confirm.text
    created = admin.submit("/Admin/Sends", confirm)
    assert "/Admin/Sends/" in created.url, created.text
    return int(created.url.rpartition("/")[2])


@on_engine_in_short_run("sqlite")
def test_sends_continue_while_valkey_accepts_no_writes(environment: FaultEnvironment, report: FaultReport) -> None:
    """A running send and a new one both complete; every status page reports the fault, each worker logs it once."""
    admin = AdminSession(environment)
    for fault, (start_fault, end_fault) in _VALKEY_FAULTS.items():
        environment.wait(environment.is_ready, "the portal to be ready")
        running, later = (
            environment.sends.create_recipients(40 if LONG_RUN else 24),
            environment.sends.create_recipients(20 if LONG_RUN else 8),
        )
        environment.configure(rate=20)
        before = environment.simulator.count_texts()
        send = environment.sends.create(running)
        environment.progress.wait_for_texts(before + 5, "the first texts", send=send)
        warnings = environment.log_output().lower().count("redis unavailable; polling")
        environment.valkey.run_redis_command(*start_fault)
        try:
            second = environment.sends.create(later)
            environment.progress.wait_until_settled(send, second)
            ready = admin.get("/readyz")
            assert (ready.status_code, ready.json()["redis"]) == (503, "failing")
            assert "The queue accepts no work." in admin.get("/SysAdmin/Queues").text
            assert "portal_queue_down 1.0" in admin.get("/metrics").text
        finally:
            environment.valkey.run_redis_command(*end_fault)
        workers = sum(len(environment.supervisor.with_name(name)) for name in ("sms", "email", "work"))
        assert environment.log_output().lower().count("redis unavailable; polling") - warnings <= workers
        report.add(
            f"5 Valkey {fault}",
            environment.engine,
            **check_invariants(environment, send, running.phone_numbers).figures(),
        )
        check_invariants(environment, second, later.phone_numbers)


_VALKEY_FAULTS = {
    "full": (("CONFIG", "SET", "maxmemory", "1"), ("CONFIG", "SET", "maxmemory", "256mb")),
    "read-only": (("REPLICAOF", "127.0.0.1", "1"), ("REPLICAOF", "NO", "ONE")),
    "without write permission": (("ACL", "SETUSER", "default", "-@write"), ("ACL", "SETUSER", "default", "+@all")),
}


@on_engines("sqlite")
def test_texts_keep_leaving_while_valkey_is_down(environment: FaultEnvironment, report: FaultReport) -> None:
    """Workers poll the database, so texts leave without wake-ups from the queue."""
    environment.valkey.stop()
    for worker in environment.supervisor.with_name("sms"):
        environment.supervisor.signal_group(worker)
    send = environment.sends.create(environment.sends.create_recipients(40 if LONG_RUN else 24))
    with contextlib.suppress(AssertionError):
        environment.progress.wait_for_texts(_TEXTS_WITHOUT_VALKEY, "texts to leave without Valkey", _DEADLINE_SECONDS)
    count = environment.simulator.count_texts()
    environment.valkey.start()
    environment.progress.wait_until_settled(send)
    if count < _TEXTS_WITHOUT_VALKEY:
        raise DefectFound(f"{count} texts left in {_DEADLINE_SECONDS} seconds without Valkey at {environment.rate:g}/s")
