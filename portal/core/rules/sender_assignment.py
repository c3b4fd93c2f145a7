"""Which of several sending numbers writes to whom: always the same one, and as many people to each of them."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

BUCKET_DIGITS = 2
_BUCKETS = 10**BUCKET_DIGITS
"""People are shared out by the last two digits of their numbers, which databases can tell as well as we can."""
_STRIDE = 37
"""Numbers that follow one another, as those of one office do, go to different ones."""


@dataclass(frozen=True)
class SenderAssignment:
    """`keys` are the sending numbers in use, in their order."""

    sender_keys: tuple[str, ...]

    def sender_for(self, number: str, preferred_sender: str | None) -> str:
        """`known` is the number of ours that the person texted START to, and so expects texts from."""
        return (
            preferred_sender
            if preferred_sender in self.sender_keys
            else _sender_by_bucket(self.sender_keys)[int(number[-BUCKET_DIGITS:])]
        )

    def largest_share(self, groups: Iterable[tuple[str, str | None, int]]) -> float:
        """Of the number that has the most to send: all the others are done before it is.

        The groups have the last digits of people's numbers, the number of ours that they know, and how many they are.
        """
        texts = dict.fromkeys(self.sender_keys, 0)
        for digits, known, number in groups:
            texts[self.sender_for(digits, known)] += number
        total = sum(texts.values())
        return max(texts.values()) / total if total else 1 / len(self.sender_keys)

    def buckets_of(self, keys: Collection[str]) -> list[str]:
        """The last digits of those who get their texts from these, unless they know another number of ours."""
        return [f"{lot:0{BUCKET_DIGITS}}" for lot, key in enumerate(_sender_by_bucket(self.sender_keys)) if key in keys]


@lru_cache(maxsize=32)
def _sender_by_bucket(keys: Sequence[str]) -> tuple[str, ...]:
    """The key of each lot. One that is added at the end takes its part from the others; nobody else moves."""
    places = [keys[0]] * _BUCKETS
    for count, key in enumerate(keys[1:], 2):
        for _ in range(_BUCKETS // count):
            most = max(keys[: count - 1], key=places.count)
            places[places.index(most)] = key
    return tuple(places[lot * _STRIDE % _BUCKETS] for lot in range(_BUCKETS))
