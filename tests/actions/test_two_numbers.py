"""Somebody with two numbers, both enabled for texts: one that falls silent does not silence the other."""

import handsets
import pytest
import world
from handsets import MINUTE_MS

from portal.actions import phones, sends
from portal.domain.consent import Kind

pytestmark = pytest.mark.usefixtures("app")
FIRST, SECOND = world.number(0), world.number(1)


@pytest.fixture(autouse=True)
def two_numbers(app: object) -> int:
    """The account of somebody who replied START from both phones; when the second did."""
    world.open_gateway()
    world.template()
    began = world.now_ms() - 60 * MINUTE_MS
    (account_id,) = handsets.shared(FIRST, began, "P-1")
    phones.add_number(account_id, SECOND, "", began)
    for number in (FIRST, SECOND):
        handsets.invite(account_id, number, began)
        handsets.says("START", number, began + MINUTE_MS)
    return account_id


def texted() -> list[tuple[str, str]]:
    """To whom the send goes and what became of it, after the preview has said the same."""
    planned = sends.plan_send("renewal", {"all": True}, {}, world.now_ms()).texts
    send_id = world.send()
    found = [(row.address, row.state) for row in world.deliveries("sms") if row.send_id == send_id]
    assert planned == sum(state == "ready" for _number, state in found)
    return found


def test_both_can_be_texted_and_the_first_is() -> None:
    assert texted() == [(FIRST, "ready")]


def test_the_first_said_stop_and_the_second_is_texted() -> None:
    handsets.says("STOP", FIRST, world.now_ms() - MINUTE_MS)
    assert texted() == [(SECOND, "ready")]


def test_the_first_is_dead_and_the_second_is_texted(two_numbers: int) -> None:
    handsets.carriers_news(two_numbers, FIRST, "30005", world.now_ms() - MINUTE_MS)
    assert handsets.kinds(FIRST)[-1] == Kind.UNREACHABLE
    assert texted() == [(SECOND, "ready")]


def test_both_said_stop_and_neither_is_texted() -> None:
    for number in (FIRST, SECOND):
        handsets.says("STOP", number, world.now_ms() - MINUTE_MS)
    assert [state for _number, state in texted()] == ["skipped"]
