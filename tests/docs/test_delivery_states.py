"""The diagram of delivery states in docs/architecture.md is drawn from the table of transitions."""

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from portal.core.rules.delivery_status import DeliveryState
from portal.messages.rules.delivery_transitions import TRANSITIONS

ARCHITECTURE = Path(__file__).parents[2] / "docs" / "architecture.md"
GROUPS = {
    "waiting": (DeliveryState.READY, DeliveryState.DEFERRED, DeliveryState.PAUSED),
    "in_flight": (DeliveryState.SENDING, DeliveryState.UNKNOWN),
    "on_its_way": (DeliveryState.ACCEPTED, DeliveryState.SENT),
    "reported": (DeliveryState.DELIVERED, DeliveryState.UNDELIVERED, DeliveryState.FAILED),
}
"""Drawn as boxes, so that one arrow stands for those of all states in it."""


def draw_diagram() -> str:
    targets: dict[tuple[str, str], list[str]] = defaultdict(list)
    for transition in TRANSITIONS:
        for source in _boxed(transition.sources) or ["[*]"]:
            targets[transition.event, source] += transition.targets
    arrows: dict[tuple[str, str], list[str]] = defaultdict(list)
    for (event, source), states in targets.items():
        for target in _boxed(states):
            arrows[source, target].append(event)
    boxes = [line for name, states in GROUPS.items() for line in _box(name, states)]
    lines = [f"    {source} --> {target}: {', '.join(events)}" for (source, target), events in arrows.items()]
    return "\n".join(["```mermaid", "stateDiagram-v2", *boxes, *lines, "```"])


def _boxed(states: Iterable[str]) -> list[str]:
    """The states, with the name of a box in place of all its states."""
    names: list[str] = list(states)
    for name, members in GROUPS.items():
        if set(members) <= set(names):
            names = [name, *(state for state in names if state not in members)]
    return names


def _box(name: str, states: Iterable[str]) -> list[str]:
    return [f"    state {name} {{", *(f"        {state}" for state in states), "    }"]


def test_the_diagram_shows_the_table_of_transitions() -> None:
    assert draw_diagram() in ARCHITECTURE.read_text(encoding="utf-8"), f"Replace the diagram by:\n{draw_diagram()}"
