"""Work of several threads in one transaction: while one commits, the others gather for the next."""

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
    """`work` takes a list of items and commits them, all or none.

    A commit waits for the disk; with one each, threads would queue for it. Whoever comes first takes along what has
    gathered. Nobody returns before their own item is committed.
    """

    def __init__(self, work: Callable[[Sequence[Item]], None]) -> None:
        self._work = work
        self._pending: list[_PendingItem[Item]] = []
        self._pending_lock, self._commit_lock = Lock(), Lock()

    def submit(self, item: Item) -> None:
        """Raises what `work` raises for this item."""
        ticket = _PendingItem(item)
        with self._pending_lock:
            self._pending.append(ticket)
        with self._commit_lock:
            if not ticket.done:
                self._commit_group(self._take_pending())
        if ticket.error is not None:
            raise ticket.error

    def _take_pending(self) -> list[_PendingItem[Item]]:
        with self._pending_lock:
            taken, self._pending = self._pending[:MAX_GROUP_SIZE], self._pending[MAX_GROUP_SIZE:]
        return taken

    def _commit_group(self, tickets: list[_PendingItem[Item]]) -> None:
        """What cannot be done together is done one by one, so that one bad item spoils nobody else's."""
        try:
            self._work([ticket.item for ticket in tickets])
        except Exception as error:
            for ticket in tickets:
                ticket.error = error if len(tickets) == 1 else self._commit_alone(ticket)
        for ticket in tickets:
            ticket.done = True

    def _commit_alone(self, ticket: _PendingItem[Item]) -> Exception | None:
        try:
            self._work([ticket.item])
        except Exception as error:
            return error
        return None
