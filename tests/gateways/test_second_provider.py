"""A second provider is one module and one line in the registry; its texts use the same lanes (docs/providers.md)."""

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
from portal.gateways.registry import sms_gateway
from portal.messages.tables.communications import Attempt
from portal.settings import app_settings
from portal.settings.setting_changes import set_setting
from portal.settings.tables.sending_numbers import paused_senders
from tests.support import scenario, servers
from tests.support.fakes import fake_provider
from tests.support.fakes.fake_provider import API_KEY, REJECTED_NUMBER, SENT_TEXTS, UNKNOWN_OUTCOME_NUMBER

pytestmark = [pytest.mark.usefixtures("app"), pytest.mark.one_engine]


@pytest.fixture(autouse=True)
def fake_provider_registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(registry.PROVIDERS, "FakeSms", fake_provider.PROVIDER)
    SENT_TEXTS.clear()


def configure_fake_provider(api_key: str = API_KEY) -> None:
    scenario.configure_gateway()
    switch_to_fake_provider(api_key)


def switch_to_fake_provider(api_key: str = API_KEY) -> None:
    for name, value in (
        ("SmsGatewayType", "FakeSms"),
        ("SmsGatewayAuthentication", json.dumps({"AccountName": "north", "ApiKey": api_key})),
        ("SmsGatewaySettings", '{"SenderId": "sender-7", "MessagesPerMinute": 30000}'),
    ):
        set_setting(name, value, None, scenario.now_ms())


def drain() -> None:
    SmsWorkerRun(sms_gateway(), 20, clock=scenario.now_us).run()
    db.session.remove()


def create_send(total: int) -> None:
    scenario.create_accounts(total, with_sms=total)
    scenario.add_template()
    scenario.create_expanded_send()


def test_second_provider_sends_every_text_once(simulator: servers.SimulatorClient) -> None:
    configure_fake_provider()
    create_send(20)
    drain()
    expected = [scenario.phone_number(index) for index in range(20)]
    expected.remove(REJECTED_NUMBER)
    assert Counter(to for _, to, _ in SENT_TEXTS) == Counter(expected)
    assert simulator.accepted_texts() == []
    attempts = list(db.session.scalars(select(Attempt)))
    assert {(attempt.account_sid, attempt.sender, attempt.mode) for attempt in attempts} == {
        ("north", "sender-7", "live")
    }


def test_outcomes_set_the_same_states_for_every_provider() -> None:
    configure_fake_provider()
    create_send(4)
    drain()
    assert scenario.count_states("sms") == {"accepted": 2, "rejected": 1, "unknown": 1}
    (rejected,) = [text for text in scenario.deliveries("sms") if text.state == "rejected"]
    assert (rejected.address, rejected.error_code) == (REJECTED_NUMBER, "unreachable")
    scenario.run_scheduler_once(lambda: scenario.now_ms() + 1000)
    assert scenario.count_states("sms") == {"accepted": 2, "rejected": 1, "delivered": 1}
    assert [to for _, to, _ in SENT_TEXTS].count(UNKNOWN_OUTCOME_NUMBER) == 1
    scenario.run_scheduler_once(lambda: scenario.now_ms() + 700_000)
    assert scenario.count_states("sms") == {"delivered": 3, "rejected": 1}


def test_account_fault_pauses_the_sender_until_it_is_fixed() -> None:
    configure_fake_provider(api_key="fake-key-of-somebody-else")
    create_send(3)
    drain()
    assert SENT_TEXTS == []
    assert [(sender.number, sender.paused_reason) for sender in paused_senders()] == [
        ("sender-7", "invalid-key: The API key is not valid.")
    ]
    set_setting(
        "SmsGatewayAuthentication", json.dumps({"AccountName": "north", "ApiKey": API_KEY}), None, scenario.now_ms()
    )
    drain()
    assert len(SENT_TEXTS) == 2


def test_settings_follow_the_schema_of_the_current_provider() -> None:
    configure_fake_provider()
    for name, value, message in (
        (
            "SmsGatewayAuthentication",
            json.dumps(servers.LIVE_CREDENTIALS),
            'there is no key "AccountSid". The keys are AccountName, ApiKey.',
        ),
        ("SmsGatewayAuthentication", '{"AccountName": "north", "ApiKey": "x"}', '"ApiKey" must begin with fake-key-.'),
        ("SmsGatewaySettings", '{"FromNumber": "+12025550100"}', "The keys are SenderId, MessagesPerMinute."),
        ("SmsGatewayType", "Other", "SmsGatewayType must be one of Twilio, FakeSms, not 'Other'."),
    ):
        with pytest.raises(InvalidInput) as error:
            set_setting(name, value, None, scenario.now_ms())
        assert message in error.value.message
    assert app_settings.display_values()["SmsGatewayAuthentication"] == '{"AccountName": "north", "ApiKey": "••••9d2a"}'


def test_nothing_is_sent_with_the_settings_of_another_provider() -> None:
    scenario.configure_gateway()
    create_send(2)
    set_setting("SmsGatewayType", "FakeSms", None, scenario.now_ms())
    drain()
    assert SENT_TEXTS == []
    assert app_settings.configuration().missing_settings(scenario.now_ms()) == [
        "SmsGatewayAuthentication",
        "SmsGatewaySettings",
    ]


def test_nothing_is_sent_when_the_provider_is_unregistered(monkeypatch: pytest.MonkeyPatch) -> None:
    configure_fake_provider()
    create_send(2)
    monkeypatch.delitem(registry.PROVIDERS, "FakeSms")
    drain()
    assert (SENT_TEXTS, app_settings.resolve_current_gateway().send_route) == ([], None)
    assert API_KEY not in app_settings.display_values()["SmsGatewayAuthentication"]


def test_attempt_keeps_its_provider_when_the_setting_changes(app: Flask, simulator: servers.SimulatorClient) -> None:
    scenario.configure_gateway(rate=50)
    create_send(150)
    worker = threading.Thread(target=_drain_in, args=(app,))
    worker.start()
    servers.wait_for(lambda: len(simulator.accepted_texts()) > 20, "the first texts")
    switch_to_fake_provider()
    worker.join()
    drain()
    sent = [text["to"] for text in simulator.accepted_texts()] + [to for _, to, _ in SENT_TEXTS]
    assert SENT_TEXTS
    assert max(Counter(sent).values()) == 1
    attempted = set(db.session.scalars(select(Attempt.destination).where(Attempt.account_sid == "north")))
    assert attempted == {to for _, to, _ in SENT_TEXTS}


def _drain_in(app: Flask) -> None:
    with app.app_context():
        drain()
