"""Who may be texted at a number: the rules of the business, for any history there could be."""

from dataclasses import replace

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from portal.consent.rules.consent_state import (
    REQUEST_VALID_MS,
    TWILIO_UNSUBSCRIBED_CODE,
    ConsentState,
    EventKind,
    LedgerEvent,
    accounts_added_since,
    apply_event,
    derive_state,
    open_requests,
)
from tests.support import consent_decision_table as cases

DETERMINISTIC = settings(derandomize=True, deadline=None, max_examples=100)
A, B, C = 1, 2, 3
DAY_MS = 86_400_000
ACCOUNTS = st.sampled_from([A, B, C])
MOMENTS = st.integers(0, 12).map(lambda tenth: tenth * 5 * DAY_MS)
LATER_MS = 90 * DAY_MS
"""Later than anything in a history."""


def deliveries_by_id(events: list[LedgerEvent]) -> list[LedgerEvent]:
    """Ids in order of writing."""
    return [replace(event, id=index) for index, event in enumerate(events, 1)]


def event_histories(*kinds: EventKind) -> st.SearchStrategy[list[LedgerEvent]]:
    event = st.builds(
        LedgerEvent,
        id=st.just(0),
        kind=st.sampled_from(kinds),
        at_ms=MOMENTS,
        account_id=ACCOUNTS,
        account_ids=st.frozensets(ACCOUNTS),
        order_rank=st.integers(0, 2),
        order_confirmed=st.booleans(),
        cannot_clear_stop=st.booleans(),
        error_code=st.sampled_from(["", "30005", TWILIO_UNSUBSCRIBED_CODE]),
    )
    return st.lists(event, max_size=14).map(deliveries_by_id)


HISTORIES = event_histories(*EventKind)
HISTORIES_WITHOUT_NEW_ACCOUNTS = event_histories(*(set(EventKind) - {EventKind.ADDED, EventKind.REQUESTED}))
"""Nobody got the number meanwhile, and no request outlives a STOP."""


def event_after_history(
    kind: EventKind, account_id: int | None = None, account_ids: set[int] | None = None, at_ms: int = LATER_MS
) -> LedgerEvent:
    return LedgerEvent(1_000 + at_ms, kind, at_ms, account_id, frozenset(account_ids or ()))


@DETERMINISTIC
@given(HISTORIES, st.randoms(use_true_random=False))
def test_the_order_of_arrival_does_not_matter(history: list[LedgerEvent], dice: object) -> None:
    arrived = list(history)
    dice.shuffle(arrived)  # type: ignore[attr-defined]
    assert derive_state(arrived) == derive_state(history)


@DETERMINISTIC
@given(HISTORIES)
def test_stopped_state_depends_on_stop_and_start_only(history: list[LedgerEvent]) -> None:
    keywords = [event for event in history if event.kind in (EventKind.STOP, EventKind.START)]
    assert derive_state(history).stopped_at_ms == derive_state(keywords).stopped_at_ms
    assert derive_state(history).stopped_by_event_id == derive_state(keywords).stopped_by_event_id


@DETERMINISTIC
@given(event_histories(EventKind.STOP, EventKind.START))
def test_only_a_confirmed_clearing_start_clears_a_stop(history: list[LedgerEvent]) -> None:
    before = ConsentState()
    for event in sorted_history(history):
        now = apply_event(before, event)
        if before.stopped_at_ms is not None and now.stopped_at_ms is None:
            assert event.kind == EventKind.START
            assert event.order_confirmed
            assert not event.cannot_clear_stop
        before = now


@DETERMINISTIC
@given(HISTORIES)
def test_start_that_cannot_clear_a_stop_only_requests_review(history: list[LedgerEvent]) -> None:
    stopped = derive_state([*history, event_after_history(EventKind.STOP)])
    yes = replace(
        event_after_history(EventKind.START, account_ids={A, B, C}, at_ms=LATER_MS + 1), cannot_clear_stop=True
    )
    assert apply_event(stopped, yes) == replace(stopped, unassigned_start_id=yes.id)


