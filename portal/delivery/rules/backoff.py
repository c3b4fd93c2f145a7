"""Wait longer after each failed try."""

from collections.abc import Sequence


def backoff_ms(seconds: Sequence[int], tries: int) -> int:
    """The wait after this many tries, at least one; the last wait repeats."""
    return seconds[min(max(tries, 1), len(seconds)) - 1] * 1000
