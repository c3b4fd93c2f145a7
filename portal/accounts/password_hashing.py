"""Limit the password hashes that one process computes at a time, to bound its memory.

An Argon2 hash takes 64 MiB and about 0.1 seconds. Two at a time take 128 MiB, however many requests arrive.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from threading import Condition
from typing import Any

from portal.core.errors import Busy
from portal.core.translation import gettext as _

MAX_CONCURRENT_HASHES, MAX_WAITING_HASHES, MAX_HASH_WAIT_SECONDS = 2, 10, 10.0
"""Of the 24 threads of `portal web`, ten may wait for a hash of strangers, and ten for one of people on known devices;
the others keep serving pages."""
_is_known_device: ContextVar[bool] = ContextVar("is_known_device", default=False)


@contextmanager
def hashing_for(is_known_device: bool) -> Iterator[None]:
    """Hashes of somebody on a known device go before those of strangers, however many of these there are."""
    token = _is_known_device.set(is_known_device)
    try:
        yield
    finally:
        _is_known_device.reset(token)


class HashLimiter:
    """Run up to `concurrent` hashes and let `waiting` more queue. Any further caller gets `Busy`."""

    def __init__(self, concurrent: int, waiting: int, wait_seconds: float) -> None:
        self._concurrent, self._max_waiting, self._wait_seconds = concurrent, waiting, wait_seconds
        self._changed, self._running = Condition(), 0
        self._waiting = Counter[bool]()

    def require_room(self) -> None:
        """Raises `Busy` if `reserve` would at once."""
        is_known = _is_known_device.get()
        if not self._may_start(is_known) and self._waiting[is_known] >= self._max_waiting:
            raise _busy()

    @contextmanager
    def reserve(self) -> Iterator[None]:
        with self._changed:
            self._wait(_is_known_device.get())
            self._running += 1
        try:
            yield
        finally:
            with self._changed:
                self._running -= 1
                self._changed.notify_all()

    def _wait(self, is_known: bool) -> None:
        self.require_room()
        self._waiting[is_known] += 1
        try:
            if not self._changed.wait_for(lambda: self._may_start(is_known), self._wait_seconds):
                raise _busy()
        finally:
            self._waiting[is_known] -= 1

    def _may_start(self, is_known: bool) -> bool:
        return self._running < self._concurrent and (is_known or not self._waiting[True])


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

    def require_room(self) -> None:
        """Raises `Busy`, so that whoever gets no turn costs nothing more."""
        self._limiter.require_room()

    def __getattr__(self, name: str) -> Any:
        if name in ("encrypt", "verify_and_update"):
            raise AttributeError(f"{name} would bypass the limiter")
        return getattr(self._context, name)


def _busy() -> Busy:
    return Busy(_("Many people are signing in right now. Nothing was changed. Try again in a moment."))
