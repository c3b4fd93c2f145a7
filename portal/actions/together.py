"""Work of several threads in one transaction: while one commits, the others gather for the next."""

from collections.abc import Callable, Sequence
from threading import Lock
from typing import Generic, TypeVar

Item = TypeVar("Item")
MOST = 100


class _Ticket(Generic[Item]):
    def __init__(self, item: Item) -> None:
        self.item = item
        self.done = False
        self.error: Exception | None = None


class Together(Generic[Item]):
    """`work` takes a list of items and commits them, all or none.

    A commit waits for the disk; with one each, threads would queue for it. Whoever comes first takes along what has
    gathered. Nobody returns before their own item is committed.
    """

    def __init__(self, work: Callable[[Sequence[Item]], None]) -> None:
        self._work = work
        self._waiting: list[_Ticket[Item]] = []
        self._gathering, self._working = Lock(), Lock()

    def do(self, item: Item) -> None:
        """Raises what `work` raises for this item."""
        ticket = _Ticket(item)
        with self._gathering:
            self._waiting.append(ticket)
        with self._working:
            if not ticket.done:
                self._work_off(self._gathered())
        if ticket.error is not None:
            raise ticket.error

    def _gathered(self) -> list[_Ticket[Item]]:
        with self._gathering:
            taken, self._waiting = self._waiting[:MOST], self._waiting[MOST:]
        return taken

    def _work_off(self, tickets: list[_Ticket[Item]]) -> None:
        """What cannot be done together is done one by one, so that one bad item spoils nobody else's."""
        try:
            self._work([ticket.item for ticket in tickets])
        except Exception as error:
            for ticket in tickets:
                ticket.error = error if len(tickets) == 1 else self._tried_alone(ticket)
        for ticket in tickets:
            ticket.done = True

    def _tried_alone(self, ticket: _Ticket[Item]) -> Exception | None:
        try:
            self._work([ticket.item])
        except Exception as error:
            return error
        return None
