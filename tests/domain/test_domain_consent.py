"""Who may be texted at a number: the rules of the business, for any history there could be."""

from dataclasses import replace

import consent_cases as cases
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from portal.domain.consent import (
    INVITATION_OPEN_MS,
    LEARNED,
    Event,
    Kind,
    Standing,
    added_since,
    after,
    invited_now,
    standing,
)

SEEDED = settings(derandomize=True, deadline=None, max_examples=100)
A, B, C = 1, 2, 3
DAY_MS = 86_400_000
ACCOUNTS = st.sampled_from([A, B, C])
MOMENTS = st.integers(0, 12).map(lambda tenth: tenth * 5 * DAY_MS)
LATER_MS = 90 * DAY_MS
"""Later than anything in a history."""


def numbered(events: list[Event]) -> list[Event]:
    """Ids in order of writing."""
    return [replace(event, id=place) for place, event in enumerate(events, 1)]


def histories(*kinds: Kind) -> st.SearchStrategy[list[Event]]:
    event = st.builds(
        Event,
        id=st.just(0),
        kind=st.sampled_from(kinds),
        at_ms=MOMENTS,
        account_id=ACCOUNTS,
        carriers=st.frozensets(ACCOUNTS),
        rank=st.integers(0, 2),
        sure=st.booleans(),
        lifts_no_stop=st.booleans(),
        code=st.sampled_from(["", "30005", LEARNED]),
    )
    return st.lists(event, max_size=14).map(numbered)


HISTORIES = histories(*Kind)
OF_THE_SAME_ACCOUNTS = histories(*(set(Kind) - {Kind.ADDED, Kind.WISHED}))
"""Nobody got the number meanwhile, and no request outlives a STOP."""


def later(kind: Kind, account_id: int | None = None, carriers: set[int] | None = None, at_ms: int = LATER_MS) -> Event:
    return Event(1_000 + at_ms, kind, at_ms, account_id, frozenset(carriers or ()))


@SEEDED
@given(HISTORIES, st.randoms(use_true_random=False))
def test_the_order_of_arrival_does_not_matter(history: list[Event], dice: object) -> None:
    arrived = list(history)
    dice.shuffle(arrived)  # type: ignore[attr-defined]
    assert standing(arrived) == standing(history)


@SEEDED
@given(HISTORIES)
def test_whether_a_number_is_stopped_depends_on_stop_and_start_alone(history: list[Event]) -> None:
    words = [event for event in history if event.kind in (Kind.STOP, Kind.START)]
    assert standing(history).stopped_ms == standing(words).stopped_ms
    assert standing(history).stopped_by == standing(words).stopped_by


@SEEDED
@given(histories(Kind.STOP, Kind.START))
def test_only_a_start_whose_place_is_certain_and_that_can_lifts_a_stop(history: list[Event]) -> None:
    before = Standing()
    for event in in_time(history):
        now = after(before, event)
        if before.stopped_ms is not None and now.stopped_ms is None:
            assert event.kind == Kind.START
            assert event.sure
            assert not event.lifts_no_stop
        before = now


@SEEDED
@given(HISTORIES)
def test_a_start_that_lifts_no_stop_changes_nothing_under_one_but_whom_it_asks(history: list[Event]) -> None:
    stopped = standing([*history, later(Kind.STOP)])
    yes = replace(later(Kind.START, carriers={A, B, C}, at_ms=LATER_MS + 1), lifts_no_stop=True)
    assert after(stopped, yes) == replace(stopped, unanswered=yes.id)


@SEEDED
@given(HISTORIES, st.frozensets(ACCOUNTS))
def test_where_no_stop_stands_every_start_is_as_good_as_another(history: list[Event], carriers: frozenset[int]) -> None:
    now = standing(history)
    assume(now.stopped_ms is None)
    start = later(Kind.START, carriers=set(carriers))
    assert after(now, replace(start, lifts_no_stop=True)) == after(now, start)


@SEEDED
@given(HISTORIES, st.permutations([A, B, C]))
def test_who_is_asked_about_at_a_stopped_number_can_be_given_nothing(history: list[Event], order: list[int]) -> None:
    yes = replace(later(Kind.START, carriers={A, B, C}, at_ms=LATER_MS + 1), lifts_no_stop=True)
    asked = standing([*history, later(Kind.STOP), yes])
    assert after(asked, later(Kind.MOVED, order[0], at_ms=LATER_MS + 2)) == asked


