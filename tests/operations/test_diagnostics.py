"""The doctor against the simulator: what is wrong is found, what can be set is set, what is dead holds nobody up."""

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import requests
from flask import Flask
from sqlalchemy import text

from portal import create_app
from portal.core.config import Settings
from portal.core.errors import ActionRefused
from portal.core.extensions import db
from portal.core.transaction import transaction
from portal.delivery import maintenance
from portal.gateways import registry, round_trip, smtp_probe, twilio_account
from portal.operations import check_runner, diagnostics
from portal.operations.check_runner import CheckTask
from portal.operations.rules.checks import CheckResult, CheckSpec
from portal.settings.app_settings import set_setting
from portal.settings.tables.sending_numbers import SendingNumber, paused_senders
from tests.support import scenario, servers
from tests.support.fakes import fake_provider, stub_servers

KINDS = ("worker:sms", "worker:email", "worker:work", "scheduler")
NUMBERS = f"/2010-04-01/Accounts/{servers.LIVE_CREDENTIALS['AccountSid']}/IncomingPhoneNumbers"
BASIC_AUTH = (servers.LIVE_CREDENTIALS["AccountSid"], servers.LIVE_CREDENTIALS["AuthToken"])
SERVICE = "MG" + "a" * 32
MAIL = ("Mail server", "Encryption", "Sign-in", "Sender")


one_engine = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
"""For what no database has a say in."""


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """With a public address that leads to us, and a sender that is not the placeholder."""
    address = f"http://127.0.0.1:{servers.free_port()}"
    return replace(settings, public_url=address, mail_from="Board <notices@example.org>")


@pytest.fixture
def short_timeouts(monkeypatch: pytest.MonkeyPatch) -> None:
    """For what does not answer at all: a fraction of the patience that the doctor has elsewhere."""
    for gateway in (twilio_account, round_trip):
        monkeypatch.setattr(gateway, "_TIMEOUT", (1.0, 1.0))
    monkeypatch.setattr(smtp_probe, "_TIMEOUT_SECONDS", 1.0)
    monkeypatch.setattr(check_runner.run_checks, "__defaults__", (2.0,))


@pytest.fixture
def healthy_portal(app: Flask, settings: Settings, simulator: servers.SimulatorClient) -> Iterator[Flask]:
    """A portal with nothing wrong: the addresses set, every process record_heartbeats, the public address served."""
    scenario.configure_gateway(rate=1)
    set_webhook_config(simulator, SmsUrl=f"{settings.public_url}/webhooks/twilio/inbound")
    record_heartbeats(KINDS)
    with stub_servers.serve_app(app, int(settings.public_url.rpartition(":")[2])):
        yield app


def set_webhook_config(simulator: servers.SimulatorClient, **form: str) -> None:
    (number,) = requests.get(f"{simulator.url}{NUMBERS}.json", auth=BASIC_AUTH, timeout=10).json()[
        "incoming_phone_numbers"
    ]
    answer = requests.post(f"{simulator.url}{NUMBERS}/{number['sid']}.json", form, auth=BASIC_AUTH, timeout=10)
    assert answer.ok


def record_heartbeats(kinds: tuple[str, ...], at_ms: int | None = None) -> None:
    for kind in kinds:
        maintenance.record_heartbeat(kind, kind, at_ms or scenario.now_ms())


def change_sender(app: Flask, **changes: Any) -> None:
    app.config["PORTAL"] = replace(app.config["PORTAL"], **changes)


def pause(reason: str = "The Twilio account is not active.") -> None:
    with transaction() as session:
        session.merge(
            SendingNumber(number=servers.FROM_NUMBER, next_free_at_us=0, paused_reason=reason, paused_at_ms=1)
        )


def checks_by_name(skew_ms: int = 0) -> dict[str, CheckResult]:
    found = {line.name: line for line in diagnostics.run_diagnostics(lambda: scenario.now_ms() + skew_ms).checks}
    assert len(found) == 26, "every line is there, whatever happens"
    return found


