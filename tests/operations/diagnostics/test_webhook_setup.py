"""Diagnostics of the webhook addresses and the public address, against the simulator."""

import json
from dataclasses import replace

import pytest
import requests
from flask import Flask

from portal import create_app
from portal.core.config import Settings
from portal.core.errors import ActionRefused
from portal.core.extensions import db
from portal.operations import diagnostics
from tests.operations.diagnostics.helpers import (
    BASIC_AUTH,
    SERVICE_SID,
    change_settings,
    one_engine,
    own_number,
    run_checks_by_name,
    set_webhook_config,
)
from tests.support import scenario, servers
from tests.support.fakes import stub_servers


@one_engine
@pytest.mark.usefixtures("healthy_portal")
def test_wrong_addresses_at_twilio_are_found_and_corrected(
    simulator: servers.SimulatorClient, settings: Settings
) -> None:
    set_webhook_config(
        simulator,
        SmsUrl="https://demo.twilio.com/reply?key=1",
        StatusCallback="https://else.example/x",
        SmsMethod="GET",
    )
    checks = run_checks_by_name()
    assert (checks["Inbound address"].verdict, checks["Status address"].verdict) == ("failing", "warning")
    assert "https://demo.twilio.com/reply. START" in checks["Inbound address"].reason
    assert diagnostics.set_webhooks() == "Both addresses are set at Twilio."
    checks = run_checks_by_name()
    assert (checks["Inbound address"].verdict, checks["Status address"].verdict) == ("ok", "ok")
    assert checks["Status address"].reason == "Receipts come to the portal."
    number = own_number(simulator)
    assert number["sms_url"] == f"{settings.public_url}/webhooks/twilio/inbound"
    assert number["status_callback"] == f"{settings.public_url}/webhooks/twilio/status"


@one_engine
@pytest.mark.usefixtures("healthy_portal")
def test_application_in_place_of_the_addresses_is_removed(simulator: servers.SimulatorClient) -> None:
    set_webhook_config(simulator, SmsApplicationSid="AP" + "1" * 32)
    assert "application" in run_checks_by_name()["Inbound address"].reason
    diagnostics.set_webhooks()
    assert run_checks_by_name()["Inbound address"].verdict == "ok"


@one_engine
@pytest.mark.usefixtures("healthy_portal")
def test_messaging_service_has_its_own_addresses(simulator: servers.SimulatorClient) -> None:
    scenario.configure_gateway(SmsGatewaySettings=json.dumps({"MessagingServiceSid": SERVICE_SID}))
    checks = run_checks_by_name()
    assert checks["Sending number"].verdict == "ok"
    assert checks["Inbound address"].verdict == "failing"
    assert checks["Registration"].verdict == "ok"
    diagnostics.set_webhooks()
    checks = run_checks_by_name()
    assert (checks["Inbound address"].verdict, checks["Status address"].verdict) == ("ok", "ok")
    simulator.set_faults(account={"campaign": None})
    assert "no 10DLC campaign" in run_checks_by_name()["Registration"].reason


@one_engine
@pytest.mark.usefixtures("healthy_portal")
def test_service_that_defers_to_its_number_uses_its_address(simulator: servers.SimulatorClient) -> None:
    url = f"{simulator.url}/v1/Services/{SERVICE_SID}"
    assert requests.post(url, {"UseInboundWebhookOnNumber": "true"}, auth=BASIC_AUTH, timeout=10).ok
    both = {"MessagingServiceSid": SERVICE_SID, "FromNumber": servers.FROM_NUMBER}
    scenario.configure_gateway(SmsGatewaySettings=json.dumps(both))
    assert run_checks_by_name()["Inbound address"].verdict == "ok"
    scenario.configure_gateway(SmsGatewaySettings=json.dumps({"MessagingServiceSid": SERVICE_SID}))
    assert run_checks_by_name()["Inbound address"].verdict == "unknown"


@one_engine
def test_address_that_twilio_refuses_is_not_set(healthy_portal: Flask, simulator: servers.SimulatorClient) -> None:
    change_settings(healthy_portal, public_url="https://our_portal.example.org")
    assert run_checks_by_name()["Public address"].verdict == "failing"
    with pytest.raises(ActionRefused, match="underscore"):
        diagnostics.set_webhooks()


@one_engine
@pytest.mark.usefixtures("healthy_portal")
def test_refusal_by_twilio_is_reported(simulator: servers.SimulatorClient) -> None:
    simulator.set_faults(rules=[{"kind": "401", "call": "number"}])
    with pytest.raises(ActionRefused, match=r"Nothing was set at Twilio.*20003"):
        diagnostics.set_webhooks()


@pytest.mark.usefixtures("app", "simulator")
def test_nothing_is_set_without_credentials() -> None:
    with pytest.raises(ActionRefused, match="SmsGatewayAuthentication"):
        diagnostics.set_webhooks()


@one_engine
@pytest.mark.parametrize(
    ("status", "headers", "message"),
    [
        (301, {"Location": "https://portal.example.org/"}, "redirects"),
        (308, {"Location": "https://portal.example.org/"}, "redirects"),
        (403, {}, "signature was refused"),
        (404, {}, "does not pass"),
        (502, {}, "answered 502"),
        (204, {}, "forged one was answered 204"),
    ],
)
def test_foreign_response_at_the_public_address_is_explained(
    healthy_portal: Flask, status: int, headers: dict[str, str], message: str
) -> None:
    with stub_servers.fixed_status_server(status, **headers) as address:
        change_settings(healthy_portal, public_url=address)
        check = run_checks_by_name()["Signature round trip"]
    assert check.verdict == "failing"
    assert message in check.reason


@one_engine
@pytest.mark.usefixtures("short_timeouts")
def test_unresponsive_public_address_is_explained(healthy_portal: Flask) -> None:
    change_settings(healthy_portal, public_url=f"http://127.0.0.1:{servers.free_port()}")
    assert "Nothing is listening" in run_checks_by_name()["Signature round trip"].reason
    with stub_servers.silent_server() as port:
        change_settings(healthy_portal, public_url=f"http://127.0.0.1:{port}")
        assert "firewall" in run_checks_by_name()["Signature round trip"].reason


@one_engine
def test_process_with_another_public_address_refuses_signature(healthy_portal: Flask) -> None:
    port = healthy_portal.config["PORTAL"].public_url.rpartition(":")[2]
    asked_by = f"http://localhost:{port}"
    own = healthy_portal.config["PORTAL"]
    other = create_app(replace(own, public_url=asked_by))
    with other.app_context():
        check = {check.name: check for check in diagnostics.run_diagnostics(scenario.now_ms).checks}[
            "Signature round trip"
        ]
        db.session.remove()
        db.engine.dispose()
    assert "signature was refused" in check.reason
    assert "the same public address" in check.fix
