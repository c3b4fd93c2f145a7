"""Imports by a worker: each is done once, whatever happens to the worker, to its job or to Redis."""

import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from redis import Redis

from portal.consent import background_imports
from portal.consent.background_imports import ImportSteps
from portal.consent.tables.import_tasks import ImportTask, ImportTaskKind, ImportTaskState
from portal.consent.tables.ledger import count_events
from portal.core.actor import SHELL_ACTOR
from portal.core.audit_log import entries_about
from portal.core.errors import ActionRefused
from portal.core.extensions import db
from portal.delivery import maintenance
from portal.gateways import queue
from tests.conftest import portal_environ
from tests.support import inbound_helpers, scenario, servers

NUMBERS = "\n".join(scenario.phone_number(index) for index in range(3))
WORKER = "import sys; from jobs import worker; sys.exit(worker.run_worker('work'))"
WORKER_KILLED_IN_AN_IMPORT = f"""
import os, signal
from portal.consent import recording
recording.recompute = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
{WORKER}
"""
"""It dies inside the transaction, when the events are written."""


@pytest.fixture(autouse=True)
def emptied_redis(redis_url: str, app: Flask) -> Iterator[Redis]:
    servers.flush_valkey(redis_url)
    with Redis.from_url(redis_url) as connection:
        yield connection


@pytest.fixture
def environment(
    database_url: str, redis_url: str, simulator_process: servers.SimulatorClient, tmp_path: Path
) -> dict[str, str]:
    return portal_environ(database_url, redis_url, simulator_process, tmp_path)


def create_opt_outs() -> int:
    return background_imports.create_task(ImportTaskKind.OPT_OUTS, NUMBERS, SHELL_ACTOR, scenario.now_ms())


def run(task_id: int) -> None:
    background_imports.run_task(task_id, scenario.now_ms)


def stored(task_id: int) -> ImportTask:
    db.session.rollback()
    return db.session.get_one(ImportTask, task_id)


def wait_until_done(task_id: int) -> None:
    servers.wait_for(lambda: stored(task_id).state == ImportTaskState.DONE, "the import to be done", 90)


def assert_done_once(task_id: int) -> None:
    task = stored(task_id)
    assert (task.state, task.content) == (ImportTaskState.DONE, None)
    assert task.result == "3 numbers were opted out.", "not counted as opted out before"
    assert count_events() == 3
    assert all(inbound_helpers.stored_consent_state(number)[1] for number in NUMBERS.split())


@pytest.mark.timeout(300)  # two workers start
def test_import_killed_in_the_middle_is_done_once_by_the_next_worker(environment: dict[str, str]) -> None:
    task_id = create_opt_outs()
    with servers.running_process([sys.executable, "-c", WORKER_KILLED_IN_AN_IMPORT], environment) as killed:
        assert killed.wait(90) == -9
    assert (stored(task_id).state, stored(task_id).attempts) == (ImportTaskState.PENDING, 1)
    assert count_events() == 0
    with servers.running_process([sys.executable, "-c", WORKER], environment):
        wait_until_done(task_id)
    assert_done_once(task_id)


def test_import_is_done_by_its_job(environment: dict[str, str], redis_url: str) -> None:
    with servers.running_process([sys.executable, "-c", WORKER], environment):
        servers.wait_for(
            lambda: Redis.from_url(redis_url).smembers("rq:workers:work"), "the worker to wait for jobs", 90
        )
        task_id = create_opt_outs()
        wait_until_done(task_id)
    assert_done_once(task_id)


def test_import_is_done_without_redis(environment: dict[str, str]) -> None:
    task_id = create_opt_outs()
    without_redis = environment | {"PORTAL_REDIS_URL": "redis://127.0.0.1:1/0"}
    with servers.running_process([sys.executable, "-c", WORKER], without_redis):
        wait_until_done(task_id)
    assert_done_once(task_id)


def test_scheduler_finds_an_import_whose_job_was_lost(emptied_redis: Redis, redis_url: str) -> None:
    task_id = create_opt_outs()
    servers.flush_valkey(redis_url)
    maintenance.enqueue_waiting(scenario.now_ms())
    assert queue.open_queue("work", emptied_redis).job_ids == [queue.job_id(background_imports.JOB, task_id)]


def test_two_workers_with_one_import_do_it_once(app: Flask) -> None:
    task_id = create_opt_outs()
    barrier = threading.Barrier(2)

    def work() -> None:
        with app.app_context():
            barrier.wait()
            run(task_id)

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    run(task_id)
    assert_done_once(task_id)


def test_worker_that_comes_second_undoes_its_part(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both have begun, and the first ends while the second still reads."""
    task_id = create_opt_outs()
    import_opt_outs = background_imports.IMPORTS[ImportTaskKind.OPT_OUTS]

    def import_late(*arguments: object) -> None:
        monkeypatch.setitem(background_imports.IMPORTS, ImportTaskKind.OPT_OUTS, import_opt_outs)
        run(task_id)
        import_opt_outs.run(*arguments)

    monkeypatch.setitem(background_imports.IMPORTS, ImportTaskKind.OPT_OUTS, ImportSteps(import_late))
    run(task_id)
    assert_done_once(task_id)


def test_refused_import_says_why_and_imports_nothing() -> None:
    inbound_helpers.new_account("P-1")
    lines = [f"{account},{scenario.phone_number(1)},2026-02-01,Form" for account in ("P-1", "P-9")]
    text = "\n".join(["external_id,phone,opted_in_at,evidence", *lines])
    task_id = background_imports.create_task(ImportTaskKind.OPT_INS, text, SHELL_ACTOR, scenario.now_ms())
    run(task_id)
    task = stored(task_id)
    assert (task.state, task.content) == (ImportTaskState.REFUSED, None)
    assert "Nothing was imported: 1 mistake found." in task.result
    assert "There is no account with the number P-9." in task.result
    assert count_events() == 0
    with pytest.raises(ActionRefused, match="already over"):
        background_imports.retry_task(task_id, 1, scenario.now_ms())


def test_import_that_always_breaks_is_given_up_until_somebody_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    task_id = create_opt_outs()

    def breaks(*_: object) -> None:
        raise ValueError

    with monkeypatch.context() as patch:
        patch.setitem(background_imports.IMPORTS, ImportTaskKind.OPT_OUTS, ImportSteps(breaks))
        for _ in range(5):
            with pytest.raises(ValueError):  # noqa: PT011  any error
                run(task_id)
            assert background_imports.unfinished_task_ids() == [task_id]
        run(task_id)
    assert stored(task_id).state == ImportTaskState.FAILED
    assert background_imports.unfinished_task_ids() == []
    background_imports.retry_task(task_id, inbound_helpers.new_account("A-1"), scenario.now_ms())
    assert [entry.action for entry in entries_about(f"import {task_id}", ["job_retried"])] == ["job_retried"]
    run(task_id)
    assert_done_once(task_id)
