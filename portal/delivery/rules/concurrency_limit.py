"""Limit the requests in flight: start at the maximum, and reduce it when the provider says “too many requests”."""


class ConcurrencyLimit:
    """Additive increase, multiplicative decrease. Twilio publishes no limit (docs/twilio.md#concurrent-requests).

    “Too many requests” halves the limit, at most once per round of responses; each round of good responses adds one.
    """

    def __init__(self, maximum: int) -> None:
        self._maximum = maximum
        self._current = maximum
        self._successes = 0
        self._responses_to_ignore = 0

    def capacity(self, in_flight: int) -> int:
        """How many more texts to claim. At the maximum twice as many, so no request waits for the next claim."""
        return (2 * self._maximum if self._current == self._maximum else self._current) - in_flight

    def record_response(self, too_many: bool) -> None:
        """Responses to requests in flight when the limit was lowered are ignored."""
        self._responses_to_ignore = max(0, self._responses_to_ignore - 1)
        if too_many and not self._responses_to_ignore:
            self._responses_to_ignore = self._current
            self._current = max(1, self._current // 2)
            self._successes = 0
        elif not too_many:
            self._successes += 1
            if self._successes >= self._current:
                self._current, self._successes = min(self._maximum, self._current + 1), 0
