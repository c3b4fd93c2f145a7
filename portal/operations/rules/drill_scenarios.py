"""Failure drills: what goes wrong on purpose at the simulator, and what should come of it all the same."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Drill:
    """`rules` and `receipts` are the simulator's faults; `kills_worker` is for the one with the text in flight."""

    key: str
    name: str
    description: str
    duration_seconds: int
    rules: tuple[dict[str, Any], ...] = ()
    receipts: dict[str, Any] = field(default_factory=dict)
    kills_worker: bool = False


_DRILLS = (
    Drill(
        "burst",
        "Twilio is asked too much (429)",
        "Three answers say that Twilio is busy. The text waits, then goes once.",
        20,
        rules=({"kind": "429", "retry_after": 1, "count": 3, "call": "create"},),
    ),
    Drill(
        "timeout",
        "The answer is lost",
        "Twilio takes the text, but its answer never comes. The portal looks in Twilio's list before it does anything.",
        45,
        rules=({"kind": "timeout_after", "seconds": 120, "count": 1, "call": "create"},),
        receipts={"drop": 1},
    ),
    Drill(
        "lost",
        "The receipts are lost",
        "No receipt comes. The portal asks Twilio what became of the text.",
        30,
        receipts={"drop": 1},
    ),
    Drill(
        "twice",
        "Every receipt comes twice, in the wrong order",
        "Receipts that repeat or come late change nothing that is settled.",
        15,
        receipts={"duplicate": 1, "reorder": True},
    ),
    Drill(
        "killed",
        "The worker is killed",
        "The worker dies with the text in flight. Another one finds out what became of it.",
        100,
        rules=({"kind": "timeout_after", "seconds": 120, "count": 1, "call": "create"},),
        receipts={"delay_ms": 15_000},
        kills_worker=True,
    ),
)
DRILLS: dict[str, Drill] = {drill.key: drill for drill in _DRILLS}


def drill_faults(drill: Drill, number: str) -> dict[str, Any]:
    """The simulator's faults for a drill with one number, so that other texts meet nothing of it."""
    faults: dict[str, Any] = {"rules": [{**rule, "to": number} for rule in drill.rules]}
    return faults | ({"receipts": drill.receipts} if drill.receipts else {})


def drill_number(index: int) -> str:
    """A number of the simulator's for the drill, another one each time: +1 202 555 0170 to 0179."""
    return f"+1202555017{index % 10}"