@SEEDED
@given(HISTORIES)
def test_a_stop_silences_the_number_for_every_account(history: list[Event]) -> None:
    now = standing([*history, later(Kind.STOP)])
    assert not now.gets_texts
    assert now.stopped_ms is not None
    assert now.invited == {}


@SEEDED
@given(HISTORIES, ACCOUNTS)
def test_neither_paper_nor_an_administrator_nor_an_invitation_lifts_a_stop(history: list[Event], account: int) -> None:
    stopped = standing([*history, later(Kind.STOP)])
    for kind in set(Kind) - {Kind.START}:
        assert after(stopped, later(kind, account, {A, B, C})).stopped_ms == stopped.stopped_ms


@SEEDED
@given(HISTORIES)
def test_whoever_gets_the_texts_was_given_them_and_has_kept_the_number_since(history: list[Event]) -> None:
    now = standing(history)
    assume(now.holder is not None)
    given_at = next(place for place, event in enumerate(in_time(history)) if event.id == now.enabled_by)
    enabling, *rest = in_time(history)[given_at:]
    assert enabling.kind in (Kind.START, Kind.OPT_IN, Kind.MOVED)
    assert now.holder in enabling.carriers if enabling.kind == Kind.START else now.holder == enabling.account_id
    assert not [event for event in rest if event.kind == Kind.REMOVED and event.account_id == now.holder]
    assert now.since_ms == enabling.at_ms


@SEEDED
@given(HISTORIES)
def test_nobody_is_displaced_by_their_own_start(history: list[Event]) -> None:
    before = Standing()
    for event in in_time(history):
        now = after(before, event)
        if now.displaced != before.displaced and now.displaced is not None:
            assert now.displaced == before.holder != now.holder
        before = now


@SEEDED
@given(OF_THE_SAME_ACCOUNTS)
def test_start_after_stop_gives_the_texts_back_to_the_last_holder(history: list[Event]) -> None:
    held = standing([*history, later(Kind.STOP)])
    assume(held.last_holder is not None)
    start = later(Kind.START, carriers={A, B, C}, at_ms=LATER_MS + 1)
    now = after(held, start)
    assert (now.holder, now.gets_texts, now.since_ms) == (held.last_holder, True, start.at_ms)


@SEEDED
@given(HISTORIES, ACCOUNTS, st.booleans(), st.booleans())
def test_once_another_account_got_the_number_start_alone_asks_whom_it_means(
    history: list[Event], other: int, stops: bool, stays: bool
) -> None:
    before = standing(history)
    assume(before.last_holder not in (None, other))
    since = [later(Kind.ADDED, other), *([later(Kind.STOP, at_ms=LATER_MS + 1)] if stops else [])]
    start = later(Kind.START, carriers={A, B, C} if stays else {A, B, C} - {other}, at_ms=LATER_MS + 2)
    now = standing([*history, *since, start])
    assert (now.holder, now.unanswered) == (None, start.id)


@SEEDED
@given(HISTORIES, st.permutations([A, B, C]), st.integers(0, 3))
def test_of_several_wishes_the_newest_gets_the_texts_whatever_stops_came_between(
    history: list[Event], order: list[int], stopped_again: int
) -> None:
    stop = later(Kind.STOP)
    asked = [later(Kind.WISHED, account, at_ms=LATER_MS + 10 * place) for place, account in enumerate(order, 1)]
    again = [later(Kind.STOP, at_ms=LATER_MS + 10 * place + 5) for place in range(stopped_again)]
    now = standing([*history, stop, *asked, *again, later(Kind.START, carriers={A, B, C}, at_ms=LATER_MS + 90)])
    assert (now.holder, now.wished) == (order[-1], {})


