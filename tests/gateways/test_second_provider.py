"""A second carrier is one module and one line: its texts leave through the same lane as any others."""

import json
import threading
from collections import Counter

import pytest
from flask import Flask
from sqlalchemy import select

from portal.core.errors import InvalidInput
from portal.core.extensions import db
from portal.delivery.sms_worker import SmsWorkerRun
from portal.gateways import registry
from portal.gateways.sms_provider import sms_gateway
from portal.messages.tables.communications import Attempt
from portal.settings import app_settings
from portal.settings.app_settings import set_setting
from tests.support import scenario, servers
from tests.support.fakes import fake_provider
from tests.support.fakes.fake_provider import API_KEY, REJECTED_NUMBER, SENT_TEXTS, UNKNOWN_OUTCOME_NUMBER

pytestmark = [pytest.mark.usefixtures("app"), pytest.mark.one_engine]


@pytest.fixture(autouse=True)
def fake_provider_registered(monkeypatch: pytest.MonkeyPatch) -> None:
    """The one line."""
    monkeypatch.setitem(registry.PROVIDERS, "FakeSms", fake_provider.PROVIDER)
    SENT_TEXTS.clear()


def configure_fake_provider(whistle: str = API_KEY) -> None:
    scenario.configure_gateway()
    switch_to_fake_provider(whistle)


def switch_to_fake_provider(whistle: str = API_KEY) -> None:
    for name, value in (
        ("SmsGatewayType", "FakeSms"),
        ("SmsGatewayAuthentication", json.dumps({"AccountName": "north", "ApiKey": whistle})),
        ("SmsGatewaySettings", '{"SenderId": "ring-7", "MessagesPerMinute": 30000}'),
    ):
        set_setting(name, value, None, scenario.now_ms())


def drain(ahead_ms: int = 0) -> None:
    SmsWorkerRun(sms_gateway(), 20, clock=lambda: scenario.now_us() + ahead_ms * 1000).run()
    db.session.remove()


def a_send(total: int) -> None:
    scenario.create_accounts(total, with_sms=total)
    scenario.add_template()
    scenario.create_expanded_send()


def test_a_send_leaves_by_the_second_carrier_once_each_and_nothing_by_the_first(
    simulator: servers.SimulatorClient,
) -> None:
    configure_fake_provider()
    a_send(20)
    drain()
    wished = {scenario.phone_number(place): 1 for place in range(20) if scenario.phone_number(place) != REJECTED_NUMBER}
    assert Counter(to for _, to, _ in SENT_TEXTS) == wished
    assert simulator.accepted_texts() == []
    attempts = list(db.session.scalars(select(Attempt)))
    assert {(attempt.account_sid, attempt.sender, attempt.mode) for attempt in attempts} == {
        ("north", "ring-7", "live")
    }


def test_each_way_a_call_can_end_means_the_same_for_every_carrier() -> None:
    configure_fake_provider()
    a_send(4)
    drain()
    assert scenario.count_states("sms") == {"accepted": 2, "rejected": 1, "unknown": 1}
    (rejected,) = [text for text in scenario.deliveries("sms") if text.state == "rejected"]
    assert (rejected.address, rejected.error_code) == (REJECTED_NUMBER, "hawk")
    scenario.run_scheduler_once(lambda: scenario.now_ms() + 1000)
    assert scenario.count_states("sms") == {"accepted": 2, "rejected": 1, "delivered": 1}
    assert [to for _, to, _ in SENT_TEXTS].count(UNKNOWN_OUTCOME_NUMBER) == 1
    scenario.run_scheduler_once(lambda: scenario.now_ms() + 700_000)
    assert scenario.count_states("sms") == {"delivered": 3, "rejected": 1}


def test_a_fault_of_the_account_stops_the_lane_until_it_is_mended() -> None:
    configure_fake_provider(whistle="whistle-of-somebody-else")
    a_send(3)
    drain()
    assert SENT_TEXTS == []
    assert [(sender, reason) for sender, reason in app_settings.paused_sending_numbers()] == [
        ("ring-7", "whistle: No pigeon came.")
    ]
    set_setting(
        "SmsGatewayAuthentication", json.dumps({"AccountName": "north", "ApiKey": API_KEY}), None, scenario.now_ms()
    )
    drain()
    assert len(SENT_TEXTS) == 2


def test_the_settings_have_the_rules_of_the_carrier_in_force() -> None:
    configure_fake_provider()
    for name, typed, said in (
        (
            "SmsGatewayAuthentication",
            json.dumps(servers.LIVE_CREDENTIALS),
            'there is no key "AccountSid". The keys are Loft, ApiKey.',
        ),
        ("SmsGatewayAuthentication", '{"AccountName": "north", "ApiKey": "flute"}', '"ApiKey" must be a whistle.'),
        ("SmsGatewaySettings", '{"FromNumber": "+12025550100"}', "The keys are Ring, MessagesPerMinute."),
        ("SmsGatewayType", "Owl", "SmsGatewayType must be Twilio or FakeSms, not 'Owl'."),
    ):
        with pytest.raises(InvalidInput) as refused:
            set_setting(name, typed, None, scenario.now_ms())
        assert said in refused.value.message
    assert app_settings.display_values()["SmsGatewayAuthentication"] == '{"AccountName": "north", "ApiKey": "••••9d2a"}'


def test_what_was_written_for_another_carrier_lets_nothing_leave() -> None:
    scenario.configure_gateway()
    a_send(2)
    set_setting("SmsGatewayType", "FakeSms", None, scenario.now_ms())
    drain()
    assert SENT_TEXTS == []
    assert app_settings.configuration().missing_settings(scenario.now_ms()) == [
        "SmsGatewayAuthentication",
        "SmsGatewaySettings",
    ]


def test_a_carrier_that_is_gone_lets_nothing_leave_and_breaks_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    configure_fake_provider()
    a_send(2)
    monkeypatch.delitem(registry.PROVIDERS, "FakeSms")
    drain()
    assert (SENT_TEXTS, app_settings.resolve_current_gateway().send_route) == ([], None)
    assert API_KEY not in app_settings.display_values()["SmsGatewayAuthentication"]


def test_an_attempt_keeps_its_carrier_while_the_setting_changes(app: Flask, simulator: servers.SimulatorClient) -> None:
    scenario.configure_gateway(rate=50)
    a_send(150)
    worker = threading.Thread(target=_drain_in, args=(app,))
    worker.start()
    servers.wait_for(lambda: len(simulator.accepted_texts()) > 20, "the first accepted_texts")
    switch_to_fake_provider()
    worker.join()
    drain()
    left = [text["to"] for text in simulator.accepted_texts()] + [to for _, to, _ in SENT_TEXTS]
    assert SENT_TEXTS
    assert max(Counter(left).values()) == 1
    by_loft = {
        attempt.destination for attempt in db.session.scalars(select(Attempt).where(Attempt.account_sid == "north"))
    }
    assert by_loft == {to for _, to, _ in SENT_TEXTS}


def _drain_in(app: Flask) -> None:
    with app.app_context():
        drain()
