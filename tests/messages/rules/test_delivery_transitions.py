"""The table of delivery transitions, and that the code keeps to it."""

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

from portal.core.rules.delivery_status import STATES, WAITING, DeliveryState
from portal.messages.rules.delivery_transitions import TRANSITIONS, DeliveryEvent, source_states

PORTAL = Path(__file__).parents[3] / "portal"
TRANSITIONS_MODULE = "messages.tables.transitions"
EVENT_BY_CALL = {
    "transitions.claim": DeliveryEvent.CLAIM,
    "transitions.skip": DeliveryEvent.SKIP,
    "transitions.skip_waiting": DeliveryEvent.SKIP,
    "transitions.defer": DeliveryEvent.DEFER,
    "transitions.follow_send": DeliveryEvent.FOLLOW_SEND,
    "transitions.release": DeliveryEvent.RELEASE,
    "transitions.complete": DeliveryEvent.COMPLETE,
    "transitions.expire_leases": DeliveryEvent.LEASE_EXPIRES,
    "transitions.report": DeliveryEvent.REPORT,
    "transitions.report_many": DeliveryEvent.REPORT,
    "transitions.quarantine": DeliveryEvent.QUARANTINE,
    "attempts.start_attempts": DeliveryEvent.CLAIM,
    "attempts.complete": DeliveryEvent.COMPLETE,
    "attempts.release_claims": DeliveryEvent.RELEASE,
    "attempts.accept_many": DeliveryEvent.REPORT,
}


def _modules() -> Iterator[tuple[str, ast.Module]]:
    """Name below `portal` and syntax tree; without `demo`, which invents a past."""
    for path in sorted(PORTAL.rglob("*.py")):
        name = ".".join(path.relative_to(PORTAL).with_suffix("").parts)
        if not name.startswith("demo."):
            yield name, ast.parse(path.read_text())


def _stored_states(tree: ast.Module) -> Iterator[ast.expr]:
    """What the module gives to a column or an attribute called `state`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Dict):
            pairs = zip(node.keys, node.values, strict=True)
            yield from (value for key, value in pairs if isinstance(key, ast.Constant) and key.value == "state")
        elif isinstance(node, ast.keyword) and node.arg == "state":
            yield node.value
        elif isinstance(node, ast.Assign):
            yield from (node.value for target in node.targets if ast.unparse(target).endswith(".state"))


def test_no_event_leaves_a_final_state() -> None:
    assert not [source for transition in TRANSITIONS for source in transition.sources if STATES[source].final]


def test_each_stored_state_is_reachable() -> None:
    reached = {target for transition in TRANSITIONS if not transition.sources for target in transition.targets}
    for _ in STATES:
        reached |= {
            target for change in TRANSITIONS if reached.intersection(change.sources) for target in change.targets
        }
    assert reached == set(DeliveryState) - {DeliveryState.NO_RECEIPT}


def test_each_state_that_is_not_final_can_end() -> None:
    for state in set(DeliveryState) - {DeliveryState.NO_RECEIPT}:
        targets = [target for change in TRANSITIONS if state in change.sources for target in change.targets]
        assert STATES[state].final or any(STATES[target].final for target in targets), state


@pytest.mark.parametrize(
    ("event", "target"),
    [
        (DeliveryEvent.CLAIM, "ready"),
        (DeliveryEvent.COMPLETE, "delivered"),
        (DeliveryEvent.REPORT, "ready"),
        (DeliveryEvent.REPORT, "nonsense"),
    ],
)
def test_transition_outside_the_table_is_refused(event: DeliveryEvent, target: str) -> None:
    with pytest.raises(ValueError, match=f"No delivery becomes {target} by the event {event}"):
        source_states(event, target)


def test_only_a_message_that_waits_is_claimed_or_cancelled() -> None:
    assert source_states(DeliveryEvent.CLAIM, DeliveryState.SENDING) == (DeliveryState.READY,)
    assert set(source_states(DeliveryEvent.FOLLOW_SEND, DeliveryState.CANCELED)) == set(WAITING)


def test_only_the_named_modules_cause_an_event() -> None:
    callers: dict[DeliveryEvent, set[str]] = defaultdict(set)
    for name, tree in _modules():
        for call in (ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)):
            if call in EVENT_BY_CALL and name != "messages.tables.attempts":
                callers[EVENT_BY_CALL[call]].add(name)
    permitted: dict[DeliveryEvent, set[str]] = defaultdict(set)
    for transition in TRANSITIONS:
        permitted[transition.event] |= set(transition.modules)
    del permitted[DeliveryEvent.CREATE]
    assert callers == permitted


def test_no_other_module_writes_a_delivery_state() -> None:
    writers = {
        name
        for name, tree in _modules()
        for value in _stored_states(tree)
        if "DeliveryState." in ast.unparse(value) and name != TRANSITIONS_MODULE
    }
    assert writers == set(next(change.modules for change in TRANSITIONS if change.event is DeliveryEvent.CREATE))


def test_no_other_module_updates_the_state_of_rows() -> None:
    for name, tree in _modules():
        source = ast.unparse(tree)
        if name != TRANSITIONS_MODULE and ("update(Delivery)" in source or "update(_DELIVERY)" in source):
            updates = (node for node in ast.walk(tree) if isinstance(node, ast.Call))
            values = [call for call in updates if ast.unparse(call.func).endswith(".values")]
            assert not [call for call in values if any(keyword.arg == "state" for keyword in call.keywords)], name
