"""A limit on what strangers can make one process write."""

import time
from collections import deque
from threading import Lock


class WriteLimit:
    """At most `max_writes` in any `window_seconds`. Thread-safe."""

    def __init__(self, max_writes: int, window_seconds: float) -> None:
        self._lock, self._window_seconds = Lock(), window_seconds
        self._written: deque[float] = deque(maxlen=max_writes)

    def may_write(self) -> bool:
        """If so, it counts towards the limit."""
        now = time.monotonic()
        with self._lock:
            if len(self._written) == self._written.maxlen and now - self._written[0] < self._window_seconds:
                return False
            self._written.append(now)
            return True
