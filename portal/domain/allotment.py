"""Which of several sending numbers writes to whom: always the same one, and as many people to each of them."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

LOT_DIGITS = 2
_LOTS = 10**LOT_DIGITS
"""People are shared out by the last two digits of their numbers, which databases can tell as well as we can."""
_STRIDE = 37
"""Numbers that follow one another, as those of one office do, go to different ones."""


@dataclass(frozen=True)
class Allotment:
    """`keys` are the sending numbers in use, in their order."""

    keys: tuple[str, ...]

    def key_for(self, number: str, known: str | None) -> str:
        """`known` is the number of ours that the person texted START to, and so expects texts from."""
        return known if known in self.keys else _share(self.keys)[int(number[-LOT_DIGITS:])]

    def largest_share(self, groups: Iterable[tuple[str, str | None, int]]) -> float:
        """Of the number that has the most to send: all the others are done before it is.

        The groups have the last digits of people's numbers, the number of ours that they know, and how many they are.
        """
        texts = dict.fromkeys(self.keys, 0)
        for digits, known, number in groups:
            texts[self.key_for(digits, known)] += number
        total = sum(texts.values())
        return max(texts.values()) / total if total else 1 / len(self.keys)

    def lots_of(self, keys: Collection[str]) -> list[str]:
        """The last digits of those who get their texts from these, unless they know another number of ours."""
        return [f"{lot:0{LOT_DIGITS}}" for lot, key in enumerate(_share(self.keys)) if key in keys]


@lru_cache(maxsize=32)
def _share(keys: Sequence[str]) -> tuple[str, ...]:
    """The key of each lot. One that is added at the end takes its part from the others; nobody else moves."""
    places = [keys[0]] * _LOTS
    for count, key in enumerate(keys[1:], 2):
        for _ in range(_LOTS // count):
            most = max(keys[: count - 1], key=places.count)
            places[places.index(most)] = key
    return tuple(places[lot * _STRIDE % _LOTS] for lot in range(_LOTS))
