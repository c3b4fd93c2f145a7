"""A provider that answers nothing is left alone for a while, so that few texts come into doubt."""

import parts
import pytest
import world

from portal.domain.breaker import OPENS_AFTER, failures_after
from portal.extensions import db
from portal.models.gateway import Sender


def calls(simulator: parts.Simulator) -> list[object]:
    """Every time that the simulator was asked to send."""
    return [call for call in simulator.get("/simulator/log")["log"] if call["kind"] == "create"]


pytestmark = pytest.mark.usefixtures("app")


def test_only_calls_in_a_row_count() -> None:
    assert failures_after(0, [False, False, True, False]) == 1
    assert failures_after(3, [False]) == 4
    assert failures_after(7, []) == 7


def test_a_silent_provider_gets_few_texts_and_all_arrive_once_it_answers(simulator: parts.Simulator) -> None:
    world.open_gateway(rate=20)
    world.people(60, with_sms=60)
    world.template()
    world.send()
    simulator.faults(rules=[{"kind": "500_before", "call": "create"}], receipts={"final": "none"})
    world.drain_texts()
    asked = len(calls(simulator))
    assert OPENS_AFTER <= asked < 40, "those in flight when it fell silent, and no more"
    world.drain_texts()
    assert len(calls(simulator)) == asked
    simulator.faults(receipts={"final": "none"})
    world.drain_texts(ahead_ms=61_000)
    db.session.rollback()
    assert db.session.get_one(Sender, parts.FROM).failures == 0
    assert len(simulator.texts()) == 60 - asked, "those in doubt are settled by evidence, not by sending"


def test_one_text_a_minute_is_tried_while_it_stays_silent(simulator: parts.Simulator) -> None:
    world.open_gateway(rate=20)
    world.people(60, with_sms=60)
    world.template()
    world.send()
    simulator.faults(rules=[{"kind": "500_before", "call": "create"}], receipts={"final": "none"})
    world.drain_texts()
    asked = len(calls(simulator))
    for minute in (1, 2, 3):
        world.drain_texts(ahead_ms=minute * 61_000)
        assert len(calls(simulator)) == asked + minute
