"""Group commit: each thread returns after its own item is committed, and a bad item fails alone."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest

from portal.core.group_commit import MAX_GROUP_SIZE, GroupCommit


def test_items_queued_during_a_commit_share_the_next_one() -> None:
    groups: list[list[int]] = []
    first_started, rest_queued = Event(), Event()

    def work(items: Sequence[int]) -> None:
        groups.append(list(items))
        if len(groups) == 1:
            first_started.set()
            assert rest_queued.wait(10)

    group_commit = GroupCommit(work)
    with ThreadPoolExecutor(21) as threads:
        first = threads.submit(group_commit.submit, 0)
        assert first_started.wait(10)
        rest = [threads.submit(group_commit.submit, item) for item in range(1, 21)]
        while len(group_commit._pending) < 20:
            pass
        rest_queued.set()
        for future in (first, *rest):
            future.result(10)
    assert groups[0] == [0]
    assert sorted(groups[1]) == list(range(1, 21))
    assert len(groups) == 2


def test_bad_item_does_not_fail_the_others() -> None:
    committed: list[int] = []

    def work(items: Sequence[int]) -> None:
        if 13 in items:
            raise ValueError("not this one")
        committed.extend(items)

    group_commit = GroupCommit(work)
    with ThreadPoolExecutor(16) as threads:
        futures = {item: threads.submit(group_commit.submit, item) for item in range(2 * MAX_GROUP_SIZE)}
    failed = [item for item, future in futures.items() if future.exception()]
    assert failed == [13]
    assert sorted(committed) == [item for item in range(2 * MAX_GROUP_SIZE) if item != 13]


def test_error_is_raised_in_the_submitting_thread() -> None:
    def work(_items: Sequence[int]) -> None:
        raise ValueError("full")

    with pytest.raises(ValueError, match="full"):
        GroupCommit(work).submit(1)
