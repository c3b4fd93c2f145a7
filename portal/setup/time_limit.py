"""Ask something outside for at most so long."""

from collections.abc import Callable
from queue import Empty, SimpleQueue
from threading import Thread
from typing import TypeVar

T = TypeVar("T")


class OutOfTime(Exception):
    """There was no answer in time. Whatever comes later is ignored."""


def within(seconds: float, ask: Callable[[], T]) -> T:
    """What `ask` returns or raises. Raises `OutOfTime`: of a name server, a timeout of the socket knows nothing.

    `ask` runs in a thread of its own, without an app context, which a hanging server may keep for a while.
    """
    answers: SimpleQueue[tuple[T | None, Exception | None]] = SimpleQueue()

    def run() -> None:
        try:
            answers.put((ask(), None))
        except Exception as error:
            answers.put((None, error))

    Thread(target=run, daemon=True, name="setup").start()
    try:
        answer, error = answers.get(timeout=max(0.0, seconds))
    except Empty as empty:
        raise OutOfTime from empty
    if error is not None:
        raise error
    return answer  # type: ignore[return-value]
