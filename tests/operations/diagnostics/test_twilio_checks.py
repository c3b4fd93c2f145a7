"""Diagnostics of the Twilio account, against the simulator."""

import json
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import text

from portal.core.errors import ActionRefused
from portal.core.extensions import db
from portal.gateways import registry
from portal.operations import diagnostics
from portal.settings.setting_changes import set_setting
from tests.operations.diagnostics.helpers import (
    SERVICE_SID,
    change_settings,
    one_engine,
    pause_sender,
    problems,
    run_checks_by_name,
    set_webhook_config,
)
from tests.support import scenario, servers
from tests.support.fakes import fake_provider, stub_servers


def calls_with_test_credentials(simulator: servers.SimulatorClient) -> list[dict[str, Any]]:
    log = simulator.get("/simulator/log")["log"]
    return [call for call in log if call["account_sid"] == servers.TEST_CREDENTIALS["AccountSid"]]


@pytest.mark.usefixtures("healthy_portal")
def test_healthy_portal_has_no_failing_check(
    simulator: servers.SimulatorClient,
) -> None:
    checks = run_checks_by_name()
    assert problems(checks) == {"Mode": "warning", "Registration": "unknown", "Deactivated numbers": "unknown"}
    assert "simulator" in checks["Mode"].reason
    assert "names none" in checks["Registration"].reason
    assert simulator.accepted_texts() == []
    assert simulator.received_emails() == []


@one_engine
@pytest.mark.usefixtures("healthy_portal")
def test_diagnostics_run_while_texts_are_off() -> None:
    scenario.configure_gateway(rate=1, EnableSmsNotifications="false")
    checks = run_checks_by_name()
    assert problems(checks) == {"Mode": "warning", "Registration": "unknown", "Deactivated numbers": "unknown"}
    assert "switched off" in checks["Mode"].reason


@pytest.mark.usefixtures("healthy_portal")
def test_missing_settings_are_named() -> None:
    db.session.execute(text("DELETE FROM app_setting"))
    db.session.commit()
    checks = run_checks_by_name()
    assert "SmsGatewayAuthentication is not set" in checks["Credentials"].reason
    assert "SmsGatewaySettings is not set" in checks["Sending number"].reason
    assert {
        checks[name].verdict for name in ("Inbound address", "Rate", "Signature round trip", "Test credentials")
    } == {"unknown"}


@one_engine
def test_unreadable_secret_is_not_reported_as_unset(healthy_portal: Flask) -> None:
    change_settings(healthy_portal, encryption_keys=(b"o" * 32,))
    checks = run_checks_by_name()
    for name in ("Credentials", "Test credentials"):
        assert "was encrypted with a key that is not in PORTAL_ENCRYPTION_KEY" in checks[name].reason
    assert checks["Credentials"].verdict == "failing"


@pytest.mark.usefixtures("healthy_portal")
@one_engine
def test_other_providers_are_not_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(registry.PROVIDERS, "FakeSms", fake_provider.PROVIDER)
    pause_sender()
    set_setting("SmsGatewayType", "FakeSms", None, scenario.now_ms())
    pause_sender()
    report, refusal = diagnostics.resume_sending(scenario.now_ms)
    asked = [check for check in report.checks if check.group == "Twilio" and check.name != "Public address"]
    assert {check.verdict for check in asked} == {"unknown"}
    assert "FakeSms sends the texts" in str(refusal)
    with pytest.raises(ActionRefused, match="FakeSms"):
        diagnostics.set_webhooks()


@one_engine
@pytest.mark.usefixtures("healthy_portal")
def test_wrong_token_leaves_other_checks_unknown(simulator: servers.SimulatorClient) -> None:
    scenario.configure_gateway(
        rate=1, SmsGatewayAuthentication=json.dumps({**servers.LIVE_CREDENTIALS, "AuthToken": "another-token"})
    )
    checks = run_checks_by_name()
    assert checks["Credentials"].verdict == "failing"
    assert "20003" in checks["Credentials"].reason
    unknown = ("Account", "Sending number", "Number type", "Inbound address", "Status address", "Registration")
    assert {name: checks[name].verdict for name in unknown} == dict.fromkeys(unknown, "unknown")
    assert checks["Clock"].verdict == "ok", "a refusal has a date too"