@DETERMINISTIC
@given(HISTORIES, st.frozensets(ACCOUNTS))
def test_without_a_stop_every_start_counts_equally(history: list[LedgerEvent], carriers: frozenset[int]) -> None:
    now = derive_state(history)
    assume(now.stopped_at_ms is None)
    start = event_after_history(EventKind.START, account_ids=set(carriers))
    assert apply_event(now, replace(start, cannot_clear_stop=True)) == apply_event(now, start)


@DETERMINISTIC
@given(HISTORIES, st.permutations([A, B, C]))
def test_unassigned_start_at_a_stopped_number_cannot_be_assigned(history: list[LedgerEvent], order: list[int]) -> None:
    yes = replace(
        event_after_history(EventKind.START, account_ids={A, B, C}, at_ms=LATER_MS + 1), cannot_clear_stop=True
    )
    asked = derive_state([*history, event_after_history(EventKind.STOP), yes])
    assert apply_event(asked, event_after_history(EventKind.MOVED, order[0], at_ms=LATER_MS + 2)) == asked


@DETERMINISTIC
@given(HISTORIES)
def test_a_stop_silences_the_number_for_every_account(history: list[LedgerEvent]) -> None:
    now = derive_state([*history, event_after_history(EventKind.STOP)])
    assert not now.receives_texts
    assert now.stopped_at_ms is not None
    assert [request for request in now.requests.values() if request.kind == EventKind.INVITED] == []


@DETERMINISTIC
@given(HISTORIES, ACCOUNTS)
def test_only_a_start_from_the_handset_clears_a_stop(history: list[LedgerEvent], account: int) -> None:
    stopped = derive_state([*history, event_after_history(EventKind.STOP)])
    for kind in set(EventKind) - {EventKind.START}:
        assert (
            apply_event(stopped, event_after_history(kind, account, {A, B, C})).stopped_at_ms == stopped.stopped_at_ms
        )


@DETERMINISTIC
@given(HISTORIES)
def test_recipient_was_assigned_and_still_has_the_number(history: list[LedgerEvent]) -> None:
    now = derive_state(history)
    assume(now.recipient_id is not None)
    given_at = next(index for index, event in enumerate(sorted_history(history)) if event.id == now.enabled_by_event_id)
    enabling, *rest = sorted_history(history)[given_at:]
    assert enabling.kind in (EventKind.START, EventKind.OPT_IN, EventKind.MOVED)
    assert (
        now.recipient_id in enabling.account_ids
        if enabling.kind == EventKind.START
        else now.recipient_id == enabling.account_id
    )
    assert not [event for event in rest if event.kind == EventKind.REMOVED and event.account_id == now.recipient_id]
    assert now.receiving_since_ms == enabling.at_ms


@DETERMINISTIC
@given(HISTORIES)
def test_own_start_displaces_nobody(history: list[LedgerEvent]) -> None:
    before = ConsentState()
    for event in sorted_history(history):
        now = apply_event(before, event)
        if now.displaced_id != before.displaced_id and now.displaced_id is not None:
            assert now.displaced_id == before.recipient_id != now.recipient_id
        before = now


@DETERMINISTIC
@given(HISTORIES_WITHOUT_NEW_ACCOUNTS)
def test_start_after_stop_restores_the_last_recipient(history: list[LedgerEvent]) -> None:
    held = derive_state([*history, event_after_history(EventKind.STOP)])
    assume(held.last_recipient_id is not None)
    start = event_after_history(EventKind.START, account_ids={A, B, C}, at_ms=LATER_MS + 1)
    now = apply_event(held, start)
    assert (now.recipient_id, now.receives_texts, now.receiving_since_ms) == (held.last_recipient_id, True, start.at_ms)


