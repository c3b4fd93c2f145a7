"""Arrival times and rates, computed from the simulator's request log. Times are sorted milliseconds."""

import json
import urllib.request
from typing import Any

WARM_UP_MS = 500
"""Skipped at the start: opening connections delays the first texts and makes the following interval look short."""

Log = list[dict[str, Any]]


def create_calls(simulator_url: str, after: int = 0) -> Log:
    """The requests that created a text after request number `after`, each with `at_ms`, `to` and its number `n`."""
    with urllib.request.urlopen(f"{simulator_url}/simulator/log?after={after}", timeout=60) as answer:
        calls: Log = json.load(answer)["log"]
    return [call for call in calls if call["kind"] == "create"]


def arrivals_ms(simulator_url: str) -> list[int]:
    return sorted(int(call["at_ms"]) for call in create_calls(simulator_url))


def share_of_rate(at_ms: list[int], rate: float, seconds: float) -> float:
    """Share of the permitted rate used from the first text after `WARM_UP_MS` to the first text `seconds` later.

    n texts have n-1 intervals between them, so the text that ends the last interval is not counted. If no text
    arrives that late, the last interval stays open and the whole period counts.
    """
    counted = [arrival for arrival in at_ms if arrival >= at_ms[0] + WARM_UP_MS]
    end_ms = counted[0] + seconds * 1000
    last = next((index for index, arrival in enumerate(counted) if arrival >= end_ms), len(counted) - 1)
    return last / (rate * (max(counted[last], end_ms) - counted[0]) / 1000)


def rate_per_second(at_ms: list[int]) -> float:
    return (len(at_ms) - 1) / ((at_ms[-1] - at_ms[0]) / 1000)


def busiest_second(at_ms: list[int]) -> int:
    """The highest count of texts in any sliding second."""
    highest, first = 0, 0
    for last, arrival in enumerate(at_ms):
        while at_ms[first] <= arrival - 1000:
            first += 1
        highest = max(highest, last - first + 1)
    return highest
