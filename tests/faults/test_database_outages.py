"""Scenarios 6, 7 and 20: the database is locked, restarted, out of connections, full or unreachable."""

import resource
import time

import requests

from tests.faults.support.engine_marks import on_engine_in_short_run, on_engines
from tests.faults.support.fault_databases import PostgresFaultDatabase
from tests.faults.support.fault_environment import FaultEnvironment
from tests.faults.support.fault_report import FaultReport
from tests.faults.support.http_actors import AdminSession
from tests.faults.support.interruptible_proxy import InterruptibleProxy
from tests.faults.support.invariants import DefectFound, check_invariants
from tests.faults.support.timing import LONG_RUN

LOCKED_SECONDS = 12 if LONG_RUN else 2
_PAGE_TIMEOUT_SECONDS = 9
"""A callback waits up to ten seconds for the database; a page that waits behind it takes longer than this."""

_PAGES = ("/Admin/Sends", "/Admin/Communications", "/MyAccount/CommunicationsHistory", "/Admin/Accounts")


@on_engine_in_short_run("sqlite")
def test_pages_work_and_texts_wait_while_the_database_is_locked(
    environment: FaultEnvironment, report: FaultReport
) -> None:
    """In the long form the lock lasts longer than the portal's own lock timeout."""
    admin = AdminSession(environment)
    audience = environment.sends.create_recipients(400 if LONG_RUN else 60)
    environment.simulator.set_faults(receipts={"drop": 1})
    send = environment.sends.create(audience)
    environment.progress.wait_for_texts(10, "the first texts", send=send)
    with environment.database.locked():
        slowest = _read_pages_for(admin, LOCKED_SECONDS)
    environment.progress.wait_until_settled(send)
    outcome = check_invariants(environment, send, audience.phone_numbers)
    report.add("6 database locked", environment.engine, seconds=LOCKED_SECONDS,
               pages=len(admin.response_seconds), slowest_page_s=slowest, **outcome.figures())  # fmt: skip


