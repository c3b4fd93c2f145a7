"""Choose the database engines a test runs on.

A test that uses a database runs on both engines. If it is marked `one_engine`, a hash of its name picks one, and its
parametrized variants alternate. `ENGINES=both` runs everything on both.
"""

import os
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator

import pytest

ENGINES = ("sqlite", "postgresql")
ONE_ENGINE_MARKER = "one_engine: the result does not depend on the database, so one engine is enough"


def select_items(items: Iterable[pytest.Item]) -> Iterator[pytest.Item]:
    """All items but the `one_engine` variants that are left to the other engine."""
    seen: Counter[tuple[str, str]] = Counter()
    for item in items:
        engine = engine_of(item)
        if engine is None or item.get_closest_marker("one_engine") is None or os.environ.get("ENGINES") == "both":
            yield item
            continue
        function = item.nodeid.partition("[")[0]
        index = zlib.crc32(function.encode()) + seen[function, engine]
        seen[function, engine] += 1
        if ENGINES[index % 2] == engine:
            yield item


def engine_of(item: pytest.Item) -> str | None:
    callspec = getattr(item, "callspec", None)
    return callspec.params.get("database_url") if callspec else None
