"""How many requests may be in flight at once: as many as there can be, fewer after the provider said too many."""


class Ceiling:
    """Halved when the provider says too many, at most once for as many answers as it allows; one more after each
    round of good ones. Twilio publishes no figure (docs/twilio.md#concurrent-requests)."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._now = most
        self._good = 0
        self._deaf = 0

    def capacity(self, in_flight: int) -> int:
        """How many more may be claimed. At its highest twice as many, so that no request waits for the next claim."""
        return (2 * self._most if self._now == self._most else self._now) - in_flight

    def heed(self, too_many: bool) -> None:
        """What one answer says. Those already in flight when it was lowered say nothing new."""
        self._deaf = max(0, self._deaf - 1)
        if too_many and not self._deaf:
            self._deaf = self._now
            self._now = max(1, self._now // 2)
            self._good = 0
        elif not too_many:
            self._good += 1
            if self._good >= self._now:
                self._now, self._good = min(self._most, self._now + 1), 0
