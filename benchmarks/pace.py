"""How much of the permitted rate one worker uses, and how full its busiest second is."""

from benchmarks.stage import arrivals_ms, fill, portal, simulator
from portal.actions.sms_drain import drain_sms

RATES = (1, 3, 12, 100, 250)
SECONDS = 10


def run() -> list[str]:
    lines = ["| permitted segments/s | share used over 10 s | busiest sliding second |", "|---|---|---|"]
    for rate in RATES:
        with simulator() as url, portal(url):
            fill(rate * (SECONDS + 3), rate)
            drain_sms(seconds=SECONDS + 1)
            lines.append(_line(rate, arrivals_ms(url)))
    return lines


def _line(rate: int, at_ms: list[int]) -> str:
    start = at_ms[0]
    used = sum(1 for moment in at_ms if moment < start + SECONDS * 1000) / (rate * SECONDS)
    return f"| {rate} | {used:.3f} | {busiest(at_ms)} |"


def busiest(at_ms: list[int]) -> int:
    """The most texts in any second, wherever it begins."""
    most, first = 0, 0
    for last, moment in enumerate(at_ms):
        while at_ms[first] <= moment - 1000:
            first += 1
        most = max(most, last - first + 1)
    return most