@DETERMINISTIC
@given(HISTORIES, ACCOUNTS, ACCOUNTS, st.booleans(), st.booleans())
def test_start_after_reassignment_needs_review(
    later: list[LedgerEvent], owner: int, other: int, stops: bool, stays: bool
) -> None:
    history = [event_after_history(EventKind.START, account_ids={owner}, at_ms=-1), *later]
    before = derive_state(history)
    assume(before.last_recipient_id not in (None, other))
    since = [
        event_after_history(EventKind.ADDED, other),
        *([event_after_history(EventKind.STOP, at_ms=LATER_MS + 1)] if stops else []),
    ]
    start = event_after_history(
        EventKind.START, account_ids={A, B, C} if stays else {A, B, C} - {other}, at_ms=LATER_MS + 2
    )
    now = derive_state([*history, *since, start])
    assert (now.recipient_id, now.unassigned_start_id) == (None, start.id)


@DETERMINISTIC
@given(HISTORIES, st.permutations([A, B, C]), st.integers(0, 3))
def test_newest_request_wins_whatever_stops_came_between(
    history: list[LedgerEvent], order: list[int], stopped_again: int
) -> None:
    stop = event_after_history(EventKind.STOP)
    requests = [
        event_after_history(EventKind.REQUESTED, account, at_ms=LATER_MS + 10 * index)
        for index, account in enumerate(order, 1)
    ]
    stops = [event_after_history(EventKind.STOP, at_ms=LATER_MS + 10 * index + 5) for index in range(stopped_again)]
    now = derive_state(
        [
            *history,
            stop,
            *requests,
            *stops,
            event_after_history(EventKind.START, account_ids={A, B, C}, at_ms=LATER_MS + 90),
        ]
    )
    assert (now.recipient_id, now.requests) == (order[-1], {})


@DETERMINISTIC
@given(HISTORIES)
def test_start_without_request_needs_last_or_only_account(
    history: list[LedgerEvent],
) -> None:
    before = ConsentState()
    for event in sorted_history(history):
        now = apply_event(before, event)
        given_now = now.enabled_by_event_id == event.id and now.enabled_by_event_id != before.enabled_by_event_id
        if event.kind == EventKind.START and given_now and now.recipient_id not in open_requests(before, event.at_ms):
            first = before.last_recipient_id is None and event.account_ids == {now.recipient_id}
            assert now.recipient_id == before.last_recipient_id or first
            had_ms = before.added_at_ms.get(now.recipient_id or 0, 0) if first else before.last_recipient_since_ms
            assert not [id for id, at_ms in before.added_at_ms.items() if id != now.recipient_id and at_ms > had_ms]
        before = now


@DETERMINISTIC
@given(HISTORIES, st.permutations([A, B, C]))
def test_newest_of_several_invitations_gets_the_texts(history: list[LedgerEvent], order: list[int]) -> None:
    requests = [
        event_after_history(EventKind.INVITED, account, at_ms=LATER_MS + index) for index, account in enumerate(order)
    ]
    now = derive_state(
        [*history, *requests, event_after_history(EventKind.START, account_ids={A, B, C}, at_ms=LATER_MS + 9)]
    )
    assert now.recipient_id == order[-1]
    assert now.requests == {}


@DETERMINISTIC
@given(HISTORIES)
def test_start_for_a_number_on_no_account_enables_nobody(history: list[LedgerEvent]) -> None:
    now = derive_state(
        [*history, event_after_history(EventKind.STOP), event_after_history(EventKind.START, at_ms=LATER_MS + 1)]
    )
    assert now.unassigned_start_id == 1_000 + LATER_MS + 1
    assert now.stopped_at_ms is None


@DETERMINISTIC
@given(HISTORIES)
def test_help_and_evidence_change_nothing(history: list[LedgerEvent]) -> None:
    others = [event for event in history if event.kind not in (EventKind.HELP, EventKind.EVIDENCE)]
    assert derive_state(history) == derive_state(others)


