"""On which databases a test runs that asks for one: on both, unless what it proves is decided by neither.

Marked with `one_engine`, a test runs on one of them; which one, its name says, and of its variants every other one runs
on the other. So both databases see all rooms, at half the price. `ENGINES=both` runs everything on both.
"""

import os
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator

import pytest

ENGINES = ("sqlite", "postgresql")
ONE_ENGINE_MARKER = "one_engine: no database has a say in what this proves, so that one of them is enough"


def select_items(items: Iterable[pytest.Item]) -> Iterator[pytest.Item]:
    """All but those of one engine whose turn is the other's."""
    seen: Counter[tuple[str, str]] = Counter()
    for item in items:
        engine = engine_of(item)
        if engine is None or item.get_closest_marker("one_engine") is None or os.environ.get("ENGINES") == "both":
            yield item
            continue
        function = item.nodeid.partition("[")[0]
        turn = zlib.crc32(function.encode()) + seen[function, engine]
        seen[function, engine] += 1
        if ENGINES[turn % 2] == engine:
            yield item


def engine_of(item: pytest.Item) -> str | None:
    called = getattr(item, "callspec", None)
    return called.params.get("database_url") if called else None