def verdicts(found: dict[str, CheckResult]) -> dict[str, str]:
    return {name: line.verdict for name, line in found.items() if line.verdict != "ok"}


def asked_with_test_credentials(simulator: servers.SimulatorClient) -> list[dict[str, Any]]:
    log = simulator.get("/simulator/log")["log"]
    return [call for call in log if call["account_sid"] == servers.TEST_CREDENTIALS["AccountSid"]]


@pytest.mark.usefixtures("healthy_portal")
def test_a_portal_that_is_well_has_nothing_failing_and_says_what_it_cannot_know(
    simulator: servers.SimulatorClient,
) -> None:
    found = checks_by_name()
    assert verdicts(found) == {"Mode": "warning", "Registration": "unknown"}
    assert "stand-in" in found["Mode"].reason
    assert "names none" in found["Registration"].reason
    assert simulator.accepted_texts() == []
    assert simulator.received_emails() == []


@one_engine
@pytest.mark.usefixtures("healthy_portal")
def test_it_works_while_texts_are_switched_off() -> None:
    scenario.configure_gateway(rate=1, EnableSmsNotifications="false")
    found = checks_by_name()
    assert verdicts(found) == {"Mode": "warning", "Registration": "unknown"}
    assert "switched off" in found["Mode"].reason


@pytest.mark.usefixtures("healthy_portal")
def test_a_portal_with_nothing_set_is_told_what_to_set() -> None:
    db.session.execute(text("DELETE FROM app_setting"))
    db.session.commit()
    found = checks_by_name()
    assert "SmsGatewayAuthentication is not set" in found["Credentials"].reason
    assert "SmsGatewaySettings is not set" in found["Sending number"].reason
    assert {
        found[name].verdict for name in ("Inbound address", "Rate", "Signature round trip", "Test credentials")
    } == {"unknown"}


@one_engine
def test_a_secret_that_cannot_be_unsealed_is_not_called_unset(healthy_portal: Flask) -> None:
    change_sender(healthy_portal, encryption_keys=(b"o" * 32,))
    found = checks_by_name()
    for name in ("Credentials", "Test credentials"):
        assert "was encrypted with a key that is not in PORTAL_ENCRYPTION_KEY" in found[name].reason
    assert found["Credentials"].verdict == "failing"


@pytest.mark.usefixtures("healthy_portal")
@one_engine
def test_of_another_carrier_nothing_is_claimed_and_nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(registry.PROVIDERS, "FakeSms", fake_provider.PROVIDER)
    pause()
    set_setting("SmsGatewayType", "FakeSms", None, scenario.now_ms())
    pause()
    report, refusal = diagnostics.resume_sending(scenario.now_ms)
    asked = [line for line in report.checks if line.group == "Twilio" and line.name != "Public address"]
    assert {line.verdict for line in asked} == {"unknown"}
    assert "Texts go by FakeSms" in str(refusal)
    with pytest.raises(ActionRefused, match="FakeSms"):
        diagnostics.set_webhooks()


@one_engine
@pytest.mark.usefixtures("healthy_portal")
def test_a_wrong_token_is_found_and_nothing_else_is_called_good(simulator: servers.SimulatorClient) -> None:
    scenario.configure_gateway(
        rate=1, SmsGatewayAuthentication=json.dumps({**servers.LIVE_CREDENTIALS, "AuthToken": "another-token"})
    )
    found = checks_by_name()
    assert found["Credentials"].verdict == "failing"
    assert "20003" in found["Credentials"].reason
    unknown = ("Account", "Sending number", "Number type", "Inbound address", "Status address", "Registration")
    assert {name: found[name].verdict for name in unknown} == dict.fromkeys(unknown, "unknown")
    assert found["Clock"].verdict == "ok", "a refusal has a date too"


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
def test_what_is_wrong_at_twilio_is_found(
    simulator: servers.SimulatorClient, faults: dict[str, Any], name: str, message: str
) -> None:
    simulator.set_faults(**faults)
    line = checks_by_name()[name]
    assert line.verdict == "failing"
    assert message in line.reason


