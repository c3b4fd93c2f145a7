"""The view of a handset, built from the messages that reached it or failed to."""

from dataclasses import dataclass

from simulator.error_codes import error_message
from simulator.messages.message import AUTO_REPLY, Message
from simulator.number_formats import format_phone_number
from simulator.state import State
from simulator.storage.store import Store

HANDSETS_PER_PAGE = 24
_PREVIEW_MESSAGES = 3


@dataclass(frozen=True)
class Bubble:
    kind: str  # received (by the handset), sent (from the handset), or failed (never arrived)
    text: str
    at_ms: int
    sender: str
    is_auto_reply: bool = False
    error: str = ""


@dataclass(frozen=True)
class HandsetView:
    number: str
    title: str
    bubbles: list[Bubble]
    newest_ms: int
    earlier: int  # the number of older bubbles that are not displayed
    opted_out_of: list[str]  # the sending numbers whose texts Twilio blocks


@dataclass(frozen=True)
class HandsetList:
    """One page of the list."""

    handsets: list[HandsetView]
    total: int
    page: int

    @property
    def has_more(self) -> bool:
        return self.page * HANDSETS_PER_PAGE < self.total

    @property
    def newest(self) -> HandsetView | None:
        return self.handsets[0] if self.handsets and self.page == 1 else None


def handset_list(state: State, page: int) -> HandsetList:
    """The handset with the latest activity comes first."""
    messages = _messages_by_handset(state.store)
    latest = sorted(((max(map(_displayed_at, messages[number])), number) for number in messages), reverse=True)
    numbers = [number for _, number in latest[(page - 1) * HANDSETS_PER_PAGE : page * HANDSETS_PER_PAGE]]
    return HandsetList([handset_view(state, number, _PREVIEW_MESSAGES) for number in numbers], len(latest), page)


def handset_view(state: State, number: str, last: int | None = None) -> HandsetView:
    """`last` limits the view to that many messages."""
    messages = _displayed_messages(state.store, number)
    messages.sort(key=lambda message: (_displayed_at(message), message.seq))
    displayed = messages if last is None else messages[-last:]
    return HandsetView(
        number=number,
        title=format_phone_number(number),
        bubbles=[_bubble(message) for message in displayed],
        newest_ms=_displayed_at(messages[-1]) if messages else 0,
        earlier=len(messages) - len(displayed),
        opted_out_of=[sender for sender in state.settings.from_numbers if (sender, number) in state.store.opt_outs],
    )


def count_handsets(store: Store) -> int:
    return len(_messages_by_handset(store))


def _messages_by_handset(store: Store) -> dict[str, list[Message]]:
    """Only handsets with something to display."""
    return {number: messages for number in store.by_handset if (messages := _displayed_messages(store, number))}


def _displayed_messages(store: Store, number: str) -> list[Message]:
    messages = store.by_handset.get(number, [])
    return [message for message in messages if message.is_on_handset or message.is_undelivered]


def _displayed_at(message: Message) -> int:
    return message.updated_ms if message.is_undelivered else message.handset_ms


def _bubble(message: Message) -> Bubble:
    at_ms, sender = _displayed_at(message), format_phone_number(message.from_number)
    if message.direction == "inbound":
        return Bubble("sent", message.body, at_ms, "You", error=_webhook_error(message))
    if message.is_undelivered:
        code = message.error_code or 30008
        text = f"A text from {sender} did not arrive: {error_message(code)} ({code})"
        return Bubble("failed", text, at_ms, sender)
    return Bubble("received", message.body, at_ms, sender, is_auto_reply=message.direction == AUTO_REPLY)


def _webhook_error(message: Message) -> str:
    """Why the application did not accept a text from the handset, or an empty string if it did."""
    answer = message.receipts[-1]["answer"] if message.receipts else 200
    if isinstance(answer, int):
        return "" if 200 <= answer < 300 else f"Not accepted: the application returned {answer}."
    return "Not accepted: the application did not respond."
