"""Every password hash of a process takes its turn, so that many at once do not take all the memory.

Argon2 takes 64 MiB and a tenth of a second each: two at a time are 128 MiB for a process, however many ask.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import BoundedSemaphore
from typing import Any

from portal.core.errors import Busy

MAX_CONCURRENT_HASHES, MAX_WAITING_HASHES, MAX_HASH_WAIT_SECONDS = 2, 10, 10.0
"""Ten of the 24 threads that `portal web` has may wait; the others are for pages."""


class HashLimiter:
    """`at_once` hold a turn, `waiting` wait for one. Whoever comes then is sent away with `Busy`."""

    def __init__(self, at_once: int, waiting: int, wait_seconds: float) -> None:
        self._running = BoundedSemaphore(at_once)
        self._admitted = BoundedSemaphore(at_once + waiting)
        self._wait_seconds = wait_seconds

    @contextmanager
    def reserve(self) -> Iterator[None]:
        if not self._admitted.acquire(blocking=False):
            raise _busy()
        try:
            if not self._running.acquire(timeout=self._wait_seconds):
                raise _busy()
            try:
                yield
            finally:
                self._running.release()
        finally:
            self._admitted.release()


_LIMITER = HashLimiter(MAX_CONCURRENT_HASHES, MAX_WAITING_HASHES, MAX_HASH_WAIT_SECONDS)


class LimitedPasswordContext:
    """A passlib context whose hashes take turns. Flask-Security calls it for all that it hashes, and so do we."""

    def __init__(self, context: Any, turns: HashLimiter = _LIMITER) -> None:
        self._context, self._turns = context, turns

    def hash(self, *arguments: Any, **options: Any) -> Any:
        with self._turns.reserve():
            return self._context.hash(*arguments, **options)

    def verify(self, *arguments: Any, **options: Any) -> Any:
        with self._turns.reserve():
            return self._context.verify(*arguments, **options)

    def __getattr__(self, name: str) -> Any:
        if name in ("encrypt", "verify_and_update"):
            raise AttributeError(f"{name} would hash past its turn")
        return getattr(self._context, name)


def _busy() -> Busy:
    return Busy("Many people are signing in right now. Nothing was changed: try again in a moment.")