@SEEDED
@given(HISTORIES)
def test_a_start_without_a_request_gives_the_texts_to_nobody_but_the_last_holder_or_the_only_account(
    history: list[Event],
) -> None:
    before = Standing()
    for event in in_time(history):
        now = after(before, event)
        given_now = now.enabled_by == event.id and now.enabled_by != before.enabled_by
        if event.kind == Kind.START and given_now and now.holder not in invited_now(before, event.at_ms):
            first = before.last_holder is None and event.carriers == {now.holder}
            assert now.holder == before.last_holder or first
            had_ms = before.added.get(now.holder, 0) if first else before.last_held_ms
            assert not [one for one, at_ms in before.added.items() if one != now.holder and at_ms > had_ms]
        before = now


@SEEDED
@given(HISTORIES, st.permutations([A, B, C]))
def test_of_several_invitations_the_newest_gets_the_texts(history: list[Event], order: list[int]) -> None:
    asked = [later(Kind.INVITED, account, at_ms=LATER_MS + place) for place, account in enumerate(order)]
    now = standing([*history, *asked, later(Kind.START, carriers={A, B, C}, at_ms=LATER_MS + 9)])
    assert now.holder == order[-1]
    assert now.invited == {}


@SEEDED
@given(HISTORIES)
def test_a_number_that_nobody_carries_gets_no_texts_for_anybody_by_start(history: list[Event]) -> None:
    now = standing([*history, later(Kind.STOP), later(Kind.START, at_ms=LATER_MS + 1)])
    assert now.unanswered == 1_000 + LATER_MS + 1
    assert now.stopped_ms is None


@SEEDED
@given(HISTORIES)
def test_help_and_evidence_change_nothing(history: list[Event]) -> None:
    others = [event for event in history if event.kind not in (Kind.HELP, Kind.EVIDENCE)]
    assert standing(history) == standing(others)


@SEEDED
@given(HISTORIES)
def test_whether_a_number_can_be_reached_never_depends_on_whose_it_is(history: list[Event]) -> None:
    found = standing([*history, later(Kind.UNREACHABLE)])
    assert found.unreachable_ms == LATER_MS
    assert after(found, later(Kind.CONFIRMED)).unreachable_ms is None


@pytest.mark.parametrize("carriers", [{A}, {A, B}])
def test_without_an_invitation_and_a_holder_only_an_account_alone_with_the_number_gets_it(carriers: set[int]) -> None:
    start = later(Kind.START, carriers=carriers)
    now = standing([start])
    assert now.holder == (A if carriers == {A} else None)
    assert now.unanswered == (None if carriers == {A} else start.id)


@pytest.mark.parametrize(("away_ms", "holder"), [(0, B), (1, A)])
def test_an_invitation_is_open_for_thirty_days(away_ms: int, holder: int) -> None:
    held = [later(Kind.OPT_IN, A, at_ms=1), later(Kind.INVITED, B, at_ms=2)]
    start = later(Kind.START, carriers={A, B}, at_ms=2 + INVITATION_OPEN_MS + away_ms)
    now = standing([*held, start])
    assert now.holder == holder
    assert INVITATION_OPEN_MS == 30 * DAY_MS
    assert invited_now(standing(held), start.at_ms) == ({B: 2} if holder == B else {})


def test_an_invited_account_that_no_longer_carries_the_number_is_passed_over() -> None:
    asked = [later(Kind.INVITED, A, at_ms=1), later(Kind.INVITED, B, at_ms=2)]
    assert standing([*asked, later(Kind.START, carriers={A}, at_ms=4)]).holder == A
    removed = later(Kind.REMOVED, B, at_ms=3)
    assert standing([*asked, removed, later(Kind.START, carriers={A, B}, at_ms=4)]).holder == A


def test_who_removes_the_number_and_adds_it_again_has_to_say_start_again() -> None:
    held = standing([later(Kind.INVITED, A, at_ms=1), later(Kind.START, carriers={A}, at_ms=2)])
    again = after(held, later(Kind.REMOVED, A, at_ms=3))
    assert (again.gets_texts, again.holder, again.last_holder) == (False, None, A)
    assert after(again, later(Kind.START, carriers={A, B})).holder == A
    assert after(again, later(Kind.START, carriers={B})).holder is None, "B never held it: somebody looks at it"


def test_a_start_that_repeats_what_holds_opens_nothing_anew() -> None:
    first = standing([later(Kind.INVITED, A, at_ms=1), later(Kind.START, carriers={A}, at_ms=2)])
    again = after(first, later(Kind.START, carriers={A}, at_ms=3))
    assert (again.since_ms, again.enabled_by) == (first.since_ms, first.enabled_by)


