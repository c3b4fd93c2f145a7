"""Threads that share a commit: each returns after its own item is in, and nobody pays for another's mistake."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest

from portal.core.group_commit import MAX_GROUP_SIZE, GroupCommit


def test_what_gathers_during_one_round_is_done_in_the_next() -> None:
    rounds: list[list[int]] = []
    first_began, rest_gathered = Event(), Event()

    def work(items: Sequence[int]) -> None:
        rounds.append(list(items))
        if len(rounds) == 1:
            first_began.set()
            assert rest_gathered.wait(10)

    together = GroupCommit(work)
    with ThreadPoolExecutor(21) as threads:
        first = threads.submit(together.submit, 0)
        assert first_began.wait(10)
        rest = [threads.submit(together.submit, item) for item in range(1, 21)]
        while len(together._pending) < 20:
            pass
        rest_gathered.set()
        for future in (first, *rest):
            future.result(10)
    assert rounds[0] == [0]
    assert sorted(rounds[1]) == list(range(1, 21))
    assert len(rounds) == 2


def test_one_bad_item_spoils_nobody_elses() -> None:
    done: list[int] = []

    def work(items: Sequence[int]) -> None:
        if 13 in items:
            raise ValueError("not this one")
        done.extend(items)

    together = GroupCommit(work)
    with ThreadPoolExecutor(16) as threads:
        futures = {item: threads.submit(together.submit, item) for item in range(2 * MAX_GROUP_SIZE)}
    failed = [item for item, future in futures.items() if future.exception()]
    assert failed == [13]
    assert sorted(done) == [item for item in range(2 * MAX_GROUP_SIZE) if item != 13]


def test_an_error_reaches_the_thread_whose_item_it_is() -> None:
    def work(_items: Sequence[int]) -> None:
        raise ValueError("full")

    with pytest.raises(ValueError, match="full"):
        GroupCommit(work).submit(1)
