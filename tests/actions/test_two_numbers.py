"""Somebody with two numbers, both enabled for texts: one that falls silent does not silence the other."""

import handsets
import pytest
import world
from handsets import MINUTE_MS

from portal.actions import phones, sends
from portal.domain.consent import EventKind

pytestmark = pytest.mark.usefixtures("app")
FIRST, SECOND = world.phone_number(0), world.phone_number(1)


@pytest.fixture(autouse=True)
def two_numbers(app: object) -> int:
    """The account of somebody who replied START from both phones; when the second did."""
    world.configure_gateway()
    world.add_template()
    began = world.now_ms() - 60 * MINUTE_MS
    (account_id,) = handsets.create_sharing_accounts(FIRST, began, "P-1")
    phones.add_number(account_id, SECOND, "", began)
    for number in (FIRST, SECOND):
        handsets.invite(account_id, number, began)
        handsets.receive_text("START", number, began + MINUTE_MS)
    return account_id


def planned_and_sent() -> list[tuple[str, str]]:
    """To whom the send goes and what became of it, after the preview has said the same."""
    planned = sends.plan_send("renewal", {"all": True}, {}, world.now_ms()).texts
    send_id = world.create_expanded_send()
    found = [(row.address, row.state) for row in world.deliveries("sms") if row.send_id == send_id]
    assert planned == sum(state == "ready" for _number, state in found)
    return found


def test_both_can_be_texted_and_the_first_is() -> None:
    assert planned_and_sent() == [(FIRST, "ready")]


def test_the_first_said_stop_and_the_second_is_texted() -> None:
    handsets.receive_text("STOP", FIRST, world.now_ms() - MINUTE_MS)
    assert planned_and_sent() == [(SECOND, "ready")]


def test_the_first_is_dead_and_the_second_is_texted(two_numbers: int) -> None:
    handsets.receive_error_receipt(two_numbers, FIRST, "30005", world.now_ms() - MINUTE_MS)
    assert handsets.ledger_kinds(FIRST)[-1] == EventKind.UNREACHABLE
    assert planned_and_sent() == [(SECOND, "ready")]


def test_both_said_stop_and_neither_is_texted() -> None:
    for number in (FIRST, SECOND):
        handsets.receive_text("STOP", number, world.now_ms() - MINUTE_MS)
    assert [state for _number, state in planned_and_sent()] == ["skipped"]