def _read_pages_for(admin: AdminSession, seconds: float) -> float:
    """Load one page after another; returns the seconds of the slowest."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        for page in _PAGES:
            assert admin.get(page).status_code == 200, page
        time.sleep(0.1)
    return max(admin.response_seconds)


@on_engines("sqlite")
def test_pages_work_while_callbacks_wait_for_the_database(environment: FaultEnvironment) -> None:
    admin = AdminSession(environment)
    send = environment.sends.create(environment.sends.create_recipients(60))
    environment.progress.wait_for_texts(10, "the first texts", send=send)
    with environment.database.locked():
        deadline = time.monotonic() + 3
        try:
            while time.monotonic() < deadline:
                admin.get("/Admin/Sends", timeout=_PAGE_TIMEOUT_SECONDS)
        except requests.Timeout as error:
            raise DefectFound(
                f"a page took more than {_PAGE_TIMEOUT_SECONDS} seconds while callbacks waited"
            ) from error


@on_engines("postgresql")
def test_send_survives_crashed_or_exhausted_postgresql(environment: FaultEnvironment, report: FaultReport) -> None:
    """No page shows a stack trace meanwhile."""
    admin = AdminSession(environment)
    audience = environment.sends.create_recipients(600 if LONG_RUN else 60)
    send = environment.sends.create(audience)
    for crash in range(1, 4 if LONG_RUN else 2):
        environment.progress.wait_for_texts((20 if LONG_RUN else 10) * crash, "texts to leave", send=send)
        environment.database.restart()
        environment.expire_scheduler_lease()  # the scheduler may have restarted before the database
    environment.progress.wait_for_texts(70 if LONG_RUN else 30, "texts after the restart", send=send)
    assert isinstance(environment.database, PostgresFaultDatabase)
    with environment.database.connections_exhausted() as connections:
        responses = [admin.get("/Admin/Sends") for _ in range(5)]
        time.sleep(0.5)
    assert all(response.status_code in (200, 500, 503) for response in responses)
    assert not any("Traceback" in response.text for response in responses)
    environment.progress.wait_until_settled(send)
    environment.wait(environment.is_ready, "the portal to be ready again")
    assert admin.get("/Admin/Sends").status_code == 200
    outcome = check_invariants(environment, send, audience.phone_numbers)
    report.add("6 restart, no connections left", environment.engine, connections=connections, **outcome.figures())


@on_engines("sqlite")
def test_no_text_leaves_unrecorded_when_the_disk_is_full(environment: FaultEnvironment, report: FaultReport) -> None:
    """No process can write to files any more, so no claim can be committed."""
    audience = environment.sends.create_recipients(300 if LONG_RUN else 60)
    send = environment.sends.create(audience)
    environment.progress.wait_for_texts(10, "the first texts", send=send)
    log_length = len(environment.log_output())
    previous_limit = _limit_file_size(environment, 0)
    try:
        environment.wait(lambda: "disk" in environment.log_output()[log_length:], "an error about the disk", send=send)
        count = environment.simulator.count_texts()
        time.sleep(1)
        assert environment.simulator.count_texts() <= count + environment.rate
        recorded = {row[0] for row in environment.database.rows("SELECT destination FROM attempt")}
        assert {text["to"] for text in environment.simulator.accepted_texts()} <= recorded
    finally:
        _limit_file_size(environment, previous_limit)
    environment.progress.wait_until_settled(send)
    outcome = check_invariants(environment, send, audience.phone_numbers)
    report.add("7 disk full", environment.engine, **outcome.figures())


def _limit_file_size(environment: FaultEnvironment, size: int) -> int:
    """Limit the file size of every running process except the web server; returns the previous limit."""
    previous_limit = resource.RLIM_INFINITY
    for process in environment.supervisor.all_running():
        if process.name != "web":
            previous_limit, hard_limit = resource.prlimit(process.pid, resource.RLIMIT_FSIZE)
            resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (size, hard_limit))
    return previous_limit


@on_engines("postgresql")
def test_texts_of_a_worker_without_database_are_resolved(environment: FaultEnvironment, report: FaultReport) -> None:
    """The connection is cut during the requests: Twilio's responses cannot be recorded, but callbacks confirm them."""
    send, audience = environment.sends.prepare(10)
    assert isinstance(environment.database, PostgresFaultDatabase)
    proxy = InterruptibleProxy(environment.database.socket)
    try:
        worker = environment.start_process(
            "sms", PORTAL_DATABASE_URL=f"postgresql://postgres:@127.0.0.1:{proxy.port}/portal"
        )
        environment.wait_until_idle()
        environment.simulator.set_faults(latency_ms=500)
        environment.configure(rate=1000)
        for phone_number in audience.phone_numbers:
            environment.sends.make_due(phone_number, wake=False)
        environment.sends.enqueue_drain_jobs()
        environment.wait(environment.simulator.calls, "the first request", send=send)
        proxy.partition()
        environment.scale_processes()
        environment.progress.wait_until_settled(send)
        confirmed = _confirmed_by_callback(environment, send)
        proxy.heal()
        environment.supervisor.stop_for_good(worker)
        outcome = check_invariants(environment, send, audience.phone_numbers)
        assert confirmed, "the connection was cut too late to test anything"
        report.add(
            "20 worker cut off after 201", environment.engine, confirmed_by_callback=confirmed, **outcome.figures()
        )
    finally:
        proxy.close()


def _confirmed_by_callback(environment: FaultEnvironment, send: int) -> int:
    """The count of texts known to be accepted although no worker recorded Twilio's response."""
    query = """SELECT count(*) FROM attempt a JOIN delivery d ON d.id = a.delivery_id
               WHERE d.send_id = :send AND d.channel = 'sms' AND a.outcome = 'accepted' AND a.http_status IS NULL"""
    return int(environment.database.value(query, send=send))
