"""The hash chain of the ledger: every change, removal and insertion is located."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from portal.consent.rules.hash_chain import GENESIS_DIGEST, event_digest, find_break

DETERMINISTIC = settings(derandomize=True, deadline=None, max_examples=50)
WORDS = st.text(max_size=30)
EVENTS = st.fixed_dictionaries(
    {
        "number": WORDS,
        "account_id": st.none() | st.integers(1, 9),
        "kind": st.sampled_from(["start", "stop"]),
        "text": WORDS,
        "detail": st.dictionaries(st.text(max_size=5), st.integers() | WORDS | st.booleans(), max_size=3),
        "occurred_at_ms": st.integers(0, 2**53),
    }
)


def build_chain(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """As the ledger holds them."""
    previous, found = GENESIS_DIGEST, []
    for index, event in enumerate(events, 1):
        row = {**event, "id": index, "previous_digest": previous}
        row["digest"] = previous = event_digest(previous, row)
        found.append(row)
    return found


CHAINS = st.lists(EVENTS, min_size=1, max_size=8).map(build_chain)


def last_digest(chain: list[dict[str, Any]]) -> str:
    return chain[-1]["digest"] if chain else GENESIS_DIGEST


@DETERMINISTIC
@given(CHAINS)
def test_untouched_chain_is_valid(chain: list[dict[str, Any]]) -> None:
    assert find_break(chain, last_digest(chain)) is None
    assert find_break([], GENESIS_DIGEST) is None


@DETERMINISTIC
@given(CHAINS, st.data())
def test_changed_value_is_found_at_its_event(chain: list[dict[str, Any]], data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(chain) - 1))
    name = data.draw(st.sampled_from(sorted(set(chain[0]) - {"previous_digest", "digest", "id"})))
    changed = [dict(event) for event in chain]
    changed[index][name] = "forged" if changed[index][name] != "forged" else "forged twice"
    chain_break = find_break(changed, last_digest(chain))
    assert chain_break is not None
    assert (chain_break.event_id, "changed" in chain_break.reason) == (index + 1, True)


@DETERMINISTIC
@given(CHAINS, st.data())
def test_change_with_new_digest_is_found_at_the_next_event(chain: list[dict[str, Any]], data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(chain) - 1))
    changed = [dict(event) for event in chain]
    changed[index]["text"] += "!"
    changed[index]["digest"] = event_digest(changed[index]["previous_digest"], changed[index])
    chain_break = find_break(changed, last_digest(chain))
    assert chain_break is not None
    assert chain_break.event_id == min(index + 2, len(chain))


@DETERMINISTIC
@given(CHAINS, st.data())
def test_a_missing_event_is_found(chain: list[dict[str, Any]], data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(chain) - 1))
    chain_break = find_break([*chain[:index], *chain[index + 1 :]], last_digest(chain))
    assert chain_break is not None
    assert "missing" in chain_break.reason
    assert chain_break.event_id == (index + 2 if index + 1 < len(chain) else index)


@DETERMINISTIC
@given(CHAINS, EVENTS)
def test_event_inserted_at_the_end_is_found(chain: list[dict[str, Any]], event: dict[str, Any]) -> None:
    longer = build_chain([*({name: row[name] for name in event} for row in chain), event])
    assert find_break(longer, last_digest(chain)) is not None


@DETERMINISTIC
@given(CHAINS)
def test_rewritten_ledger_does_not_match_the_known_digest(chain: list[dict[str, Any]]) -> None:
    rewritten = build_chain([{**event, "text": event["text"] + "!"} for event in chain])
    assert find_break(rewritten, last_digest(rewritten)) is None
    chain_break = find_break(rewritten, last_digest(chain))
    assert chain_break is not None
    assert chain_break.event_id == len(chain)


def test_swapped_events_are_found() -> None:
    first, second = build_chain([{"text": "one"}, {"text": "two"}])
    chain_break = find_break([second, first], second["digest"])
    assert chain_break is not None
    assert chain_break.event_id == 2


def test_digest_does_not_depend_on_key_order() -> None:
    """Also across versions: a chain that was written once must hold for ever."""
    event = {"id": 1, "text": "arrêt 😀", "detail": {"b": 1, "a": None}, "previous_digest": GENESIS_DIGEST}
    other_way_round = {"detail": {"a": None, "b": 1}, "text": "arrêt 😀", "id": 1, "digest": "of no account"}
    assert event_digest(GENESIS_DIGEST, event) == event_digest(GENESIS_DIGEST, other_way_round)
    assert event_digest(GENESIS_DIGEST, event) == "43e417355689ae8b2e7ebb7a081b01bd750dfe99b58e2480d9fb4650cd3240a8"
