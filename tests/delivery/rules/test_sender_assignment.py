from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from portal.core.rules.sender_assignment import SenderAssignment

SENDING_NUMBERS = [f"+1202555010{index}" for index in range(8)]
PHONES = [f"+1415200{index:04d}" for index in range(1_000)]
COUNTS = st.integers(1, len(SENDING_NUMBERS))


def assignments(keys: list[str]) -> dict[str, str]:
    assignment = SenderAssignment(tuple(keys))
    return {phone: assignment.sender_for(phone, None) for phone in PHONES}


@given(COUNTS)
def test_recipients_are_spread_evenly(count: int) -> None:
    counts = Counter(assignments(SENDING_NUMBERS[:count]).values())
    assert set(counts) == set(SENDING_NUMBERS[:count])
    assert max(counts.values()) - min(counts.values()) <= len(PHONES) // 100


@given(st.integers(1, len(SENDING_NUMBERS) - 1))
def test_added_number_moves_only_its_own_share(count: int) -> None:
    before, after = assignments(SENDING_NUMBERS[:count]), assignments(SENDING_NUMBERS[: count + 1])
    moved = {phone for phone in PHONES if before[phone] != after[phone]}
    assert {after[phone] for phone in moved} == {SENDING_NUMBERS[count]}
    assert len(moved) == len(PHONES) // 100 * (100 // (count + 1))


def test_only_a_current_sending_number_is_preferred() -> None:
    assignment = SenderAssignment((SENDING_NUMBERS[0], SENDING_NUMBERS[1]))
    for phone in PHONES:
        assert assignment.sender_for(phone, SENDING_NUMBERS[1]) == SENDING_NUMBERS[1]
        assert assignment.sender_for(phone, SENDING_NUMBERS[5]) == assignment.sender_for(phone, None)


@given(COUNTS, st.sets(st.sampled_from(SENDING_NUMBERS)), st.sampled_from(PHONES))
def test_buckets_agree_with_the_assignment(count: int, subset: set[str], phone: str) -> None:
    assignment = SenderAssignment(tuple(SENDING_NUMBERS[:count]))
    assert (phone[-2:] in assignment.buckets_of(subset)) == (assignment.sender_for(phone, None) in subset)
