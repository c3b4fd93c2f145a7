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

from portal.domain.diagnosis import Check, Subject
from portal.extensions import db

PATIENCE_SECONDS = 8.0
_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Examination:
    """`run` gives a line for each of the subjects. `silence_fails`: no answer in time is an answer too."""

    subjects: tuple[Subject, ...]
    run: Callable[[], Iterable[Check]]
    silence_fails: bool = False


def examine(examinations: Sequence[Examination], seconds: float = PATIENCE_SECONDS) -> list[Check]:
    """The lines of all, in order. Never raises: what breaks or is too slow is unknown, and says why."""
    app = cast(Flask, current_app._get_current_object())  # type: ignore[attr-defined]
    answers: SimpleQueue[tuple[int, list[Check]]] = SimpleQueue()
    db.session.rollback()  # nothing is held open while others are asked
    for place, examination in enumerate(examinations):
        # Not a pool: its threads are waited for when the process ends, and one of these may hang.
        Thread(target=_run, args=(app, place, examination, answers), daemon=True, name="doctor").start()
    found = _collect(answers, len(examinations), time.monotonic() + seconds)
    return [
        line
        for place, examination in enumerate(examinations)
        for line in found.get(place) or _late(examination, seconds)
    ]


def _run(app: Flask, place: int, examination: Examination, answers: SimpleQueue[tuple[int, list[Check]]]) -> None:
    with app.app_context():
        try:
            lines = list(examination.run())
        except SQLAlchemyError:
            lines = _all_unknown(examination, "The database did not answer, and this is read from it.")
        except Exception as error:
            _log.exception("a check of the doctor broke", check=examination.subjects[0].name)
            lines = _all_unknown(examination, f"The check itself broke ({type(error).__name__}); the log says where.")
        finally:
            db.session.remove()
    answers.put((place, lines))


def _collect(answers: SimpleQueue[tuple[int, list[Check]]], count: int, ends: float) -> dict[int, list[Check]]:
    found: dict[int, list[Check]] = {}
    while len(found) < count:
        try:
            place, lines = answers.get(timeout=max(0.0, ends - time.monotonic()))
        except Empty:
            break
        found[place] = lines
    return found


def _all_unknown(examination: Examination, why: str) -> list[Check]:
    return [subject.unknown(why) for subject in examination.subjects]


def _late(examination: Examination, seconds: float) -> list[Check]:
    words = f"No answer within {seconds:g} seconds."
    if examination.silence_fails:
        return [
            subject.failing(words, "See why it is slow, and run the doctor again.") for subject in examination.subjects
        ]
    return _all_unknown(examination, words)