def test_of_two_words_at_one_moment_the_rank_decides_and_then_the_writing() -> None:
    stop, start = Event(2, Kind.STOP, 5, rank=1), Event(1, Kind.START, 5, carriers=frozenset({A}), rank=0)
    assert standing([start, stop]).stopped_ms == 5
    assert standing([replace(start, rank=2), stop]).gets_texts
    assert standing([replace(start, rank=1, id=3), stop]).gets_texts


@pytest.mark.parametrize(
    ("between", "holder"),
    [
        ([], B),
        ([later(Kind.REMOVED, B, at_ms=5)], None),
        ([later(Kind.REMOVED, B, at_ms=5), later(Kind.ADDED, B, at_ms=6), later(Kind.WISHED, B, at_ms=7)], B),
        ([later(Kind.WISHED, A, at_ms=5)], A),
        ([later(Kind.STOP, at_ms=5)], B),
        ([later(Kind.EVIDENCE, A, at_ms=5)], B),
    ],
)
def test_a_wish_of_the_new_owner_outweighs_that_the_former_one_had_the_texts(
    between: list[Event], holder: int | None
) -> None:
    held = [later(Kind.ADDED, A, at_ms=0), later(Kind.START, carriers={A}, at_ms=1), later(Kind.STOP, at_ms=2)]
    wished = [later(Kind.ADDED, B, at_ms=3), later(Kind.WISHED, B, at_ms=4)]
    now = standing([*held, *wished, *between, later(Kind.START, carriers={A, B}, at_ms=9)])
    assert (now.holder, now.displaced) == (holder, None if holder == A else A)


@pytest.mark.parametrize(
    ("code", "holder"),
    [("", None), (LEARNED, B)],
)
def test_a_stop_that_twilio_told_of_is_older_than_the_invitation_it_refused(code: str, holder: int | None) -> None:
    held = [later(Kind.START, carriers={A}, at_ms=1), later(Kind.ADDED, B, at_ms=2), later(Kind.INVITED, B, at_ms=3)]
    stop = replace(later(Kind.STOP, at_ms=4), code=code)
    assert standing([*held, stop, later(Kind.START, carriers={A, B}, at_ms=5)]).holder == holder


def test_who_lost_the_texts_to_a_doubt_is_displaced_only_when_another_gets_them() -> None:
    doubt = [
        later(Kind.START, carriers={A}, at_ms=1),
        later(Kind.ADDED, B, at_ms=2),
        later(Kind.START, carriers={A, B}, at_ms=3),
    ]
    assert (standing(doubt).holder, standing(doubt).displaced) == (None, A)
    assert standing([*doubt, later(Kind.MOVED, B, at_ms=4)]).displaced == A
    assert standing([*doubt, later(Kind.MOVED, A, at_ms=4)]).displaced is None
    assert standing([*doubt, later(Kind.REMOVED, A, at_ms=4), later(Kind.MOVED, B, at_ms=5)]).displaced is None


@pytest.mark.parametrize(
    ("added", "found"),
    [
        ([(B, 5)], {B}),
        ([(B, 4)], set()),
        ([(A, 6), (B, 6)], set()),
        ([(A, 6), (B, 5), (C, 7)], {B, C}),
        ([(A, 9)], set()),
    ],
)
def test_others_that_got_a_number_after_an_opt_in_are_found(added: list[tuple[int, int]], found: set[int]) -> None:
    assert added_since([later(Kind.ADDED, account, at_ms=at_ms) for account, at_ms in added], A, 4) == found


@pytest.mark.parametrize("state", cases.STATES)
def test_the_decision_table(state: str) -> None:
    for what, outcome in cases.outcomes(state).items():
        number = cases.Story((*cases.STATES[state], what))
        now = standing(number.events)
        assert number.shown() == outcome, f"{what} when {state}"
        if what in cases.STARTS:
            assert (now.unanswered is not None) == cases.asks_somebody(what, outcome)


def in_time(history: list[Event]) -> list[Event]:
    return sorted(history, key=lambda event: (event.at_ms, event.rank, event.id))