@DETERMINISTIC
@given(HISTORIES)
def test_reachability_does_not_depend_on_the_account(history: list[LedgerEvent]) -> None:
    state = derive_state([*history, event_after_history(EventKind.UNREACHABLE)])
    assert state.unreachable_at_ms == LATER_MS
    assert apply_event(state, event_after_history(EventKind.CONFIRMED)).unreachable_at_ms is None


@pytest.mark.parametrize("carriers", [{A}, {A, B}])
def test_start_without_history_needs_a_single_account(carriers: set[int]) -> None:
    start = event_after_history(EventKind.START, account_ids=carriers)
    now = derive_state([start])
    assert now.recipient_id == (A if carriers == {A} else None)
    assert now.unassigned_start_id == (None if carriers == {A} else start.id)


@pytest.mark.parametrize(("away_ms", "holder"), [(0, B), (1, A)])
def test_an_invitation_is_open_for_thirty_days(away_ms: int, holder: int) -> None:
    held = [event_after_history(EventKind.OPT_IN, A, at_ms=1), event_after_history(EventKind.INVITED, B, at_ms=2)]
    start = event_after_history(EventKind.START, account_ids={A, B}, at_ms=2 + REQUEST_VALID_MS + away_ms)
    now = derive_state([*held, start])
    assert now.recipient_id == holder
    assert REQUEST_VALID_MS == 30 * DAY_MS
    assert open_requests(derive_state(held), start.at_ms) == ({B: 2} if holder == B else {})


def test_invited_account_without_the_number_is_skipped() -> None:
    requests = [event_after_history(EventKind.INVITED, A, at_ms=1), event_after_history(EventKind.INVITED, B, at_ms=2)]
    assert derive_state([*requests, event_after_history(EventKind.START, account_ids={A}, at_ms=4)]).recipient_id == A
    removed = event_after_history(EventKind.REMOVED, B, at_ms=3)
    assert (
        derive_state(
            [*requests, removed, event_after_history(EventKind.START, account_ids={A, B}, at_ms=4)]
        ).recipient_id
        == A
    )


def test_removed_and_re_added_number_needs_a_new_start() -> None:
    held = derive_state(
        [
            event_after_history(EventKind.INVITED, A, at_ms=1),
            event_after_history(EventKind.START, account_ids={A}, at_ms=2),
        ]
    )
    again = apply_event(held, event_after_history(EventKind.REMOVED, A, at_ms=3))
    assert (again.receives_texts, again.recipient_id, again.last_recipient_id) == (False, None, A)
    assert apply_event(again, event_after_history(EventKind.START, account_ids={A, B})).recipient_id == A
    assert apply_event(again, event_after_history(EventKind.START, account_ids={B})).recipient_id is None, (
        "B never held it: somebody looks at it"
    )


def test_repeated_start_changes_nothing() -> None:
    first = derive_state(
        [
            event_after_history(EventKind.INVITED, A, at_ms=1),
            event_after_history(EventKind.START, account_ids={A}, at_ms=2),
        ]
    )
    again = apply_event(first, event_after_history(EventKind.START, account_ids={A}, at_ms=3))
    assert (again.receiving_since_ms, again.enabled_by_event_id) == (
        first.receiving_since_ms,
        first.enabled_by_event_id,
    )


def test_ties_are_ordered_by_rank_then_by_id() -> None:
    stop, start = (
        LedgerEvent(2, EventKind.STOP, 5, order_rank=1),
        LedgerEvent(1, EventKind.START, 5, account_ids=frozenset({A}), order_rank=0),
    )
    assert derive_state([start, stop]).stopped_at_ms == 5
    assert derive_state([replace(start, order_rank=2), stop]).receives_texts
    assert derive_state([replace(start, order_rank=1, id=3), stop]).receives_texts


