"""The decision table of consent through the real doors: webhook, portal, carrier's news, administrator, imports."""

from collections.abc import Callable

import consent_cases as cases
import handsets
import pytest
import world

from portal.actions import consent_by_hand, consent_import, opt_in_import, phones
from portal.actions.asker import AT_THE_SHELL
from portal.actions.errors import Refused
from portal.actions.transaction import transaction
from portal.extensions import db
from portal.models.gateway import locked_senders
from portal.models.phone import numbers_of

WORDS = {"refusal": "please stop texting me", "unclear": "which renewal do you mean?"}
LONG_AGO_MS = world.now_ms() - cases.LONG_MS - 30 * cases.STEP_MS


TOLL_FREE = "+18335550100"


@pytest.fixture(autouse=True)
def gateway(app: object) -> None:
    """A long code sends, and a toll-free number did before."""
    world.open_gateway()
    with transaction():
        locked_senders([TOLL_FREE])


def test_every_state_of_the_table_comes_about_through_the_doors() -> None:
    handsets.open_accounts(len(cases.STATES))
    for place, state in enumerate(cases.STATES):
        number = OneNumber(place)
        for step in cases.STATES[state]:
            number.happens(step)
        assert number.shown() == cases.Story(cases.STATES[state]).shown(), state


def test_the_decision_table_through_the_doors() -> None:
    """As on a chessboard, the white cells on one database and the black ones on the other: each state and each door on
    both. What becomes of a cell is decided by a function that knows no database, and sees all of them elsewhere."""
    cells = [
        (state, what, outcome)
        for row, state in enumerate(cases.STATES)
        for column, (what, outcome) in enumerate(cases.outcomes(state).items())
        if (row + column) % 2 == (db.engine.name == "sqlite")
    ]
    stories = [cases.Story(cases.STATES[state], LONG_AGO_MS) for state, _what, _outcome in cells]
    handsets.open_accounts(len(cells))
    handsets.write_down(stories)
    wrong = []
    for place, (state, what, outcome) in enumerate(cells):
        number = OneNumber(place, stories[place].at_ms)
        number.happens(what)
        if (number.shown(), number.asks()) != (outcome, cases.asks_somebody(what, outcome)):
            wrong.append(f"{what} when {state}: {number.shown()}, asks: {number.asks()}, instead of {outcome}")
    assert wrong == []


class OneNumber:
    """A number of its own, the accounts that it may stand on, and a clock that goes on with every step."""

    def __init__(self, place: int, now_ms: int = LONG_AGO_MS) -> None:
        self.place = place
        self.number = world.number(place)
        self.now_ms = now_ms

    def happens(self, step: str) -> None:
        """Eleven minutes later."""
        self.now_ms += cases.STEP_MS
        what, who = cases.split(step)
        try:
            _DOORS[what](self, self.account(who))
        except Refused:
            assert what in ("move", "confirm"), f"{step} was refused"
        db.session.remove()

    def account(self, who: int) -> int:
        return handsets.account_id(self.place, max(who, 1))

    def phone(self, account_id: int) -> int:
        found = [row.id for row in numbers_of(account_id) if row.number == self.number]
        if not found:
            raise Refused("It is not on the account.")
        return found[0]

    def shown(self) -> str:
        holder, stopped, dead = handsets.standing(self.number)
        return cases.shown(holder[0] if holder else None, stopped, dead)

    def asks(self) -> bool:
        """Whether the last thing that happened waits for an administrator."""
        return any(reply.asks and reply.received_at_ms == self.now_ms for reply in handsets.replies(self.number))


def _say(body: str, **more: str) -> Callable[[OneNumber, int], object]:
    return lambda number, _id: handsets.says(body, number.number, number.now_ms, **more)


def _carriers_news(code: str) -> Callable[[OneNumber, int], object]:
    return lambda number, account_id: handsets.carriers_news(account_id, number.number, code, number.now_ms)


def _invite(number: OneNumber, account_id: int) -> None:
    handsets.invite(account_id, number.number, number.now_ms, handsets.asker(account_id, ip=number.number))


def _wish(number: OneNumber, account_id: int) -> None:
    handsets.wish(account_id, number.number, number.now_ms, handsets.asker(account_id, ip=number.number))


def _remove(number: OneNumber, account_id: int) -> None:
    phones.remove_number(number.phone(account_id), account_id, handsets.asker(account_id), number.now_ms)


def _confirm(number: OneNumber, account_id: int) -> None:
    phones.confirm_number(number.phone(account_id), account_id, handsets.asker(account_id), number.now_ms)


def _paper(number: OneNumber, account_id: int) -> None:
    external_id = f"{'BA'[account_id % 2]}-{number.place}"
    row = f"{external_id},{number.number},{handsets.iso(number.now_ms)},paper form 7"
    opt_in_import.import_opt_ins(f"external_id,phone,opted_in_at,evidence\n{row}", AT_THE_SHELL, number.now_ms)


def _listed(number: OneNumber, _id: int) -> None:
    row = f"{number.number},{handsets.iso(number.now_ms)},the old provider's list"
    consent_import.import_stops(f"phone,stopped_at,reason\n{row}", AT_THE_SHELL, number.now_ms)


def _wait(number: OneNumber, _id: int) -> None:
    number.now_ms += cases.LONG_MS


_DOORS: dict[str, Callable[[OneNumber, int], object]] = {
    "a month": _wait,
    "adds": lambda number, account_id: phones.add_number(account_id, number.number, "", number.now_ms),
    "removes": _remove,
    "invite": _invite,
    "wish": _wish,
    "paper": _paper,
    "move": lambda number, account_id: consent_by_hand.move_texts(
        number.number, account_id, AT_THE_SHELL, number.now_ms
    ),
    "confirm": _confirm,
    "manual STOP": lambda number, _id: consent_by_hand.opt_out(
        number.number, "phone", "rang us", AT_THE_SHELL, number.now_ms
    ),
    "listed STOP": _listed,
    "21610": _carriers_news("21610"),
    "30005": _carriers_news("30005"),
    "toll-free YES": _say("YES", To=TOLL_FREE),
    **{word: _say(word) for word in ("START", "YES", "STOP", "HELP")},
    **{what: _say(body) for what, body in WORDS.items()},
}
