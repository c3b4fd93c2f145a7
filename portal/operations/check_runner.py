"""Run many checks at once, each in a thread of its own, and stop waiting after a timeout."""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from threading import Thread
from typing import cast

import structlog
from flask import Flask, current_app
from sqlalchemy.exc import SQLAlchemyError

from portal.core.extensions import db
from portal.core.translation import Language, current_language, use_language
from portal.core.translation import gettext as _
from portal.operations.rules.checks import CheckResult, CheckSpec, unknown_results

CHECK_TIMEOUT_SECONDS = 8.0
_log = structlog.get_logger(__name__)
Clock = Callable[[], int]
"""Returns the time in milliseconds since 1970."""


@dataclass(frozen=True)
class CheckTask:
    """`run` returns one result per spec. `timeout_is_failure`: a timeout fails the check; otherwise it is unknown."""

    specs: tuple[CheckSpec, ...]
    run: Callable[[], Iterable[CheckResult]]
    timeout_is_failure: bool = False


def run_checks(tasks: Sequence[CheckTask], seconds: float = CHECK_TIMEOUT_SECONDS) -> list[CheckResult]:
    """All results, in the order of the tasks. Never raises: a check that raises or times out says so."""
    app = cast(Flask, current_app._get_current_object())  # type: ignore[attr-defined]
    results: dict[int, list[CheckResult]] = {}
    language = current_language()
    db.session.rollback()  # no transaction stays open during the calls
    # Not a pool: the process waits for a pool's threads when it ends, and one of these may hang.
    threads = [
        Thread(target=_run, args=(app, language, index, task, results), daemon=True, name="diagnostics")
        for index, task in enumerate(tasks)
    ]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + seconds
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    return [result for index, task in enumerate(tasks) for result in results.get(index) or _timed_out(task, seconds)]


def _run(app: Flask, language: Language, index: int, task: CheckTask, results: dict[int, list[CheckResult]]) -> None:
    """Sets the task's entry of `results`."""
    with app.app_context(), use_language(language):
        try:
            results[index] = list(task.run())
        except SQLAlchemyError:
            results[index] = unknown_results(task.specs, _("The database, which this check reads, did not answer."))
        except Exception as error:
            _log.exception("diagnostic check failed", check=task.specs[0].name)
            reason = _("The check itself failed (%(error)s). The log says where.", error=type(error).__name__)
            results[index] = unknown_results(task.specs, reason)
        finally:
            db.session.remove()


def _timed_out(task: CheckTask, seconds: float) -> list[CheckResult]:
    reason = _("No answer within %(seconds)s seconds.", seconds=f"{seconds:g}")
    if task.timeout_is_failure:
        return [
            spec.failing(reason, _("Find out why it is slow, and run the diagnostics again.")) for spec in task.specs
        ]
    return unknown_results(task.specs, reason)
