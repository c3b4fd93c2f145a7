"""Group commit: while one thread commits, the items of other threads queue up for the next transaction."""

from collections.abc import Callable, Sequence
from threading import Lock
from typing import Generic, TypeVar

Item = TypeVar("Item")
MAX_GROUP_SIZE = 100


class _PendingItem(Generic[Item]):
    def __init__(self, item: Item) -> None:
        self.item = item
        self.done = False
        self.error: Exception | None = None


class GroupCommit(Generic[Item]):
    """`work` commits a list of items in one transaction.

    A commit waits for the disk, so single commits would make threads wait for one another. The first thread commits
    all pending items. `submit` returns after the caller's own item is committed.
    """

    def __init__(self, work: Callable[[Sequence[Item]], None]) -> None:
        self._work = work
        self._pending: list[_PendingItem[Item]] = []
        self._pending_lock, self._commit_lock = Lock(), Lock()

    def submit(self, item: Item) -> None:
        """Raises what `work` raises for this item."""
        pending = _PendingItem(item)
        with self._pending_lock:
            self._pending.append(pending)
        with self._commit_lock:
            if not pending.done:
                with self._pending_lock:
                    group, self._pending = self._pending[:MAX_GROUP_SIZE], self._pending[MAX_GROUP_SIZE:]
                self._commit_group(group)
        if pending.error is not None:
            raise pending.error

    def _commit_group(self, group: list[_PendingItem[Item]]) -> None:
        """If the group fails, commit its items one by one, so that one bad item does not fail the others."""
        try:
            self._work([pending.item for pending in group])
        except Exception as error:
            if len(group) == 1:
                group[0].error = error
            else:
                for pending in group:
                    self._commit_group([pending])
        for pending in group:
            pending.done = True