@one_engine
@pytest.mark.usefixtures("healthy_portal")
@pytest.mark.parametrize(
    ("faults", "name", "message"),
    [
        ({"account": {"status": "suspended"}}, "Account", "suspended"),
        ({"account": {"status": "closed"}}, "Account", "closed"),
        ({"account": {"sms": False}}, "Sending number", "does not let it send"),
        ({"clock_skew_seconds": 95}, "Clock", "s behind Twilio"),
        ({"clock_skew_seconds": -120}, "Clock", "s ahead of Twilio"),
        ({"rules": [{"kind": "reset_before", "call": "account"}]}, "Credentials", "could not be reached"),
    ],
)
def test_problems_at_twilio_are_found(
    simulator: servers.SimulatorClient, faults: dict[str, Any], name: str, message: str
) -> None:
    simulator.set_faults(**faults)
    check = run_checks_by_name()[name]
    assert check.verdict == "failing"
    assert message in check.reason


@one_engine
@pytest.mark.usefixtures("healthy_portal", "short_timeouts")
def test_unresponsive_twilio_is_found(simulator: servers.SimulatorClient) -> None:
    simulator.set_faults(
        rules=[{"kind": "timeout_before", "seconds": 30, "call": call} for call in ("account", "create")]
    )
    checks = run_checks_by_name()
    assert checks["Credentials"].verdict == "failing"
    assert "in time" in checks["Credentials"].reason
    assert checks["Test credentials"].verdict == "unknown"


@one_engine
@pytest.mark.usefixtures("healthy_portal")
@pytest.mark.parametrize(
    ("faults", "names"),
    [
        ({"rules": [{"kind": "429", "call": "account"}]}, ("Credentials", "Account")),
        ({"rules": [{"kind": "500_before", "call": "account"}]}, ("Credentials", "Account")),
        ({"rules": [{"kind": "html_200", "call": "numbers"}]}, ("Sending number", "Inbound address")),
        ({"rules": [{"kind": "half_json", "call": "numbers"}]}, ("Sending number", "Inbound address")),
    ],
)
def test_uninformative_response_is_unknown(
    simulator: servers.SimulatorClient, faults: dict[str, Any], names: tuple[str, ...]
) -> None:
    simulator.set_faults(**faults)
    checks = run_checks_by_name()
    assert {name: checks[name].verdict for name in names} == dict.fromkeys(names, "unknown")


@one_engine
@pytest.mark.usefixtures("healthy_portal")
def test_skew_of_our_own_clock_is_found() -> None:
    assert "ahead" in run_checks_by_name(skew_ms=45_000)["Clock"].reason
    assert run_checks_by_name(skew_ms=45_000)["Clock"].verdict == "warning"


@one_engine
@pytest.mark.usefixtures("healthy_portal")
def test_number_of_another_account_is_found() -> None:
    scenario.configure_gateway(SmsGatewaySettings='{"FromNumber": "+12025550188"}')
    checks = run_checks_by_name()
    assert "does not own +1 ••• 0188" in checks["Sending number"].reason
    assert checks["Inbound address"].verdict == "unknown"
    with pytest.raises(ActionRefused, match="not a number of the account"):
        diagnostics.set_webhooks()


@one_engine
@pytest.mark.usefixtures("healthy_portal")
def test_number_type_and_rate_are_compared_with_twilio(simulator: servers.SimulatorClient) -> None:
    simulator.set_faults(account={"number_type": "toll_free"})
    checks = run_checks_by_name()
    assert (checks["Number type"].verdict, checks["Rate"].verdict) == ("warning", "ok")
    simulator.set_faults(account={"number_type": None})
    scenario.configure_gateway(
        SmsGatewaySettings=json.dumps({"FromNumber": servers.FROM_NUMBER, "SegmentsPerSecond": 25})
    )
    checks = run_checks_by_name()
    assert "digits" in checks["Number type"].reason
    assert "10DLC" in checks["Rate"].reason


@one_engine
@pytest.mark.usefixtures("healthy_portal")
def test_verification_of_toll_free_number_is_checked(simulator: servers.SimulatorClient) -> None:
    simulator.set_faults(account={"number_type": "toll_free"})
    assert run_checks_by_name()["Registration"].verdict == "ok"
    simulator.set_faults(account={"number_type": "toll_free", "toll_free": "TWILIO_REJECTED"})
    assert "was rejected" in run_checks_by_name()["Registration"].reason


