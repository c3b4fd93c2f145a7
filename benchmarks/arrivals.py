"""What the simulator's log says of pace. Times are milliseconds, in order."""

import json
import urllib.request
from typing import Any

WARM_UP_MS = 500
"""Connections are opened first, which makes the first texts late and the time after them look too short."""

Log = list[dict[str, Any]]


def create_calls(simulator_url: str, after: int = 0) -> Log:
    """The calls that handed in a text, each with `at_ms`, `to` and its number `n`; those after call `after`."""
    with urllib.request.urlopen(f"{simulator_url}/simulator/log?after={after}", timeout=60) as answer:
        calls: Log = json.load(answer)["create_calls"]
    return [call for call in calls if call["kind"] == "create"]


def arrivals_ms(simulator_url: str) -> list[int]:
    return sorted(int(call["at_ms"]) for call in create_calls(simulator_url))


def share_of_rate(at_ms: list[int], rate: float, seconds: float) -> float:
    """Of what was permitted, from the first text after `WARM_UP_MS` to the first that comes `seconds` later.

    Between n texts lie n-1 intervals, so the text that closes the last one is not counted. When no text comes that
    late, the last interval is left open and the whole of the time counts.
    """
    counted = [moment for moment in at_ms if moment >= at_ms[0] + WARM_UP_MS]
    ends_ms = counted[0] + seconds * 1000
    closing = next((place for place, moment in enumerate(counted) if moment >= ends_ms), len(counted) - 1)
    return closing / (rate * (max(counted[closing], ends_ms) - counted[0]) / 1000)


def rate_per_second(at_ms: list[int]) -> float:
    """From the first text to the last."""
    return (len(at_ms) - 1) / ((at_ms[-1] - at_ms[0]) / 1000)


def busiest_second(at_ms: list[int]) -> int:
    """The most texts in any second, wherever it begins."""
    most, first = 0, 0
    for last, moment in enumerate(at_ms):
        while at_ms[first] <= moment - 1000:
            first += 1
        most = max(most, last - first + 1)
    return most