@one_engine
@pytest.mark.usefixtures("healthy_portal", "short_timeouts")
def test_a_twilio_that_does_not_answer_is_found(simulator: servers.SimulatorClient) -> None:
    simulator.set_faults(
        rules=[{"kind": "timeout_before", "seconds": 30, "call": call} for call in ("account", "create")]
    )
    found = checks_by_name()
    assert found["Credentials"].verdict == "failing"
    assert "in time" in found["Credentials"].reason
    assert found["Test credentials"].verdict == "unknown"


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
def test_an_answer_that_says_nothing_is_unknown_and_never_ok(
    simulator: servers.SimulatorClient, faults: dict[str, Any], names: tuple[str, ...]
) -> None:
    simulator.set_faults(**faults)
    found = checks_by_name()
    assert {name: found[name].verdict for name in names} == dict.fromkeys(names, "unknown")


@one_engine
@pytest.mark.usefixtures("healthy_portal")
def test_a_clock_of_our_own_that_is_off_is_found() -> None:
    assert "ahead" in checks_by_name(skew_ms=45_000)["Clock"].reason
    assert checks_by_name(skew_ms=45_000)["Clock"].verdict == "warning"


@one_engine
@pytest.mark.usefixtures("healthy_portal")
def test_a_number_of_somebody_else_is_found_and_named_by_its_end() -> None:
    scenario.configure_gateway(SmsGatewaySettings='{"FromNumber": "+12025550188"}')
    found = checks_by_name()
    assert "does not own +1 ••• 0188" in found["Sending number"].reason
    assert found["Inbound address"].verdict == "unknown"
    with pytest.raises(ActionRefused, match="no number of the account"):
        diagnostics.set_webhooks()


@one_engine
@pytest.mark.usefixtures("healthy_portal")
def test_the_type_that_is_set_and_the_rate_are_held_against_twilio(simulator: servers.SimulatorClient) -> None:
    simulator.set_faults(account={"number_type": "toll_free"})
    found = checks_by_name()
    assert (found["Number type"].verdict, found["Rate"].verdict) == ("warning", "ok")
    simulator.set_faults(account={"number_type": None})
    scenario.configure_gateway(
        SmsGatewaySettings=json.dumps({"FromNumber": servers.FROM_NUMBER, "SegmentsPerSecond": 25})
    )
    found = checks_by_name()
    assert "digits" in found["Number type"].reason
    assert "10DLC" in found["Rate"].reason


@one_engine
@pytest.mark.usefixtures("healthy_portal")
def test_wrong_addresses_at_twilio_are_found_set_and_then_good(
    simulator: servers.SimulatorClient, settings: Settings
) -> None:
    set_webhook_config(
        simulator,
        SmsUrl="https://demo.twilio.com/reply?key=1",
        StatusCallback="https://else.example/x",
        SmsMethod="GET",
    )
    found = checks_by_name()
    assert (found["Inbound address"].verdict, found["Status address"].verdict) == ("failing", "warning")
    assert "https://demo.twilio.com/reply:" in found["Inbound address"].reason
    assert diagnostics.set_webhooks() == "Both addresses are set at Twilio."
    found = checks_by_name()
    assert (found["Inbound address"].verdict, found["Status address"].verdict) == ("ok", "ok")
    assert found["Status address"].reason == "Receipts come to the portal."
    (number,) = requests.get(f"{simulator.url}{NUMBERS}.json", auth=BASIC_AUTH, timeout=10).json()[
        "incoming_phone_numbers"
    ]
    assert number["sms_url"] == f"{settings.public_url}/webhooks/twilio/inbound"
    assert number["status_callback"] == f"{settings.public_url}/webhooks/twilio/status"


@one_engine
@pytest.mark.usefixtures("healthy_portal")
def test_an_application_that_stands_in_for_the_addresses_is_taken_away(simulator: servers.SimulatorClient) -> None:
    set_webhook_config(simulator, SmsApplicationSid="AP" + "1" * 32)
    assert "application" in checks_by_name()["Inbound address"].reason
    diagnostics.set_webhooks()
    assert checks_by_name()["Inbound address"].verdict == "ok"


