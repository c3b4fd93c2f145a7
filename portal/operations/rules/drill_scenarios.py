"""Failure drills: the fault that the simulator causes, and what should happen despite it."""

from dataclasses import dataclass, field
from typing import Any

from portal.core.translation import N_


@dataclass(frozen=True)
class Drill:
    """`rules` and `receipts` are the simulator's faults; `kills_worker` kills the worker that is sending the text."""

    key: str
    name: str
    description: str
    duration_seconds: int
    rules: tuple[dict[str, Any], ...] = ()
    receipts: dict[str, Any] = field(default_factory=dict)
    kills_worker: bool = False


_LOST_RESPONSE = {"kind": "timeout_after", "seconds": 120, "count": 1, "call": "create"}
_DRILLS = [
    Drill(
        "burst",
        N_("Twilio is busy (429)"),
        N_("Twilio answers three times that it is busy. The text waits and is then sent once."),
        20,
        rules=({"kind": "429", "retry_after": 1, "count": 3, "call": "create"},),
    ),
    Drill(
        "timeout",
        N_("The response is lost"),
        N_(
            "Twilio accepts the text, but its response never arrives. The portal searches Twilio’s list before it acts."
        ),
        45,
        rules=(_LOST_RESPONSE,),
        receipts={"drop": 1},
    ),
    Drill(
        "lost",
        N_("The receipts are lost"),
        N_("No receipt arrives. The portal asks Twilio for the status of the text."),
        30,
        receipts={"drop": 1},
    ),
    Drill(
        "twice",
        N_("Every receipt arrives twice and out of order"),
        N_("Repeated and late receipts do not change a final state."),
        15,
        receipts={"duplicate": 1, "reorder": True},
    ),
    Drill(
        "killed",
        N_("The worker is killed"),
        N_("The worker dies while it sends the text. Another worker finds out what became of it."),
        100,
        rules=(_LOST_RESPONSE,),
        receipts={"delay_ms": 15_000},
        kills_worker=True,
    ),
]
DRILLS = {drill.key: drill for drill in _DRILLS}


def drill_faults(drill: Drill, phone_number: str) -> dict[str, Any]:
    """The simulator's faults for a drill, limited to one phone number so that other texts are not affected."""
    faults: dict[str, Any] = {"rules": [{**rule, "to": phone_number} for rule in drill.rules]}
    return faults | ({"receipts": drill.receipts} if drill.receipts else {})


def drill_number(index: int) -> str:
    """A phone number of the simulator, a different one for each drill: +1 202 555 0170 to 0179."""
    return f"+1202555017{index % 10}"
