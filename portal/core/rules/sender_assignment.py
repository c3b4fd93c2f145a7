"""Assign recipients evenly to several sending numbers, each recipient always to the same one."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

BUCKET_DIGITS = 2
_BUCKETS = 10**BUCKET_DIGITS
"""A recipient's bucket is the last two digits of the phone number, which SQL can compute as well."""
_STRIDE = 37
"""Spreads consecutive phone numbers, such as those of one office, over different sending numbers."""


@dataclass(frozen=True)
class SenderAssignment:
    """`sender_keys` are the sending numbers in use, in order."""

    sender_keys: tuple[str, ...]

    def sender_for(self, phone_number: str, preferred_sender: str | None) -> str:
        """`preferred_sender` is the sending number that the recipient texted START to, and so expects texts from."""
        if preferred_sender in self.sender_keys:
            return preferred_sender
        return _sender_by_bucket(self.sender_keys)[int(phone_number[-BUCKET_DIGITS:])]

    def largest_share(self, groups: Iterable[tuple[str, str | None, int]]) -> float:
        """Share of traffic on the busiest sender, which finishes last.

        A group is the last digits of recipients' phone numbers, their preferred sender, and the count of recipients.
        """
        texts = dict.fromkeys(self.sender_keys, 0)
        for digits, preferred_sender, count in groups:
            texts[self.sender_for(digits, preferred_sender)] += count
        total = sum(texts.values())
        return max(texts.values()) / total if total else 1 / len(self.sender_keys)

    def buckets_of(self, keys: Collection[str]) -> list[str]:
        """The buckets (last digits) of these senders; a preferred sender overrides the bucket."""
        senders = enumerate(_sender_by_bucket(self.sender_keys))
        return [f"{bucket:0{BUCKET_DIGITS}}" for bucket, key in senders if key in keys]


@lru_cache(maxsize=32)
def _sender_by_bucket(keys: Sequence[str]) -> tuple[str, ...]:
    """The key of each bucket. A key added at the end takes its share from the others, and no other bucket moves."""
    buckets = [keys[0]] * _BUCKETS
    for count, key in enumerate(keys[1:], 2):
        for _ in range(_BUCKETS // count):
            largest = max(keys[: count - 1], key=buckets.count)
            buckets[buckets.index(largest)] = key
    return tuple(buckets[bucket * _STRIDE % _BUCKETS] for bucket in range(_BUCKETS))