@one_engine
@pytest.mark.usefixtures("healthy_portal")
def test_a_messaging_service_has_addresses_of_its_own(simulator: servers.SimulatorClient) -> None:
    scenario.configure_gateway(SmsGatewaySettings=json.dumps({"MessagingServiceSid": SERVICE}))
    found = checks_by_name()
    assert found["Sending number"].verdict == "ok"
    assert found["Inbound address"].verdict == "failing"
    assert found["Registration"].verdict == "ok"
    diagnostics.set_webhooks()
    found = checks_by_name()
    assert (found["Inbound address"].verdict, found["Status address"].verdict) == ("ok", "ok")
    simulator.set_faults(account={"campaign": None})
    assert "no 10DLC campaign" in checks_by_name()["Registration"].reason


@one_engine
@pytest.mark.usefixtures("healthy_portal")
def test_a_service_that_leaves_it_to_its_numbers_is_judged_by_the_number(simulator: servers.SimulatorClient) -> None:
    url = f"{simulator.url}/v1/Services/{SERVICE}"
    assert requests.post(url, {"UseInboundWebhookOnNumber": "true"}, auth=BASIC_AUTH, timeout=10).ok
    both = {"MessagingServiceSid": SERVICE, "FromNumber": servers.FROM_NUMBER}
    scenario.configure_gateway(SmsGatewaySettings=json.dumps(both))
    assert checks_by_name()["Inbound address"].verdict == "ok"
    scenario.configure_gateway(SmsGatewaySettings=json.dumps({"MessagingServiceSid": SERVICE}))
    assert checks_by_name()["Inbound address"].verdict == "unknown"


@one_engine
@pytest.mark.usefixtures("healthy_portal")
def test_a_toll_free_number_is_asked_for_its_verification(simulator: servers.SimulatorClient) -> None:
    simulator.set_faults(account={"number_type": "toll_free"})
    assert checks_by_name()["Registration"].verdict == "ok"
    simulator.set_faults(account={"number_type": "toll_free", "toll_free": "TWILIO_REJECTED"})
    assert "was rejected" in checks_by_name()["Registration"].reason


@one_engine
def test_where_only_part_of_twilios_api_answers_the_rest_is_unknown_and_says_where_to_look(
    healthy_portal: Flask,
) -> None:
    scenario.configure_gateway(SmsGatewaySettings=json.dumps({"MessagingServiceSid": SERVICE}))
    with stub_servers.fixed_status_server(404) as nothing_there:
        change_sender(healthy_portal, twilio_api_url=nothing_there)
        found = checks_by_name()
    assert found["Registration"].verdict == found["Inbound address"].verdict == "unknown"
    assert "console" in found["Registration"].fix


@one_engine
@pytest.mark.usefixtures("healthy_portal")
def test_an_api_key_is_proven_by_what_it_may_do_and_cannot_verify_webhooks_alone() -> None:
    key = {
        "AccountSid": servers.LIVE_CREDENTIALS["AccountSid"],
        "ApiKeySid": "SK00000000000000000000000000000003",
        "ApiKeySecret": "simulator-key-secret",
    }
    scenario.configure_gateway(rate=1, SmsGatewayAuthentication=json.dumps(key))
    found = checks_by_name()
    assert found["Credentials"].reason == "Twilio accepts the API key."
    assert found["Account"].verdict == "unknown"
    assert found["Webhook token"].verdict == "failing"
    assert found["Signature round trip"].verdict == "unknown"
    scenario.configure_gateway(rate=1, SmsGatewayAuthentication=json.dumps({**key, "ApiKeySecret": "wrong-secret-99"}))
    assert checks_by_name()["Credentials"].verdict == "failing"


