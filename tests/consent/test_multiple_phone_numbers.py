"""An account with two enabled numbers: one that is stopped or unreachable does not affect the other."""

import pytest

from portal.consent import account_phones
from portal.consent.rules.consent_state import EventKind
from portal.sends import send_creation
from tests.support import inbound_helpers, scenario
from tests.support.inbound_helpers import MINUTE_MS

pytestmark = pytest.mark.usefixtures("app")
FIRST, SECOND = scenario.phone_number(0), scenario.phone_number(1)


@pytest.fixture(autouse=True)
def two_numbers(app: object) -> int:
    """The account of somebody who replied START from both phones."""
    scenario.configure_gateway()
    scenario.add_template()
    began = scenario.now_ms() - 60 * MINUTE_MS
    (account_id,) = inbound_helpers.create_sharing_accounts(FIRST, began, "P-1")
    account_phones.add_number(account_id, SECOND, "", began)
    for number in (FIRST, SECOND):
        inbound_helpers.invite(account_id, number, began)
        inbound_helpers.receive_text("START", number, began + MINUTE_MS)
    return account_id


def planned_and_sent() -> list[tuple[str, str]]:
    """To whom the send goes and what became of it, after the preview has said the same."""
    planned = send_creation.plan_send("renewal", {"all": True}, {}, scenario.now_ms()).texts
    send_id = scenario.create_expanded_send()
    found = [(row.address, row.state) for row in scenario.deliveries("sms") if row.send_id == send_id]
    assert planned == sum(state == "ready" for _number, state in found)
    return found


def test_first_of_two_enabled_numbers_is_texted() -> None:
    assert planned_and_sent() == [(FIRST, "ready")]


def test_second_number_is_texted_if_the_first_is_stopped() -> None:
    inbound_helpers.receive_text("STOP", FIRST, scenario.now_ms() - MINUTE_MS)
    assert planned_and_sent() == [(SECOND, "ready")]


def test_second_number_is_texted_if_the_first_is_unreachable(two_numbers: int) -> None:
    inbound_helpers.receive_error_receipt(two_numbers, FIRST, "30005", scenario.now_ms() - MINUTE_MS)
    assert inbound_helpers.ledger_kinds(FIRST)[-1] == EventKind.UNREACHABLE
    assert planned_and_sent() == [(SECOND, "ready")]


def test_no_text_leaves_if_both_numbers_are_stopped() -> None:
    for number in (FIRST, SECOND):
        inbound_helpers.receive_text("STOP", number, scenario.now_ms() - MINUTE_MS)
    assert [state for _number, state in planned_and_sent()] == ["skipped"]
