"""How many requests may be in flight at once: as many as there can be, fewer after the provider said too many."""


class ConcurrencyLimit:
    """Halved when the provider says too many, at most once for as many answers as it allows; one more after each
    round of good ones. Twilio publishes no figure (docs/twilio.md#concurrent-requests)."""

    def __init__(self, most: int) -> None:
        self._maximum = most
        self._current = most
        self._successes = 0
        self._responses_to_ignore = 0

    def capacity(self, in_flight: int) -> int:
        """How many more may be claimed. At its highest twice as many, so that no request waits for the next claim."""
        return (2 * self._maximum if self._current == self._maximum else self._current) - in_flight

    def record_response(self, too_many: bool) -> None:
        """What one answer says. Those already in flight when it was lowered say nothing new."""
        self._responses_to_ignore = max(0, self._responses_to_ignore - 1)
        if too_many and not self._responses_to_ignore:
            self._responses_to_ignore = self._current
            self._current = max(1, self._current // 2)
            self._successes = 0
        elif not too_many:
            self._successes += 1
            if self._successes >= self._current:
                self._current, self._successes = min(self._maximum, self._current + 1), 0