@one_engine
@pytest.mark.usefixtures("healthy_portal")
def test_test_credentials_are_tried_without_making_a_text(simulator: servers.SimulatorClient) -> None:
    assert checks_by_name()["Test credentials"].verdict == "ok"
    (call,) = asked_with_test_credentials(simulator)
    assert (call["accepted"], call["outcome"]) == (False, "21211")
    wrong = json.dumps({**servers.TEST_CREDENTIALS, "AuthToken": "another-token"})
    scenario.configure_gateway(rate=1, TestSmsGatewayAuthentication=wrong)
    assert checks_by_name()["Test credentials"].verdict == "warning"
    scenario.configure_gateway(rate=1, TestSmsGatewayAuthentication=wrong, EnableSmsTestMode="true")
    assert checks_by_name()["Test credentials"].verdict == "failing"
    scenario.configure_gateway(rate=1, TestSmsGatewaySettings='{"FromNumber": "+15005550007"}')
    assert "FromNumber" in checks_by_name()["Test credentials"].reason


@one_engine
@pytest.mark.usefixtures("healthy_portal")
def test_live_credentials_in_the_place_of_test_ones_are_found_and_not_used(simulator: servers.SimulatorClient) -> None:
    scenario.configure_gateway(
        rate=1, EnableSmsTestMode="true", TestSmsGatewayAuthentication=json.dumps(servers.LIVE_CREDENTIALS)
    )
    found = checks_by_name()
    assert found["Test credentials"].verdict == "failing"
    assert "real texts" in found["Test credentials"].reason
    assert not [call for call in simulator.get("/simulator/log")["log"] if call["kind"] == "create"]


@one_engine
@pytest.mark.parametrize(
    ("status", "headers", "message"),
    [
        (301, {"Location": "https://portal.example.org/"}, "leads elsewhere"),
        (308, {"Location": "https://portal.example.org/"}, "leads elsewhere"),
        (403, {}, "signature was refused"),
        (404, {}, "does not pass"),
        (502, {}, "answered 502"),
        (204, {}, "forged one was answered 204"),
    ],
)
def test_who_else_answers_at_the_public_address_is_told(
    healthy_portal: Flask, status: int, headers: dict[str, str], message: str
) -> None:
    with stub_servers.fixed_status_server(status, **headers) as address:
        change_sender(healthy_portal, public_url=address)
        line = checks_by_name()["Signature round trip"]
    assert line.verdict == "failing"
    assert message in line.reason


@one_engine
@pytest.mark.usefixtures("short_timeouts")
def test_a_public_address_where_nobody_is_or_nobody_answers_is_told(healthy_portal: Flask) -> None:
    change_sender(healthy_portal, public_url=f"http://127.0.0.1:{servers.free_port()}")
    assert "Nobody listens" in checks_by_name()["Signature round trip"].reason
    with stub_servers.silent_server() as port:
        change_sender(healthy_portal, public_url=f"http://127.0.0.1:{port}")
        assert "firewall" in checks_by_name()["Signature round trip"].reason


@one_engine
def test_a_process_with_another_idea_of_the_public_address_refuses_the_signature(healthy_portal: Flask) -> None:
    port = healthy_portal.config["PORTAL"].public_url.rpartition(":")[2]
    asked_by = f"http://localhost:{port}"
    own = healthy_portal.config["PORTAL"]
    other = create_app(replace(own, public_url=asked_by))
    with other.app_context():
        line = {check.name: check for check in diagnostics.run_diagnostics(scenario.now_ms).checks}[
            "Signature round trip"
        ]
        db.session.remove()
        db.engine.dispose()
    assert "signature was refused" in line.reason
    assert "PORTAL_PUBLIC_URL" in line.fix


@one_engine
def test_addresses_that_twilio_would_refuse_are_not_set_there(
    healthy_portal: Flask, simulator: servers.SimulatorClient
) -> None:
    change_sender(healthy_portal, public_url="https://our_portal.example.org")
    assert checks_by_name()["Public address"].verdict == "failing"
    with pytest.raises(ActionRefused, match="underscore"):
        diagnostics.set_webhooks()


@one_engine
@pytest.mark.usefixtures("healthy_portal")
def test_what_twilio_refuses_to_set_is_said(simulator: servers.SimulatorClient) -> None:
    simulator.set_faults(rules=[{"kind": "401", "call": "number"}])
    with pytest.raises(ActionRefused, match=r"Nothing was set at Twilio.*20003"):
        diagnostics.set_webhooks()


