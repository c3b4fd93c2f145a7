"""The decision table of consent through the real entry points: webhook, portal, receipts, administrator, imports."""

from collections.abc import Callable

import pytest

from portal.accounts.tables.phone_numbers import phones_of
from portal.consent import account_phones, manual_consent, opt_in_import, opt_out_import
from portal.core.actor import SHELL_ACTOR
from portal.core.errors import ActionRefused
from portal.core.extensions import db
from portal.core.transaction import transaction
from portal.settings.tables.sending_numbers import lock_senders_by_key
from tests.support import consent_decision_table as cases
from tests.support import inbound_helpers, scenario

SAMPLE_TEXTS = {"refusal": "please stop texting me", "unclear": "which renewal do you mean?"}
LONG_AGO_MS = scenario.now_ms() - cases.MONTH_MS - 30 * cases.STEP_MS


TOLL_FREE = "+18335550100"


@pytest.fixture(autouse=True)
def live_gateway(app: object) -> None:
    """A long code sends, and a toll-free number did before."""
    scenario.configure_gateway()
    with transaction():
        lock_senders_by_key([TOLL_FREE])


def test_every_scenario_is_reached_through_the_entry_points() -> None:
    """Every other scenario on each database; the next test starts from all of them on both."""
    inbound_helpers.create_account_pairs(len(cases.SCENARIOS))
    for index, state in list(enumerate(cases.SCENARIOS))[db.engine.name == "sqlite" :: 2]:
        number = NumberScenario(index)
        for step in cases.SCENARIOS[state]:
            number.apply_step(step)
        assert number.format_state() == cases.NumberHistory(cases.SCENARIOS[state]).describe(), state


def test_decision_table_through_the_entry_points() -> None:
    """Run half of the cells on each database, as on a chessboard, so that each state and each event runs on both.

    The outcome of a cell is decided by a pure function, which is tested with all of them elsewhere.
    """
    cells = [
        (state, step, outcome)
        for row, state in enumerate(cases.SCENARIOS)
        for column, (step, outcome) in enumerate(cases.expected_outcomes(state).items())
        if (row + column) % 2 == (db.engine.name == "sqlite")
    ]
    histories = [cases.NumberHistory(cases.SCENARIOS[state], LONG_AGO_MS) for state, _step, _outcome in cells]
    inbound_helpers.create_account_pairs(len(cells))
    inbound_helpers.write_ledger(histories)
    mismatches = []
    for index, (state, step, outcome) in enumerate(cells):
        number = NumberScenario(index, histories[index].at_ms)
        number.apply_step(step)
        actual = number.format_state(), number.needs_review()
        if actual != (outcome, cases.needs_review(step, outcome)):
            mismatches.append(f"{step} when {state}: {actual} instead of {outcome}")
    assert mismatches == []


class NumberScenario:
    """A number of its own, its two possible accounts, and a clock that advances with every step."""

    def __init__(self, index: int, now_ms: int = LONG_AGO_MS) -> None:
        self.index = index
        self.phone_number = scenario.phone_number(index)
        self.now_ms = now_ms

    def apply_step(self, step: str) -> None:
        """Apply the step eleven minutes later."""
        self.now_ms += cases.STEP_MS
        action, account = cases.parse_step(step)
        try:
            _EVENT_ACTIONS[action](self, self.account_id_of(account))
        except ActionRefused:
            assert action in ("move", "confirm"), f"{step} was refused"
        db.session.remove()

    def account_id_of(self, account: int) -> int:
        return inbound_helpers.table_account_id(self.index, max(account, 1))

    def phone_id(self, account_id: int) -> int:
        phone_ids = [row.id for row in phones_of(account_id) if row.number == self.phone_number]
        if not phone_ids:
            raise ActionRefused("It is not on the account.")
        return phone_ids[0]

    def format_state(self) -> str:
        holder, stopped, unreachable = inbound_helpers.stored_consent_state(self.phone_number)
        return cases.describe_state(holder[0] if holder else None, stopped, unreachable)

    def needs_review(self) -> bool:
        """Return whether the last event waits for an administrator."""
        return any(
            reply.needs_review and reply.received_at_ms == self.now_ms
            for reply in inbound_helpers.inbound_messages(self.phone_number)
        )


def _text_action(body: str, **more: str) -> Callable[[NumberScenario, int], object]:
    return lambda number, _id: inbound_helpers.receive_text(body, number.phone_number, number.now_ms, **more)


def _receipt_action(code: str) -> Callable[[NumberScenario, int], object]:
    return lambda number, account_id: inbound_helpers.receive_error_receipt(
        account_id, number.phone_number, code, number.now_ms
    )


def _invite(number: NumberScenario, account_id: int) -> None:
    inbound_helpers.invite(
        account_id, number.phone_number, number.now_ms, inbound_helpers.make_actor(account_id, ip=number.phone_number)
    )


def _request_while_stopped(number: NumberScenario, account_id: int) -> None:
    inbound_helpers.request_while_stopped(
        account_id, number.phone_number, number.now_ms, inbound_helpers.make_actor(account_id, ip=number.phone_number)
    )


def _remove(number: NumberScenario, account_id: int) -> None:
    account_phones.remove_number(
        number.phone_id(account_id), account_id, inbound_helpers.make_actor(account_id), number.now_ms
    )


def _confirm(number: NumberScenario, account_id: int) -> None:
    account_phones.confirm_number(
        number.phone_id(account_id), account_id, inbound_helpers.make_actor(account_id), number.now_ms
    )


def _import_opt_in(number: NumberScenario, account_id: int) -> None:
    external_id = f"{'BA'[account_id % 2]}-{number.index}"
    row = f"{external_id},{number.phone_number},{inbound_helpers.iso_time(number.now_ms)},paper form 7"
    opt_in_import.import_opt_ins(f"external_id,phone,opted_in_at,evidence\n{row}", SHELL_ACTOR, number.now_ms)


def _import_opt_out(number: NumberScenario, _id: int) -> None:
    row = f"{number.phone_number},{inbound_helpers.iso_time(number.now_ms)},the old provider's list"
    opt_out_import.import_opt_outs(f"phone,stopped_at,reason\n{row}", SHELL_ACTOR, number.now_ms)


def _advance_one_month(number: NumberScenario, _id: int) -> None:
    number.now_ms += cases.MONTH_MS


_EVENT_ACTIONS: dict[str, Callable[[NumberScenario, int], object]] = {
    "a month": _advance_one_month,
    "adds": lambda number, account_id: account_phones.add_number(account_id, number.phone_number, "", number.now_ms),
    "removes": _remove,
    "invite": _invite,
    "request": _request_while_stopped,
    "paper": _import_opt_in,
    "move": lambda number, account_id: manual_consent.move_texts(
        number.phone_number, account_id, SHELL_ACTOR, number.now_ms
    ),
    "confirm": _confirm,
    "manual STOP": lambda number, _id: manual_consent.opt_out(
        number.phone_number, "phone", "rang us", SHELL_ACTOR, number.now_ms
    ),
    "listed STOP": _import_opt_out,
    "21610": _receipt_action("21610"),
    "30005": _receipt_action("30005"),
    "toll-free YES": _text_action("YES", To=TOLL_FREE),
    **{word: _text_action(word) for word in ("START", "YES", "STOP", "HELP")},
    **{what: _text_action(body) for what, body in SAMPLE_TEXTS.items()},
}
