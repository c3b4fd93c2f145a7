"""Many checks at once, each in a thread of its own, and an end to waiting for them."""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from threading import Thread
from typing import cast

import structlog
from flask import Flask, current_app
from sqlalchemy.exc import SQLAlchemyError

from portal.core.extensions import db
from portal.operations.rules.checks import CheckResult, CheckSpec

CHECK_TIMEOUT_SECONDS = 8.0
_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class CheckTask:
    """`run` gives a line for each of the subjects. `timeout_is_failure`: no answer in time is an answer too."""

    subjects: tuple[CheckSpec, ...]
    run: Callable[[], Iterable[CheckResult]]
    timeout_is_failure: bool = False


def run_checks(examinations: Sequence[CheckTask], seconds: float = CHECK_TIMEOUT_SECONDS) -> list[CheckResult]:
    """The lines of all, in order. Never raises: what breaks or is too slow is unknown, and says why."""
    app = cast(Flask, current_app._get_current_object())  # type: ignore[attr-defined]
    answers: SimpleQueue[tuple[int, list[CheckResult]]] = SimpleQueue()
    db.session.rollback()  # nothing is held open while others are asked
    for index, examination in enumerate(examinations):
        # Not a pool: its threads are waited for when the process ends, and one of these may hang.
        Thread(target=_run, args=(app, index, examination, answers), daemon=True, name="doctor").start()
    found = _collect(answers, len(examinations), time.monotonic() + seconds)
    return [
        line
        for index, examination in enumerate(examinations)
        for line in found.get(index) or _timed_out(examination, seconds)
    ]


def _run(app: Flask, index: int, examination: CheckTask, answers: SimpleQueue[tuple[int, list[CheckResult]]]) -> None:
    with app.app_context():
        try:
            lines = list(examination.run())
        except SQLAlchemyError:
            lines = _unknown_results(examination, "The database did not answer, and this is read from it.")
        except Exception as error:
            _log.exception("a diagnostic check raised an exception", check=examination.subjects[0].name)
            lines = _unknown_results(
                examination, f"The check itself broke ({type(error).__name__}); the log says where."
            )
        finally:
            db.session.remove()
    answers.put((index, lines))


def _collect(
    answers: SimpleQueue[tuple[int, list[CheckResult]]], count: int, ends: float
) -> dict[int, list[CheckResult]]:
    found: dict[int, list[CheckResult]] = {}
    while len(found) < count:
        try:
            index, lines = answers.get(timeout=max(0.0, ends - time.monotonic()))
        except Empty:
            break
        found[index] = lines
    return found


def _unknown_results(examination: CheckTask, why: str) -> list[CheckResult]:
    return [spec.unknown(why) for spec in examination.subjects]


def _timed_out(examination: CheckTask, seconds: float) -> list[CheckResult]:
    words = f"No answer within {seconds:g} seconds."
    if examination.timeout_is_failure:
        return [spec.failing(words, "See why it is slow, and run the doctor again.") for spec in examination.subjects]
    return _unknown_results(examination, words)