@pytest.mark.usefixtures("app", "simulator")
def test_without_credentials_nothing_is_set() -> None:
    with pytest.raises(ActionRefused, match="SmsGatewayAuthentication"):
        diagnostics.set_webhooks()


@pytest.mark.usefixtures("healthy_portal")
def test_workers_and_scheduler_that_died_are_named() -> None:
    record_heartbeats(KINDS, scenario.now_ms() - 61_000)
    record_heartbeats(("worker:email",))
    found = checks_by_name()
    assert "portal worker sms, portal worker work" in found["Workers"].fix
    assert found["Scheduler"].verdict == "failing"


@one_engine
def test_a_queue_that_is_away_is_found(healthy_portal: Flask) -> None:
    change_sender(healthy_portal, redis_url="unix:///nowhere/valkey.sock")
    assert checks_by_name()["Queue"].verdict == "failing"


@pytest.mark.usefixtures("healthy_portal")
def test_tables_that_are_not_migrated_are_found() -> None:
    db.session.execute(text("UPDATE alembic_version SET version_num = '0001'"))
    db.session.commit()
    assert "portal db upgrade" in checks_by_name()["Database"].fix


@one_engine
def test_a_mail_server_that_is_away_is_found(healthy_portal: Flask) -> None:
    change_sender(healthy_portal, smtp_url=f"smtp://127.0.0.1:{servers.free_port()}")
    found = checks_by_name()
    assert "nothing listens there" in found["Mail server"].reason
    assert [found[name].verdict for name in MAIL] == ["failing", "unknown", "unknown", "unknown"]


@one_engine
@pytest.mark.usefixtures("healthy_portal")
def test_a_mail_server_that_turns_us_away_is_found(simulator: servers.SimulatorClient) -> None:
    simulator.set_faults(smtp=[{"kind": "421"}])
    assert "421" in checks_by_name()["Mail server"].reason


@one_engine
def test_mail_by_starttls_and_sign_in_is_proven_and_each_fault_named(
    healthy_portal: Flask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with stub_servers.tls_smtp_server(tmp_path) as port:
        change_sender(
            healthy_portal,
            smtp_url=f"smtp://{stub_servers.SMTP_USER}:{stub_servers.SMTP_PASSWORD}@{stub_servers.OTHER_HOST}:{port}",
        )
        untrusted = checks_by_name()
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "cert.pem"))
        good = checks_by_name()
        change_sender(
            healthy_portal,
            smtp_url=f"smtp://{stub_servers.SMTP_USER}:wrong-password-1@{stub_servers.OTHER_HOST}:{port}",
        )
        refused = checks_by_name()
        change_sender(healthy_portal, smtp_url=f"smtp://{stub_servers.OTHER_HOST}:{port}")
        nobody = checks_by_name()
    assert "not trusted" in untrusted["Encryption"].reason
    assert [good[name].reason for name in MAIL[1:3]] == [
        "The connection is encrypted.",
        "The server accepts our user and password.",
    ]
    assert "535" in refused["Sign-in"].reason
    assert refused["Sender"].verdict == "unknown"
    assert (nobody["Sign-in"].verdict, nobody["Sender"].verdict) == ("warning", "failing")
    assert stub_servers.SMTP_PASSWORD not in str([untrusted, good, refused, nobody])


@one_engine
@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"smtp_url": "smtp://portal:secret@mail.example.org?starttls=never"}, "in the clear"),
        ({"smtp_url": "smtp://portal@mail.example.org"}, "without a password"),
        ({"mail_from": "not an address"}, "PORTAL_MAIL_FROM cannot be used"),
        ({"mail_from": "Bücher <bücher@example.org>"}, "before the @"),
    ],
)
def test_mail_settings_that_cannot_be_used_are_found(
    healthy_portal: Flask, wrong: dict[str, str], message: str
) -> None:
    change_sender(healthy_portal, **wrong)
    found = checks_by_name()
    assert (found["Mail server"].verdict, message in found["Mail server"].reason) == ("failing", True)


