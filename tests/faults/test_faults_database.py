"""Scenarios 6, 7 and 20: the database is locked, restarted, crowded, full, or cut off from a worker."""

import resource
import time

import requests
from fault_engines import on, turn_of
from fault_oracle import Defect, judge
from fault_proxy import Wire
from fault_report import Report
from fault_stage import LONG, Stage
from fault_visitor import Visitor

LOCKED_SECONDS = 12 if LONG else 2
_NO_LONGER = 9
"""Seconds; a callback gives up after ten, so a page that waits for one takes longer."""

_PAGES = ("/Admin/Sends", "/Admin/Communications", "/MyAccount/CommunicationsHistory", "/Admin/Accounts")


@turn_of("sqlite")
def test_pages_can_be_read_and_texts_wait_while_somebody_holds_the_database(stage: Stage, report: Report) -> None:
    """A lock from outside, longer in the long form than the product itself is willing to wait."""
    visitor = Visitor(stage)
    audience = stage.people(400 if LONG else 60)
    stage.outside.faults(receipts={"drop": 1})
    send = stage.send(audience)
    stage.texts_leave(10, "the first texts", send=send)
    with stage.database.locked():
        slowest = _read_for(visitor, LOCKED_SECONDS)
    stage.settled(send)
    found = judge(stage, send, audience.numbers)
    report.add("6 database locked", stage.engine, seconds=LOCKED_SECONDS, pages=len(visitor.seconds),
               slowest_page_s=slowest, **found.figures())  # fmt: skip


def _read_for(visitor: Visitor, seconds: float) -> float:
    """One page after another; how long the slowest took."""
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        for page in _PAGES:
            assert visitor.get(page).status_code == 200, page
        time.sleep(0.1)
    return max(visitor.seconds)


@on("sqlite")
def test_pages_can_be_read_while_callbacks_wait_for_the_database(stage: Stage) -> None:
    visitor = Visitor(stage)
    send = stage.send(stage.people(60))
    stage.texts_leave(10, "the first texts", send=send)
    with stage.database.locked():
        ends = time.monotonic() + 3
        try:
            while time.monotonic() < ends:
                visitor.get("/Admin/Sends", timeout=_NO_LONGER)
        except requests.Timeout as error:
            raise Defect(f"a page took more than {_NO_LONGER} seconds while callbacks waited") from error


@on("postgresql")
def test_postgresql_crashes_and_runs_out_of_connections_in_the_middle_of_a_send(stage: Stage, report: Report) -> None:
    """Every page says what is wrong while it lasts, and none shows a stack trace."""
    visitor = Visitor(stage)
    audience = stage.people(600 if LONG else 60)
    send = stage.send(audience)
    for number in range(1, 4 if LONG else 2):
        stage.texts_leave((20 if LONG else 10) * number, "texts to leave", send=send)
        stage.database.restart()
        stage.free_lease()  # a scheduler that fell with the database may have come back before it
    stage.texts_leave(70 if LONG else 30, "texts after the restart", send=send)
    with stage.database.crowded() as taken:
        answers = [visitor.get("/Admin/Sends") for _ in range(5)]
        time.sleep(0.5)
    assert all(answer.status_code in (200, 500, 503) and "Traceback" not in answer.text for answer in answers)
    stage.settled(send)
    stage.wait(stage.is_ready, "the portal to be ready again")
    assert visitor.get("/Admin/Sends").status_code == 200
    found = judge(stage, send, audience.numbers)
    report.add("6 restart, no connections left", stage.engine, connections_taken=taken, **found.figures())


@on("sqlite")
def test_a_full_disk_lets_no_text_leave_that_is_not_written_down(stage: Stage, report: Report) -> None:
    """No process may write anything more to a file: what is claimed cannot be committed."""
    audience = stage.people(300 if LONG else 60)
    send = stage.send(audience)
    stage.texts_leave(10, "the first texts", send=send)
    so_far = len(stage.said())
    before = _limit_files(stage, 0)
    try:
        stage.wait(lambda: "disk" in stage.said()[so_far:], "somebody to complain", send=send)
        left = stage.outside.count()
        time.sleep(1)
        assert stage.outside.count() <= left + stage.rate
        written = {row[0] for row in stage.database.rows("SELECT sent_to FROM attempt")}
        assert {text["to"] for text in stage.outside.texts()} <= written
    finally:
        _limit_files(stage, before)
    stage.settled(send)
    found = judge(stage, send, audience.numbers)
    report.add("7 disk full", stage.engine, **found.figures())


def _limit_files(stage: Stage, size: int) -> int:
    """For every process of ours that runs now; what the limit was."""
    before = resource.RLIM_INFINITY
    for process in stage.keeper.all():
        if process.name != "web":
            before, hard = resource.prlimit(process.pid, resource.RLIMIT_FSIZE)
            resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (size, hard))
    return before


@on("postgresql")
def test_a_worker_cut_off_from_its_database_after_the_request_leaves_a_doubt_that_settles(
    stage: Stage, report: Report
) -> None:
    """The wire is cut while requests are under way: what Twilio answers cannot be recorded, and callbacks prove it."""
    send, audience = stage.prepared(10)
    wire = Wire(stage.database.socket)
    try:
        worker = stage.start("sms", PORTAL_DATABASE_URL=f"postgresql://postgres:@127.0.0.1:{wire.port}/portal")
        stage.idle()
        stage.outside.faults(latency_ms=500)
        stage.configure(rate=1000)
        for number in audience.numbers:
            stage.release(number, ring=False)
        stage.ring()
        stage.wait(stage.outside.calls, "the first request", send=send)
        wire.cut()
        stage.crew()
        stage.settled(send)
        proved = _proved(stage, send)
        wire.mend()
        stage.keeper.dismiss(worker)
        found = judge(stage, send, audience.numbers)
        assert proved, "cut too late to mean anything"
        report.add("20 worker cut off after 201", stage.engine, proved_by_callback=proved, **found.figures())
    finally:
        wire.close()


def _proved(stage: Stage, send: int) -> int:
    """How many texts are known to be accepted though nobody wrote down that Twilio said so."""
    query = """SELECT count(*) FROM attempt a JOIN delivery d ON d.id = a.delivery_id
               WHERE d.send_id = :send AND d.channel = 'sms' AND a.outcome = 'accepted' AND a.http_status IS NULL"""
    return int(stage.database.value(query, send=send))