@one_engine
def test_missing_part_of_twilios_api_is_unknown(
    healthy_portal: Flask,
) -> None:
    scenario.configure_gateway(SmsGatewaySettings=json.dumps({"MessagingServiceSid": SERVICE_SID}))
    with stub_servers.fixed_status_server(404) as nothing_there:
        change_settings(healthy_portal, twilio_api_url=nothing_there)
        checks = run_checks_by_name()
    assert checks["Registration"].verdict == checks["Inbound address"].verdict == "unknown"
    assert "console" in checks["Registration"].fix


@one_engine
@pytest.mark.usefixtures("healthy_portal")
def test_api_key_is_accepted_but_cannot_verify_webhooks() -> None:
    key = {
        "AccountSid": servers.LIVE_CREDENTIALS["AccountSid"],
        "ApiKeySid": "SK00000000000000000000000000000003",
        "ApiKeySecret": "simulator-key-secret",
    }
    scenario.configure_gateway(rate=1, SmsGatewayAuthentication=json.dumps(key))
    checks = run_checks_by_name()
    assert checks["Credentials"].reason == "Twilio accepts the API key."
    assert checks["Account"].verdict == "unknown"
    assert checks["Webhook token"].verdict == "failing"
    assert checks["Signature round trip"].verdict == "unknown"
    scenario.configure_gateway(rate=1, SmsGatewayAuthentication=json.dumps({**key, "ApiKeySecret": "wrong-secret-99"}))
    assert run_checks_by_name()["Credentials"].verdict == "failing"


@one_engine
@pytest.mark.usefixtures("healthy_portal")
def test_test_credentials_are_tried_without_sending_a_text(simulator: servers.SimulatorClient) -> None:
    assert run_checks_by_name()["Test credentials"].verdict == "ok"
    (call,) = calls_with_test_credentials(simulator)
    assert (call["accepted"], call["outcome"]) == (False, "21211")
    wrong = json.dumps({**servers.TEST_CREDENTIALS, "AuthToken": "another-token"})
    scenario.configure_gateway(rate=1, TestSmsGatewayAuthentication=wrong)
    assert run_checks_by_name()["Test credentials"].verdict == "warning"
    scenario.configure_gateway(rate=1, TestSmsGatewayAuthentication=wrong, EnableSmsTestMode="true")
    assert run_checks_by_name()["Test credentials"].verdict == "failing"
    scenario.configure_gateway(rate=1, TestSmsGatewaySettings='{"FromNumber": "+15005550007"}')
    assert "FromNumber" in run_checks_by_name()["Test credentials"].reason


@one_engine
@pytest.mark.usefixtures("healthy_portal")
def test_live_credentials_in_place_of_test_ones_are_not_used(simulator: servers.SimulatorClient) -> None:
    scenario.configure_gateway(
        rate=1, EnableSmsTestMode="true", TestSmsGatewayAuthentication=json.dumps(servers.LIVE_CREDENTIALS)
    )
    checks = run_checks_by_name()
    assert checks["Test credentials"].verdict == "failing"
    assert "real texts" in checks["Test credentials"].reason
    assert not [call for call in simulator.get("/simulator/log")["log"] if call["kind"] == "create"]


@one_engine
def test_results_and_logs_hold_no_secrets_or_numbers(
    healthy_portal: Flask, simulator: servers.SimulatorClient, capfd: pytest.CaptureFixture[str]
) -> None:
    pause_sender()
    canary = "canary-token-of-the-account"
    set_webhook_config(simulator, SmsUrl=f"https://u:{canary}@demo.example/reply?k={canary}")
    checks = [run_checks_by_name()]
    scenario.configure_gateway(SmsGatewayAuthentication=json.dumps({**servers.LIVE_CREDENTIALS, "AuthToken": canary}))
    change_settings(
        healthy_portal, smtp_url=f"smtp://{stub_servers.SMTP_USER}:{canary}@127.0.0.1:{servers.free_port()}"
    )
    checks.append(run_checks_by_name())
    captured = capfd.readouterr()
    said = str(checks) + captured.out + captured.err
    for secret in (
        canary,
        servers.LIVE_CREDENTIALS["AuthToken"],
        servers.TEST_CREDENTIALS["AuthToken"],
        servers.FROM_NUMBER,
        servers.FROM_NUMBER[1:],
    ):
        assert secret not in said