@pytest.mark.parametrize(
    ("between", "holder"),
    [
        ([], B),
        ([event_after_history(EventKind.REMOVED, B, at_ms=5)], None),
        (
            [
                event_after_history(EventKind.REMOVED, B, at_ms=5),
                event_after_history(EventKind.ADDED, B, at_ms=6),
                event_after_history(EventKind.REQUESTED, B, at_ms=7),
            ],
            B,
        ),
        ([event_after_history(EventKind.REQUESTED, A, at_ms=5)], A),
        ([event_after_history(EventKind.STOP, at_ms=5)], B),
        ([event_after_history(EventKind.EVIDENCE, A, at_ms=5)], B),
    ],
)
def test_request_of_the_new_account_outranks_the_former_one(between: list[LedgerEvent], holder: int | None) -> None:
    held = [
        event_after_history(EventKind.ADDED, A, at_ms=0),
        event_after_history(EventKind.START, account_ids={A}, at_ms=1),
        event_after_history(EventKind.STOP, at_ms=2),
    ]
    wished = [event_after_history(EventKind.ADDED, B, at_ms=3), event_after_history(EventKind.REQUESTED, B, at_ms=4)]
    now = derive_state([*held, *wished, *between, event_after_history(EventKind.START, account_ids={A, B}, at_ms=9)])
    assert (now.recipient_id, now.displaced_id) == (holder, None if holder == A else A)


@pytest.mark.parametrize(
    ("code", "holder"),
    [("", None), (TWILIO_UNSUBSCRIBED_CODE, B)],
)
def test_stop_reported_by_twilio_predates_the_invitation(code: str, holder: int | None) -> None:
    held = [
        event_after_history(EventKind.START, account_ids={A}, at_ms=1),
        event_after_history(EventKind.ADDED, B, at_ms=2),
        event_after_history(EventKind.INVITED, B, at_ms=3),
    ]
    stop = replace(event_after_history(EventKind.STOP, at_ms=4), error_code=code)
    assert (
        derive_state([*held, stop, event_after_history(EventKind.START, account_ids={A, B}, at_ms=5)]).recipient_id
        == holder
    )


def test_only_the_next_recipient_displaces_an_undecided_one() -> None:
    undecided = [
        event_after_history(EventKind.START, account_ids={A}, at_ms=1),
        event_after_history(EventKind.ADDED, B, at_ms=2),
        event_after_history(EventKind.START, account_ids={A, B}, at_ms=3),
    ]
    assert (derive_state(undecided).recipient_id, derive_state(undecided).displaced_id) == (None, A)
    assert derive_state([*undecided, event_after_history(EventKind.MOVED, B, at_ms=4)]).displaced_id == A
    assert derive_state([*undecided, event_after_history(EventKind.MOVED, A, at_ms=4)]).displaced_id is None
    assert (
        derive_state(
            [
                *undecided,
                event_after_history(EventKind.REMOVED, A, at_ms=4),
                event_after_history(EventKind.MOVED, B, at_ms=5),
            ]
        ).displaced_id
        is None
    )


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
def test_accounts_added_after_an_opt_in_are_found(added: list[tuple[int, int]], found: set[int]) -> None:
    assert (
        accounts_added_since(
            [event_after_history(EventKind.ADDED, account, at_ms=at_ms) for account, at_ms in added], A, 4
        )
        == found
    )


@pytest.mark.parametrize("state", cases.SCENARIOS)
def test_the_decision_table(state: str) -> None:
    for step, outcome in cases.expected_outcomes(state).items():
        number = cases.NumberHistory((*cases.SCENARIOS[state], step))
        now = derive_state(number.events)
        assert number.describe() == outcome, f"{step} when {state}"
        if step in cases.START_EVENTS:
            assert (now.unassigned_start_id is not None) == cases.needs_review(step, outcome)


def sorted_history(history: list[LedgerEvent]) -> list[LedgerEvent]:
    return sorted(history, key=lambda event: (event.at_ms, event.order_rank, event.id))
