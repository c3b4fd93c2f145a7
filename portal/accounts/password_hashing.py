"""Limit the password hashes that one process computes at a time, to bound its memory.

An Argon2 hash takes 64 MiB and about 0.1 seconds. Two at a time take 128 MiB, however many requests arrive.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import BoundedSemaphore
from typing import Any

from portal.core.errors import Busy
from portal.core.translation import gettext as _

MAX_CONCURRENT_HASHES, MAX_WAITING_HASHES, MAX_HASH_WAIT_SECONDS = 2, 10, 10.0
"""Of the 24 threads of `portal web`, ten may wait for a hash; the others keep serving pages."""


class HashLimiter:
    """Run up to `concurrent` hashes and let `waiting` more queue. Any further caller gets `Busy`."""

    def __init__(self, concurrent: int, waiting: int, wait_seconds: float) -> None:
        self._running = BoundedSemaphore(concurrent)
        self._admitted = BoundedSemaphore(concurrent + waiting)
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
    """A passlib context whose hashes go through the limiter. Flask-Security and our own code both hash through it."""

    def __init__(self, context: Any, limiter: HashLimiter = _LIMITER) -> None:
        self._context, self._limiter = context, limiter

    def hash(self, *arguments: Any, **options: Any) -> Any:
        with self._limiter.reserve():
            return self._context.hash(*arguments, **options)

    def verify(self, *arguments: Any, **options: Any) -> Any:
        with self._limiter.reserve():
            return self._context.verify(*arguments, **options)

    def __getattr__(self, name: str) -> Any:
        if name in ("encrypt", "verify_and_update"):
            raise AttributeError(f"{name} would bypass the limiter")
        return getattr(self._context, name)


def _busy() -> Busy:
    return Busy(_("Many people are signing in right now. Nothing was changed. Try again in a moment."))
