from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from portal.core.rules.sender_assignment import SenderAssignment

OURS = [f"+1202555010{place}" for place in range(8)]
PEOPLE = [f"+1415200{place:04d}" for place in range(1_000)]
COUNTS = st.integers(1, len(OURS))


def assignments(keys: list[str]) -> dict[str, str]:
    among = SenderAssignment(tuple(keys))
    return {person: among.sender_for(person, None) for person in PEOPLE}


@given(COUNTS)
def test_every_number_gets_as_many_people_as_the_others_to_one_in_a_hundred(count: int) -> None:
    people = Counter(assignments(OURS[:count]).values())
    assert set(people) == set(OURS[:count])
    assert max(people.values()) - min(people.values()) <= len(PEOPLE) // 100


@given(st.integers(1, len(OURS) - 1))
def test_a_number_that_is_added_takes_its_part_and_nobody_else_moves(count: int) -> None:
    before, after = assignments(OURS[:count]), assignments(OURS[: count + 1])
    moved = {person for person in PEOPLE if before[person] != after[person]}
    assert {after[person] for person in moved} == {OURS[count]}
    assert len(moved) == len(PEOPLE) // 100 * (100 // (count + 1))


def test_who_knows_a_number_that_sends_keeps_it_and_one_that_sends_no_more_says_nothing() -> None:
    among = SenderAssignment((OURS[0], OURS[1]))
    for person in PEOPLE:
        assert among.sender_for(person, OURS[1]) == OURS[1]
        assert among.sender_for(person, OURS[5]) == among.sender_for(person, None)


@given(COUNTS, st.sets(st.sampled_from(OURS)), st.sampled_from(PEOPLE))
def test_the_last_digits_tell_the_database_the_same(count: int, some: set[str], person: str) -> None:
    among = SenderAssignment(tuple(OURS[:count]))
    assert (person[-2:] in among.buckets_of(some)) == (among.sender_for(person, None) in some)