@one_engine
def test_a_password_that_would_leave_without_tls_is_found(
    healthy_portal: Flask, simulator: servers.SimulatorClient
) -> None:
    simulator.set_faults(smtp_extensions=["AUTH"])
    elsewhere = simulator.smtp_url.replace("127.0.0.1", stub_servers.OTHER_HOST)
    change_sender(
        healthy_portal, smtp_url=elsewhere.replace("//", f"//{stub_servers.SMTP_USER}:{stub_servers.SMTP_PASSWORD}@")
    )
    found = checks_by_name()
    assert (found["Encryption"].verdict, found["Sign-in"].verdict) == ("failing", "unknown")
    assert "no STARTTLS" in found["Encryption"].reason
    change_sender(
        healthy_portal,
        smtp_url=simulator.smtp_url.replace("//", f"//{stub_servers.SMTP_USER}:{stub_servers.SMTP_PASSWORD}@"),
    )
    assert {checks_by_name()[name].verdict for name in MAIL[:3]} == {"ok"}


def test_sending_resumes_when_twilios_checks_pass_whatever_else_is_wrong(healthy_portal: Flask) -> None:
    pause()
    change_sender(healthy_portal, smtp_url=f"smtp://127.0.0.1:{servers.free_port()}")
    assert checks_by_name()["Lanes"].action == "resume"
    report, refusal = diagnostics.resume_sending(scenario.now_ms)
    assert refusal is None
    assert paused_senders() == []
    assert {line.name: line.verdict for line in report.checks}["Lanes"] == "ok"
    assert len(report.checks) == 26


@pytest.mark.usefixtures("healthy_portal")
@pytest.mark.parametrize(
    "faults",
    [
        {"account": {"status": "suspended"}},
        {"account": {"sms": False}},
        {"rules": [{"kind": "500_before", "call": "account"}]},
    ],
)
def test_sending_stays_paused_while_something_fails_at_twilio(
    simulator: servers.SimulatorClient, faults: dict[str, Any]
) -> None:
    pause()
    simulator.set_faults(**faults)
    report, refusal = diagnostics.resume_sending(scenario.now_ms)
    assert "Sending stays paused." in str(refusal)
    assert [sender.number for sender in paused_senders()] == [servers.FROM_NUMBER]
    assert {line.name: line.verdict for line in report.checks}["Lanes"] == "failing"


@pytest.mark.usefixtures("healthy_portal")
def test_a_lane_that_the_drain_paused_goes_on_after_the_doctor_passed(simulator: servers.SimulatorClient) -> None:
    scenario.create_accounts(2, with_sms=2)
    scenario.add_template()
    simulator.set_faults(account={"status": "suspended"})
    scenario.create_expanded_send()
    scenario.run_sms_worker()
    assert diagnostics.resume_sending(scenario.now_ms)[1] is not None
    simulator.set_faults(receipts={"final": "none"})
    scenario.run_sms_worker()
    assert simulator.accepted_texts() == [], "still paused"
    assert diagnostics.resume_sending(scenario.now_ms)[1] is None
    scenario.run_sms_worker(clock_ahead_ms=5000)
    assert len(simulator.accepted_texts()) == 2


@one_engine
def test_neither_secrets_nor_numbers_are_in_findings_or_logs(
    healthy_portal: Flask, simulator: servers.SimulatorClient, capfd: pytest.CaptureFixture[str]
) -> None:
    pause()
    canary = "canary-token-of-the-account"
    set_webhook_config(simulator, SmsUrl=f"https://u:{canary}@demo.example/reply?k={canary}")
    found = [checks_by_name()]
    scenario.configure_gateway(SmsGatewayAuthentication=json.dumps({**servers.LIVE_CREDENTIALS, "AuthToken": canary}))
    change_sender(healthy_portal, smtp_url=f"smtp://{stub_servers.SMTP_USER}:{canary}@127.0.0.1:{servers.free_port()}")
    found.append(checks_by_name())
    captured = capfd.readouterr()
    said = str(found) + captured.out + captured.err
    for secret in (
        canary,
        servers.LIVE_CREDENTIALS["AuthToken"],
        servers.TEST_CREDENTIALS["AuthToken"],
        servers.FROM_NUMBER,
        servers.FROM_NUMBER[1:],
    ):
        assert secret not in said


