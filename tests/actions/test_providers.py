"""A second carrier is one module and one line: its texts leave through the same lane as any others."""

import json
import threading
from collections import Counter

import parts
import pigeon
import pytest
import world
from flask import Flask
from pigeon import FLOWN, FOG, HAWK, WHISTLE
from sqlalchemy import select

from portal.actions import settings
from portal.actions.carriers import sms_gateway
from portal.actions.errors import Invalid
from portal.actions.settings import set_setting
from portal.actions.sms_drain import Drain
from portal.extensions import db
from portal.gateways import registry
from portal.models.communication import Attempt

pytestmark = [pytest.mark.usefixtures("app"), pytest.mark.one_engine]


@pytest.fixture(autouse=True)
def pigeons(monkeypatch: pytest.MonkeyPatch) -> None:
    """The one line."""
    monkeypatch.setitem(registry.PROVIDERS, "Pigeon", pigeon.PROVIDER)
    FLOWN.clear()


def by_pigeon(whistle: str = WHISTLE) -> None:
    world.open_gateway()
    change_to_pigeons(whistle)


def change_to_pigeons(whistle: str = WHISTLE) -> None:
    for name, value in (
        ("SmsGatewayType", "Pigeon"),
        ("SmsGatewayAuthentication", json.dumps({"Loft": "north", "Whistle": whistle})),
        ("SmsGatewaySettings", '{"Ring": "ring-7", "PerMinute": 30000}'),
    ):
        set_setting(name, value, None, world.now_ms())


def drain(ahead_ms: int = 0) -> None:
    Drain(sms_gateway(), 20, clock=lambda: world.now_us() + ahead_ms * 1000).run()
    db.session.remove()


def a_send(total: int) -> None:
    world.people(total, with_sms=total)
    world.template()
    world.send()


def test_a_send_leaves_by_the_second_carrier_once_each_and_nothing_by_the_first(simulator: parts.Simulator) -> None:
    by_pigeon()
    a_send(20)
    drain()
    wished = {world.number(place): 1 for place in range(20) if world.number(place) != HAWK}
    assert Counter(to for _, to, _ in FLOWN) == wished
    assert simulator.texts() == []
    attempts = list(db.session.scalars(select(Attempt)))
    assert {(attempt.account_sid, attempt.sender, attempt.mode) for attempt in attempts} == {
        ("north", "ring-7", "live")
    }


def test_each_way_a_call_can_end_means_the_same_for_every_carrier() -> None:
    by_pigeon()
    a_send(4)
    drain()
    assert world.states("sms") == {"accepted": 2, "rejected": 1, "unknown": 1}
    (rejected,) = [text for text in world.deliveries("sms") if text.state == "rejected"]
    assert (rejected.address, rejected.error_code) == (HAWK, "hawk")
    world.sweep_all(lambda: world.now_ms() + 1000)
    assert world.states("sms") == {"accepted": 2, "rejected": 1, "delivered": 1}
    assert [to for _, to, _ in FLOWN].count(FOG) == 1
    world.sweep_all(lambda: world.now_ms() + 700_000)
    assert world.states("sms") == {"delivered": 3, "rejected": 1}


def test_a_fault_of_the_account_stops_the_lane_until_it_is_mended() -> None:
    by_pigeon(whistle="whistle-of-somebody-else")
    a_send(3)
    drain()
    assert FLOWN == []
    assert [(sender, reason) for sender, reason in settings.paused_lanes()] == [("ring-7", "whistle: No pigeon came.")]
    set_setting("SmsGatewayAuthentication", json.dumps({"Loft": "north", "Whistle": WHISTLE}), None, world.now_ms())
    drain()
    assert len(FLOWN) == 2


def test_the_settings_have_the_rules_of_the_carrier_in_force() -> None:
    by_pigeon()
    for name, typed, said in (
        (
            "SmsGatewayAuthentication",
            json.dumps(parts.LIVE),
            'there is no key "AccountSid". The keys are Loft, Whistle.',
        ),
        ("SmsGatewayAuthentication", '{"Loft": "north", "Whistle": "flute"}', '"Whistle" must be a whistle.'),
        ("SmsGatewaySettings", '{"FromNumber": "+12025550100"}', "The keys are Ring, PerMinute."),
        ("SmsGatewayType", "Owl", "SmsGatewayType must be Twilio or Pigeon, not 'Owl'."),
    ):
        with pytest.raises(Invalid) as refused:
            set_setting(name, typed, None, world.now_ms())
        assert said in refused.value.sentence
    assert settings.shown()["SmsGatewayAuthentication"] == '{"Loft": "north", "Whistle": "••••9d2a"}'


def test_what_was_written_for_another_carrier_lets_nothing_leave() -> None:
    world.open_gateway()
    a_send(2)
    set_setting("SmsGatewayType", "Pigeon", None, world.now_ms())
    drain()
    assert FLOWN == []
    assert settings.configuration().missing(world.now_ms()) == ["SmsGatewayAuthentication", "SmsGatewaySettings"]


def test_a_carrier_that_is_gone_lets_nothing_leave_and_breaks_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    by_pigeon()
    a_send(2)
    monkeypatch.delitem(registry.PROVIDERS, "Pigeon")
    drain()
    assert (FLOWN, settings.gateway().door) == ([], None)
    assert WHISTLE not in settings.shown()["SmsGatewayAuthentication"]


def test_an_attempt_keeps_its_carrier_while_the_setting_changes(app: Flask, simulator: parts.Simulator) -> None:
    world.open_gateway(rate=50)
    a_send(150)
    worker = threading.Thread(target=_drain_in, args=(app,))
    worker.start()
    parts.wait_for(lambda: len(simulator.texts()) > 20, "the first texts")
    change_to_pigeons()
    worker.join()
    drain()
    left = [text["to"] for text in simulator.texts()] + [to for _, to, _ in FLOWN]
    assert FLOWN
    assert max(Counter(left).values()) == 1
    by_loft = {attempt.sent_to for attempt in db.session.scalars(select(Attempt).where(Attempt.account_sid == "north"))}
    assert by_loft == {to for _, to, _ in FLOWN}


def _drain_in(app: Flask) -> None:
    with app.app_context():
        drain()
