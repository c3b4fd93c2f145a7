"""The chain through the ledger: whatever is changed, removed or slipped in is found, and where."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from portal.domain.ledger import FIRST, digest, first_break

SEEDED = settings(derandomize=True, deadline=None, max_examples=50)
WORDS = st.text(max_size=30)
EVENTS = st.fixed_dictionaries(
    {
        "number": WORDS,
        "account_id": st.none() | st.integers(1, 9),
        "kind": st.sampled_from(["start", "stop"]),
        "words": WORDS,
        "detail": st.dictionaries(st.text(max_size=5), st.integers() | WORDS | st.booleans(), max_size=3),
        "occurred_at_ms": st.integers(0, 2**53),
    }
)


def chained(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """As the ledger holds them."""
    previous, found = FIRST, []
    for place, event in enumerate(events, 1):
        row = {**event, "id": place, "previous": previous}
        row["digest"] = previous = digest(previous, row)
        found.append(row)
    return found


CHAINS = st.lists(EVENTS, min_size=1, max_size=8).map(chained)


def head_of(chain: list[dict[str, Any]]) -> str:
    return chain[-1]["digest"] if chain else FIRST


@SEEDED
@given(CHAINS)
def test_a_ledger_that_nobody_touched_holds(chain: list[dict[str, Any]]) -> None:
    assert first_break(chain, head_of(chain)) is None
    assert first_break([], FIRST) is None


@SEEDED
@given(CHAINS, st.data())
def test_a_change_of_any_value_is_found_at_its_event(chain: list[dict[str, Any]], data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(chain) - 1))
    name = data.draw(st.sampled_from(sorted(set(chain[0]) - {"previous", "digest", "id"})))
    changed = [dict(event) for event in chain]
    changed[place][name] = "forged" if changed[place][name] != "forged" else "forged twice"
    found = first_break(changed, head_of(chain))
    assert found is not None
    assert (found.event_id, "changed" in found.why) == (place + 1, True)


@SEEDED
@given(CHAINS, st.data())
def test_a_change_with_its_digest_reckoned_anew_is_found_at_the_next_event(
    chain: list[dict[str, Any]], data: st.DataObject
) -> None:
    place = data.draw(st.integers(0, len(chain) - 1))
    changed = [dict(event) for event in chain]
    changed[place]["words"] += "!"
    changed[place]["digest"] = digest(changed[place]["previous"], changed[place])
    found = first_break(changed, head_of(chain))
    assert found is not None
    assert found.event_id == min(place + 2, len(chain))


@SEEDED
@given(CHAINS, st.data())
def test_a_missing_event_is_found(chain: list[dict[str, Any]], data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(chain) - 1))
    found = first_break([*chain[:place], *chain[place + 1 :]], head_of(chain))
    assert found is not None
    assert "missing" in found.why
    assert found.event_id == (place + 2 if place + 1 < len(chain) else place)


@SEEDED
@given(CHAINS, EVENTS)
def test_an_event_that_was_slipped_in_at_the_end_is_found(chain: list[dict[str, Any]], event: dict[str, Any]) -> None:
    longer = chained([*({name: row[name] for name in event} for row in chain), event])
    assert first_break(longer, head_of(chain)) is not None


@SEEDED
@given(CHAINS)
def test_a_ledger_written_anew_does_not_fit_the_head_that_was_noted(chain: list[dict[str, Any]]) -> None:
    anew = chained([{**event, "words": event["words"] + "!"} for event in chain])
    assert first_break(anew, head_of(anew)) is None
    found = first_break(anew, head_of(chain))
    assert found is not None
    assert found.event_id == len(chain)


def test_two_events_that_changed_places_are_found() -> None:
    first, second = chained([{"words": "one"}, {"words": "two"}])
    found = first_break([second, first], second["digest"])
    assert found is not None
    assert found.event_id == 2


def test_one_spelling_for_one_event_on_every_database() -> None:
    """Also across versions: a chain that was written once must hold for ever."""
    event = {"id": 1, "words": "arrêt 😀", "detail": {"b": 1, "a": None}, "previous": FIRST}
    other_way_round = {"detail": {"a": None, "b": 1}, "words": "arrêt 😀", "id": 1, "digest": "of no account"}
    assert digest(FIRST, event) == digest(FIRST, other_way_round)
    assert digest(FIRST, event) == "811366f33ef961e19b971a76bba27e007a3da728f14ac86e7491b23c8ec9af34"