@one_engine
@pytest.mark.usefixtures("short_timeouts")
def test_when_all_is_dead_every_line_is_there_when_patience_ends(healthy_portal: Flask) -> None:
    assert check_runner.CHECK_TIMEOUT_SECONDS < 10
    with stub_servers.silent_server() as port:
        change_sender(
            healthy_portal,
            twilio_api_url=f"http://127.0.0.1:{port}",
            public_url=f"http://localhost:{port}",
            smtp_url=f"smtp://127.0.0.1:{port}",
            redis_url=f"redis://127.0.0.1:{port}/0",
        )
        started = time.monotonic()
        found = checks_by_name()
        took = time.monotonic() - started
    assert took < 20, "of which the doctor waited two"
    failing = ("Credentials", "Queue", "Signature round trip", "Mail server")
    assert {name: found[name].verdict for name in failing} == dict.fromkeys(failing, "failing")
    assert not [line for line in found.values() if line.group == "Mail" and line.verdict == "ok"]


@one_engine
def test_a_database_that_does_not_answer_is_a_line_and_not_an_exception(
    tmp_path: Path, settings: Settings, simulator: servers.SimulatorClient
) -> None:
    for url in ("postgresql://nobody@127.0.0.1:9/none", f"sqlite:///{tmp_path}/no/such/folder/x.sqlite"):
        app = create_app(replace(settings, database_url=url))
        with app.app_context():
            found = checks_by_name()
            refusal = diagnostics.resume_sending(scenario.now_ms)[1]
        assert found["Database"].verdict == "failing"
        assert {found[name].verdict for name in ("Credentials", "Mode", "Workers", "Test credentials")} == {"unknown"}
        assert "Sending stays paused" in str(refusal)


@one_engine
@pytest.mark.usefixtures("short_timeouts")
def test_a_database_that_is_silent_holds_nobody_up(settings: Settings, simulator: servers.SimulatorClient) -> None:
    with stub_servers.silent_server() as port:
        app = create_app(replace(settings, database_url=f"postgresql://nobody@127.0.0.1:{port}/none"))
        with app.app_context():
            started = time.monotonic()
            found = checks_by_name()
    assert time.monotonic() - started < 20, "of which the doctor waited two"
    assert found["Database"].verdict == "failing"
    assert "No answer within 2 seconds" in found["Credentials"].reason


@one_engine
@pytest.mark.usefixtures("app")
def test_a_check_that_breaks_is_unknown_with_the_reason_and_the_others_go_on(
    capfd: pytest.CaptureFixture[str],
) -> None:
    first, second = CheckSpec("Twilio", "First"), CheckSpec("Mail", "Second")

    def broken() -> list[CheckResult]:
        raise ZeroDivisionError("with +12025550100 in its message")

    lines = check_runner.run_checks([CheckTask((first,), broken), CheckTask((second,), lambda: [second.ok("Fine.")])])
    assert [line.verdict for line in lines] == ["unknown", "ok"]
    assert "ZeroDivisionError" in lines[0].reason
    assert "+12025550100" not in lines[0].reason + capfd.readouterr().err


@one_engine
@pytest.mark.usefixtures("app")
def test_a_check_that_is_late_is_unknown_or_failing_as_it_says() -> None:
    subject = CheckSpec("Portal", "Slow")

    def slow() -> list[CheckResult]:
        time.sleep(1)
        return [subject.ok("At last.")]

    examinations = [CheckTask((subject,), slow), CheckTask((subject,), slow, timeout_is_failure=True)]
    assert [line.verdict for line in check_runner.run_checks(examinations, seconds=0.05)] == ["unknown", "failing"]
