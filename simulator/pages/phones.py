"""A handset as the pages show it, made from the messages that reached it."""

from dataclasses import dataclass

from simulator.codes import message_for
from simulator.message import AUTO_REPLY, Message
from simulator.numbers import friendly
from simulator.store import Store
from simulator.world import World

PER_PAGE = 24
_LAST_FEW = 3


@dataclass(frozen=True)
class Bubble:
    side: str  # theirs (came to the handset), own (typed on it), or note (never arrived)
    text: str
    at_ms: int
    by: str
    is_auto: bool = False
    trouble: str = ""


@dataclass(frozen=True)
class Phone:
    number: str
    title: str
    bubbles: list[Bubble]
    newest_ms: int
    earlier: int  # how many bubbles came before those
    stopped: list[str]  # our numbers whose texts Twilio blocks


@dataclass(frozen=True)
class Grid:
    phones: list[Phone]
    total: int
    page: int

    @property
    def has_more(self) -> bool:
        return self.page * PER_PAGE < self.total

    @property
    def newest(self) -> Phone | None:
        return self.phones[0] if self.phones and self.page == 1 else None


def grid(world: World, page: int) -> Grid:
    """Latest activity first."""
    latest = [(max(map(_at, shown)), number) for number, shown in _shown(world.store) if shown]
    latest.sort(reverse=True)
    numbers = [number for _, number in latest[(page - 1) * PER_PAGE : page * PER_PAGE]]
    return Grid([phone(world, number, _LAST_FEW) for number in numbers], len(latest), page)


def phone(world: World, number: str, last: int | None = None) -> Phone:
    messages = sorted(_of(world.store, number), key=lambda message: (_at(message), message.seq))
    shown = messages if last is None else messages[-last:]
    return Phone(
        number=number,
        title=friendly(number),
        bubbles=[_bubble(message) for message in shown],
        newest_ms=_at(messages[-1]) if messages else 0,
        earlier=len(messages) - len(shown),
        stopped=[ours for ours in world.settings.from_numbers if (ours, number) in world.store.blocks],
    )


def count(store: Store) -> int:
    return sum(1 for _, shown in _shown(store) if shown)


def _shown(store: Store) -> list[tuple[str, list[Message]]]:
    return [(number, _of(store, number)) for number in store.by_handset]


def _of(store: Store, number: str) -> list[Message]:
    return [each for each in store.by_handset.get(number, []) if each.on_handset or each.did_not_arrive]


def _at(message: Message) -> int:
    return message.updated_ms if message.did_not_arrive else message.activity_ms


def _bubble(message: Message) -> Bubble:
    at_ms, ours = _at(message), friendly(message.sender)
    if message.direction == "inbound":
        return Bubble("own", message.body, at_ms, "You", trouble=_trouble(message))
    if message.did_not_arrive:
        code = message.error_code or 30008
        return Bubble("note", f"A text from {ours} did not arrive: {message_for(code)} ({code})", at_ms, ours)
    return Bubble("theirs", message.body, at_ms, ours, is_auto=message.direction == AUTO_REPLY)


def _trouble(message: Message) -> str:
    """Why a text typed here did not reach the product, if it did not."""
    answer = message.receipts[-1]["answer"] if message.receipts else 200
    if isinstance(answer, int):
        return "" if 200 <= answer < 300 else f"Not taken: the product answered {answer}."
    return "Not taken: the product did not answer."
