"""Texts from handsets that no webhook brought, or not in time: found in Twilio's list, in their place."""

import json

import handsets
import parts
import pytest
import world

from portal.actions import consent_by_hand
from portal.actions.asker import AT_THE_SHELL
from portal.gateways.provider import NotAnswered

pytestmark = pytest.mark.usefixtures("app")

NOW = world.now_ms()
MINUTE_MS = handsets.MINUTE_MS


@pytest.fixture(autouse=True)
def gateway(app: object) -> None:
    global NOW  # not the moment of import: in a long run that is many minutes ago
    NOW = world.now_ms()
    world.open_gateway()


def test_a_stop_during_an_outage_of_ours_is_found_and_silences_the_number(simulator: parts.Simulator) -> None:
    world.people(1, with_sms=1)
    world.template()
    world.send()
    handsets.look(NOW - 5 * MINUTE_MS)
    handsets.seed(simulator, [("STOP", NOW - 3 * MINUTE_MS)], world.number(0))
    handsets.look(NOW)
    assert handsets.standing(world.number(0)) == ("P-0", True, False)
    assert handsets.ledger(world.number(0)) == [("opt_in", "import"), ("stop", "handset")]
    world.drain_texts()
    assert simulator.texts() == []


def test_a_stop_by_another_channel_that_was_missed_silences_the_number_too(simulator: parts.Simulator) -> None:
    world.people(1, with_sms=1)
    handsets.look(NOW - 5 * MINUTE_MS)
    handsets.seed(simulator, [("STOP", NOW - 3 * MINUTE_MS)], f"rcs:{world.number(0)}")
    handsets.look(NOW)
    assert handsets.standing(world.number(0)) == ("P-0", True, False)


def test_a_stop_to_the_number_that_sent_before_is_found_as_well(simulator: parts.Simulator) -> None:
    """Twilio does not block the new number for it: nobody but us would ever know."""
    world.people(1, with_sms=1)
    world.template()
    world.send()
    world.drain_texts()
    world.open_gateway(SmsGatewaySettings=json.dumps({"FromNumber": "+12025550101"}))
    handsets.look(NOW - 5 * MINUTE_MS)
    handsets.seed(simulator, [("STOP", NOW - 3 * MINUTE_MS)], world.number(0))
    handsets.look(NOW)
    assert handsets.standing(world.number(0)) == ("P-0", True, False)


def test_texts_that_were_missed_apply_in_order_of_time_among_those_that_were_heard(simulator: parts.Simulator) -> None:
    number = world.number(0)
    handsets.shared(number, NOW - 60 * MINUTE_MS, "A")
    texts = [("START", NOW - 40 * MINUTE_MS), ("STOP", NOW - 30 * MINUTE_MS), ("START", NOW - 20 * MINUTE_MS)]
    first, stop, _last = handsets.seed(simulator, [*texts, ("HELP", NOW - 10 * MINUTE_MS)], number)[:3]
    handsets.says("START", number, NOW - 40 * MINUTE_MS, first)
    handsets.says("STOP", number, NOW - 30 * MINUTE_MS, stop)
    assert handsets.standing(number)[1]
    handsets.look(NOW)
    assert handsets.said(number) == [("START", 1), ("STOP", 1), ("START", 1), ("HELP", 1)]
    assert handsets.standing(number) == ("A", False, False)
    assert [reply.heard for reply in handsets.in_order(number)] == ["webhook", "webhook", "list", "list"]


def test_a_missed_start_of_long_ago_does_not_outrun_a_newer_stop(simulator: parts.Simulator) -> None:
    number = world.number(0)
    handsets.shared(number, NOW - 60 * MINUTE_MS, "A")
    handsets.seed(simulator, [("START", NOW - 30 * MINUTE_MS)], number)
    handsets.says("STOP", number, NOW - 10 * MINUTE_MS)
    handsets.look(NOW)
    assert handsets.standing(number) == ("A", True, False)
    assert handsets.texts("welcome") == []


def test_a_missed_start_does_not_outrun_a_newer_stop_by_hand(simulator: parts.Simulator) -> None:
    number = world.number(0)
    handsets.shared(number, NOW - 60 * MINUTE_MS, "A")
    handsets.seed(simulator, [("START", NOW - 30 * MINUTE_MS)], number)
    consent_by_hand.opt_out(number, "phone", "rang us", AT_THE_SHELL, NOW - 10 * MINUTE_MS)
    handsets.look(NOW)
    assert handsets.standing(number) == ("A", True, False)


def test_a_start_after_an_outage_of_days_is_found_and_welcomed_once(simulator: parts.Simulator) -> None:
    number, days_ms = world.number(0), 3 * 86_400_000
    handsets.shared(number, NOW - 2 * days_ms, "A")
    handsets.look(NOW - days_ms)
    handsets.seed(simulator, [("START", NOW - days_ms + 5 * MINUTE_MS)], number)
    for minutes in (0, 2, 4):
        handsets.look(NOW + minutes * MINUTE_MS)
    assert handsets.standing(number) == ("A", False, False)
    assert [(address, state) for address, state, _why in handsets.texts("welcome")] == [(number, "ready")]


def test_a_text_that_is_fetched_and_then_brought_by_its_webhook_counts_once(simulator: parts.Simulator) -> None:
    number = world.number(0)
    handsets.shared(number, NOW - 60 * MINUTE_MS, "A")
    (start,) = handsets.seed(simulator, [("START", NOW - 5 * MINUTE_MS)], number)
    handsets.look(NOW)
    handsets.says("STOP", number, NOW - MINUTE_MS)
    handsets.says("START", number, NOW, start)
    assert handsets.kinds(number) == ["start", "stop"]
    assert handsets.standing(number) == ("A", True, False)


def test_what_is_read_already_is_not_read_again_and_the_list_is_asked_once_a_minute(
    simulator: parts.Simulator,
) -> None:
    number = world.number(0)
    handsets.shared(number, NOW - 60 * MINUTE_MS, "A")
    handsets.seed(simulator, [("START", NOW - 5 * MINUTE_MS)], number)
    for seconds in (0, 20, 40, 61, 80):
        handsets.look(NOW + seconds * 1_000)
    calls = [call for call in simulator.get("/simulator/log")["log"] if call["kind"] == "list"]
    assert len(calls) == 2
    assert handsets.kinds(number) == ["start"]


def test_a_list_that_breaks_off_is_read_again_from_where_it_was(simulator: parts.Simulator) -> None:
    number = world.number(0)
    handsets.shared(number, NOW - 60 * MINUTE_MS, "A")
    handsets.seed(simulator, [("STOP", NOW - 5 * MINUTE_MS)], number)
    simulator.faults(rules=[{"kind": "500_before", "call": "list", "count": 1}])
    with pytest.raises(NotAnswered):
        handsets.look(NOW)
    assert handsets.kinds(number) == []
    handsets.look(NOW + 5_000)
    assert handsets.kinds(number) == ["stop"]


def test_more_texts_than_a_page_of_the_list_holds_are_all_found(simulator: parts.Simulator) -> None:
    handsets.seed(simulator, [("STOP", NOW - 6 * MINUTE_MS)], world.number(0))
    handsets.seed(simulator, [("who is this?", NOW - 5 * MINUTE_MS)] * 105, world.number(1))
    handsets.look(NOW)
    assert handsets.kinds(world.number(0)) == ["stop"]
    assert len(handsets.replies(world.number(1))) == 105
