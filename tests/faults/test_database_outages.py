"""Scenarios 6, 7 and 20: the database is locked, restarted, crowded, full, or cut off from a worker."""

import resource
import time

import requests

from tests.faults.support.engine_marks import on_engine_in_short_run, on_engines
from tests.faults.support.fault_environment import LONG_RUN, FaultEnvironment
from tests.faults.support.fault_report import FaultReport
from tests.faults.support.http_actors import AdminSession
from tests.faults.support.interruptible_proxy import InterruptibleProxy
from tests.faults.support.invariants import KnownDefect, check_invariants

LOCKED_SECONDS = 12 if LONG_RUN else 2
_PAGE_TIMEOUT_SECONDS = 9
"""Seconds; a callback gives up after ten, so a page that waits for one takes longer."""

_PAGES = ("/Admin/Sends", "/Admin/Communications", "/MyAccount/CommunicationsHistory", "/Admin/Accounts")


@on_engine_in_short_run("sqlite")
def test_pages_can_be_read_and_texts_wait_while_somebody_holds_the_database(
    environment: FaultEnvironment, report: FaultReport
) -> None:
    """A lock from outside, longer in the long form than the product itself is willing to wait."""
    visitor = AdminSession(environment)
    audience = environment.create_recipients(400 if LONG_RUN else 60)
    environment.simulator.set_faults(receipts={"drop": 1})
    send = environment.create_send(audience)
    environment.wait_for_texts(10, "the first texts", send=send)
    with environment.database.locked():
        slowest = _read_pages_for(visitor, LOCKED_SECONDS)
    environment.wait_until_settled(send)
    found = check_invariants(environment, send, audience.phone_numbers)
    report.add("6 database locked", environment.engine, response_seconds=LOCKED_SECONDS, pages=len(visitor.response_seconds),
               slowest_page_s=slowest, **found.figures())  # fmt: skip


def _read_pages_for(visitor: AdminSession, seconds: float) -> float:
    """One page after another; how long the slowest took."""
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        for page in _PAGES:
            assert visitor.get(page).status_code == 200, page
        time.sleep(0.1)
    return max(visitor.response_seconds)


@on_engines("sqlite")
def test_pages_can_be_read_while_callbacks_wait_for_the_database(environment: FaultEnvironment) -> None:
    visitor = AdminSession(environment)
    send = environment.create_send(environment.create_recipients(60))
    environment.wait_for_texts(10, "the first texts", send=send)
    with environment.database.locked():
        ends = time.monotonic() + 3
        try:
            while time.monotonic() < ends:
                visitor.get("/Admin/Sends", timeout=_PAGE_TIMEOUT_SECONDS)
        except requests.Timeout as error:
            raise KnownDefect(
                f"a page took more than {_PAGE_TIMEOUT_SECONDS} seconds while callbacks waited"
            ) from error


@on_engines("postgresql")
def test_postgresql_crashes_and_runs_out_of_connections_in_the_middle_of_a_send(
    environment: FaultEnvironment, report: FaultReport
) -> None:
    """Every page says what is wrong while it lasts, and none shows a stack trace."""
    visitor = AdminSession(environment)
    audience = environment.create_recipients(600 if LONG_RUN else 60)
    send = environment.create_send(audience)
    for number in range(1, 4 if LONG_RUN else 2):
        environment.wait_for_texts((20 if LONG_RUN else 10) * number, "texts to leave", send=send)
        environment.database.restart()
        environment.expire_scheduler_lease()  # a scheduler that fell with the database may have come back before it
    environment.wait_for_texts(70 if LONG_RUN else 30, "texts after the restart", send=send)
    with environment.database.connections_exhausted() as taken:
        answers = [visitor.get("/Admin/Sends") for _ in range(5)]
        time.sleep(0.5)
    assert all(answer.status_code in (200, 500, 503) and "Traceback" not in answer.text for answer in answers)
    environment.wait_until_settled(send)
    environment.wait(environment.is_ready, "the portal to be ready again")
    assert visitor.get("/Admin/Sends").status_code == 200
    found = check_invariants(environment, send, audience.phone_numbers)
    report.add("6 restart, no connections left", environment.engine, connections_taken=taken, **found.figures())


@on_engines("sqlite")
def test_a_full_disk_lets_no_text_leave_that_is_not_written_down(
    environment: FaultEnvironment, report: FaultReport
) -> None:
    """No process may write anything more to a file: what is claimed cannot be committed."""
    audience = environment.create_recipients(300 if LONG_RUN else 60)
    send = environment.create_send(audience)
    environment.wait_for_texts(10, "the first texts", send=send)
    so_far = len(environment.said())
    before = _limit_file_size(environment, 0)
    try:
        environment.wait(lambda: "disk" in environment.said()[so_far:], "somebody to complain", send=send)
        left = environment.simulator.count_texts()
        time.sleep(1)
        assert environment.simulator.count_texts() <= left + environment.rate
        written = {row[0] for row in environment.database.rows("SELECT sent_to FROM attempt")}
        assert {text["to"] for text in environment.simulator.accepted_texts()} <= written
    finally:
        _limit_file_size(environment, before)
    environment.wait_until_settled(send)
    found = check_invariants(environment, send, audience.phone_numbers)
    report.add("7 disk full", environment.engine, **found.figures())


def _limit_file_size(stage: FaultEnvironment, size: int) -> int:
    """For every process of ours that runs now; what the limit was."""
    before = resource.RLIM_INFINITY
    for process in stage.supervisor.all_running():
        if process.name != "web":
            before, hard = resource.prlimit(process.pid, resource.RLIMIT_FSIZE)
            resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (size, hard))
    return before


@on_engines("postgresql")
def test_a_worker_cut_off_from_its_database_after_the_request_leaves_a_doubt_that_settles(
    environment: FaultEnvironment, report: FaultReport
) -> None:
    """The wire is cut while requests are under way: what Twilio answers cannot be recorded, and callbacks prove it."""
    send, audience = environment.prepare_send(10)
    wire = InterruptibleProxy(environment.database.socket)
    try:
        worker = environment.start_process(
            "sms", PORTAL_DATABASE_URL=f"postgresql://postgres:@127.0.0.1:{wire.port}/portal"
        )
        environment.wait_until_idle()
        environment.simulator.set_faults(latency_ms=500)
        environment.configure(rate=1000)
        for number in audience.phone_numbers:
            environment.make_due(number, wake=False)
        environment.enqueue_drain_jobs()
        environment.wait(environment.simulator.calls, "the first request", send=send)
        wire.partition()
        environment.scale_processes()
        environment.wait_until_settled(send)
        proved = _confirmed_by_callback(environment, send)
        wire.heal()
        environment.supervisor.stop_for_good(worker)
        found = check_invariants(environment, send, audience.phone_numbers)
        assert proved, "cut too late to mean anything"
        report.add("20 worker cut off after 201", environment.engine, proved_by_callback=proved, **found.figures())
    finally:
        wire.close()


def _confirmed_by_callback(stage: FaultEnvironment, send: int) -> int:
    """How many texts are known to be accepted though nobody wrote down that Twilio said so."""
    query = """SELECT count(*) FROM attempt a JOIN delivery d ON d.id = a.delivery_id
               WHERE d.send_id = :send AND d.channel = 'sms' AND a.outcome = 'accepted' AND a.http_status IS NULL"""
    return int(stage.database.value(query, send=send))
