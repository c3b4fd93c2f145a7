"""The doctor against the simulator: what is wrong is found, what can be set is set, what is dead holds nobody up."""

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import doors
import parts
import pigeon
import pytest
import requests
import world
from flask import Flask
from sqlalchemy import text

from portal import create_app
from portal.actions import doctor, examining, sweep
from portal.actions.errors import Refused
from portal.actions.examining import Examination
from portal.actions.settings import set_setting
from portal.actions.transaction import transaction
from portal.config import Settings
from portal.domain.diagnosis import Check, Subject
from portal.extensions import db
from portal.gateways import registry, round_trip, smtp_probe, twilio_account
from portal.models.gateway import Sender, paused_senders

KINDS = ("worker:sms", "worker:email", "worker:work", "scheduler")
NUMBERS = f"/2010-04-01/Accounts/{parts.LIVE['AccountSid']}/IncomingPhoneNumbers"
LIVE = (parts.LIVE["AccountSid"], parts.LIVE["AuthToken"])
SERVICE = "MG" + "a" * 32
MAIL = ("Mail server", "Encryption", "Sign-in", "Sender")


one_engine = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
"""For what no database has a say in."""


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """With a public address that leads to us, and a sender that is not the placeholder."""
    address = f"http://127.0.0.1:{parts.free_port()}"
    return replace(settings, public_url=address, mail_from="Board <notices@example.org>")


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """For what does not answer at all: a fraction of the patience that the doctor has elsewhere."""
    for gateway in (twilio_account, round_trip):
        monkeypatch.setattr(gateway, "_TIMEOUT", (1.0, 1.0))
    monkeypatch.setattr(smtp_probe, "_TIMEOUT_SECONDS", 1.0)
    monkeypatch.setattr(examining.examine, "__defaults__", (2.0,))


@pytest.fixture
def well(app: Flask, settings: Settings, simulator: parts.Simulator) -> Iterator[Flask]:
    """A portal with nothing wrong: the addresses set, every process alive, the public address served."""
    world.open_gateway(rate=1)
    wire(simulator, SmsUrl=f"{settings.public_url}/webhooks/twilio/inbound")
    alive(KINDS)
    with doors.web_server(app, int(settings.public_url.rpartition(":")[2])):
        yield app


def wire(simulator: parts.Simulator, **form: str) -> None:
    (number,) = requests.get(f"{simulator.url}{NUMBERS}.json", auth=LIVE, timeout=10).json()["incoming_phone_numbers"]
    answer = requests.post(f"{simulator.url}{NUMBERS}/{number['sid']}.json", form, auth=LIVE, timeout=10)
    assert answer.ok


def alive(kinds: tuple[str, ...], at_ms: int | None = None) -> None:
    for kind in kinds:
        sweep.beat(kind, kind, at_ms or world.now_ms())


def setting(app: Flask, **changes: Any) -> None:
    app.config["PORTAL"] = replace(app.config["PORTAL"], **changes)


def pause(reason: str = "The Twilio account is not active.") -> None:
    with transaction() as session:
        session.merge(Sender(number=parts.FROM, next_free_at_us=0, paused_reason=reason, paused_at_ms=1))


def look(skew_ms: int = 0) -> dict[str, Check]:
    found = {line.name: line for line in doctor.diagnose(lambda: world.now_ms() + skew_ms).checks}
    assert len(found) == 26, "every line is there, whatever happens"
    return found


def verdicts(found: dict[str, Check]) -> dict[str, str]:
    return {name: line.verdict for name, line in found.items() if line.verdict != "ok"}


def asked_with_test_credentials(simulator: parts.Simulator) -> list[dict[str, Any]]:
    log = simulator.get("/simulator/log")["log"]
    return [call for call in log if call["account_sid"] == parts.TEST["AccountSid"]]


@pytest.mark.usefixtures("well")
def test_a_portal_that_is_well_has_nothing_failing_and_says_what_it_cannot_know(simulator: parts.Simulator) -> None:
    found = look()
    assert verdicts(found) == {"Mode": "warning", "Registration": "unknown"}
    assert "stand-in" in found["Mode"].why
    assert "names none" in found["Registration"].why
    assert simulator.texts() == []
    assert simulator.mails() == []


@one_engine
@pytest.mark.usefixtures("well")
def test_it_works_while_texts_are_switched_off() -> None:
    world.open_gateway(rate=1, EnableSmsNotifications="false")
    found = look()
    assert verdicts(found) == {"Mode": "warning", "Registration": "unknown"}
    assert "switched off" in found["Mode"].why


@pytest.mark.usefixtures("well")
def test_a_portal_with_nothing_set_is_told_what_to_set() -> None:
    db.session.execute(text("DELETE FROM app_setting"))
    db.session.commit()
    found = look()
    assert "SmsGatewayAuthentication is not set" in found["Credentials"].why
    assert "SmsGatewaySettings is not set" in found["Sending number"].why
    assert {
        found[name].verdict for name in ("Inbound address", "Rate", "Signature round trip", "Test credentials")
    } == {"unknown"}


@one_engine
def test_a_secret_that_cannot_be_unsealed_is_not_called_unset(well: Flask) -> None:
    setting(well, encryption_keys=(b"o" * 32,))
    found = look()
    for name in ("Credentials", "Test credentials"):
        assert "was sealed with a key that PORTAL_ENCRYPTION_KEY does not hold" in found[name].why
    assert found["Credentials"].verdict == "failing"


@pytest.mark.usefixtures("well")
@one_engine
def test_of_another_carrier_nothing_is_claimed_and_nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(registry.PROVIDERS, "Pigeon", pigeon.PROVIDER)
    pause()
    set_setting("SmsGatewayType", "Pigeon", None, world.now_ms())
    pause()
    report, refusal = doctor.resume_sending(world.now_ms)
    asked = [line for line in report.checks if line.group == "Twilio" and line.name != "Public address"]
    assert {line.verdict for line in asked} == {"unknown"}
    assert "Texts go by Pigeon" in str(refusal)
    with pytest.raises(Refused, match="Pigeon"):
        doctor.set_webhooks()


@one_engine
@pytest.mark.usefixtures("well")
def test_a_wrong_token_is_found_and_nothing_else_is_called_good(simulator: parts.Simulator) -> None:
    world.open_gateway(rate=1, SmsGatewayAuthentication=json.dumps({**parts.LIVE, "AuthToken": "another-token"}))
    found = look()
    assert found["Credentials"].verdict == "failing"
    assert "20003" in found["Credentials"].why
    unknown = ("Account", "Sending number", "Number type", "Inbound address", "Status address", "Registration")
    assert {name: found[name].verdict for name in unknown} == dict.fromkeys(unknown, "unknown")
    assert found["Clock"].verdict == "ok", "a refusal has a date too"


@one_engine
@pytest.mark.usefixtures("well")
@pytest.mark.parametrize(
    ("faults", "name", "words"),
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
    simulator: parts.Simulator, faults: dict[str, Any], name: str, words: str
) -> None:
    simulator.faults(**faults)
    line = look()[name]
    assert line.verdict == "failing"
    assert words in line.why


@one_engine
@pytest.mark.usefixtures("well", "hasty")
def test_a_twilio_that_does_not_answer_is_found(simulator: parts.Simulator) -> None:
    simulator.faults(rules=[{"kind": "timeout_before", "seconds": 30, "call": call} for call in ("account", "create")])
    found = look()
    assert found["Credentials"].verdict == "failing"
    assert "in time" in found["Credentials"].why
    assert found["Test credentials"].verdict == "unknown"


@one_engine
@pytest.mark.usefixtures("well")
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
    simulator: parts.Simulator, faults: dict[str, Any], names: tuple[str, ...]
) -> None:
    simulator.faults(**faults)
    found = look()
    assert {name: found[name].verdict for name in names} == dict.fromkeys(names, "unknown")


@one_engine
@pytest.mark.usefixtures("well")
def test_a_clock_of_our_own_that_is_off_is_found() -> None:
    assert "ahead" in look(skew_ms=45_000)["Clock"].why
    assert look(skew_ms=45_000)["Clock"].verdict == "warning"


@one_engine
@pytest.mark.usefixtures("well")
def test_a_number_of_somebody_else_is_found_and_named_by_its_end() -> None:
    world.open_gateway(SmsGatewaySettings='{"FromNumber": "+12025550188"}')
    found = look()
    assert "does not own +1 ••• 0188" in found["Sending number"].why
    assert found["Inbound address"].verdict == "unknown"
    with pytest.raises(Refused, match="no number of the account"):
        doctor.set_webhooks()


@one_engine
@pytest.mark.usefixtures("well")
def test_the_type_that_is_set_and_the_rate_are_held_against_twilio(simulator: parts.Simulator) -> None:
    simulator.faults(account={"number_type": "toll_free"})
    found = look()
    assert (found["Number type"].verdict, found["Rate"].verdict) == ("warning", "ok")
    simulator.faults(account={"number_type": None})
    world.open_gateway(SmsGatewaySettings=json.dumps({"FromNumber": parts.FROM, "SegmentsPerSecond": 25}))
    found = look()
    assert "digits" in found["Number type"].why
    assert "10DLC" in found["Rate"].why


@one_engine
@pytest.mark.usefixtures("well")
def test_wrong_addresses_at_twilio_are_found_set_and_then_good(simulator: parts.Simulator, settings: Settings) -> None:
    wire(
        simulator,
        SmsUrl="https://demo.twilio.com/reply?key=1",
        StatusCallback="https://else.example/x",
        SmsMethod="GET",
    )
    found = look()
    assert (found["Inbound address"].verdict, found["Status address"].verdict) == ("failing", "warning")
    assert "https://demo.twilio.com/reply:" in found["Inbound address"].why
    assert doctor.set_webhooks() == "Both addresses are set at Twilio."
    found = look()
    assert (found["Inbound address"].verdict, found["Status address"].verdict) == ("ok", "ok")
    assert found["Status address"].why == "Receipts come to the portal."
    (number,) = requests.get(f"{simulator.url}{NUMBERS}.json", auth=LIVE, timeout=10).json()["incoming_phone_numbers"]
    assert number["sms_url"] == f"{settings.public_url}/webhooks/twilio/inbound"
    assert number["status_callback"] == f"{settings.public_url}/webhooks/twilio/status"


@one_engine
@pytest.mark.usefixtures("well")
def test_an_application_that_stands_in_for_the_addresses_is_taken_away(simulator: parts.Simulator) -> None:
    wire(simulator, SmsApplicationSid="AP" + "1" * 32)
    assert "application" in look()["Inbound address"].why
    doctor.set_webhooks()
    assert look()["Inbound address"].verdict == "ok"


@one_engine
@pytest.mark.usefixtures("well")
def test_a_messaging_service_has_addresses_of_its_own(simulator: parts.Simulator) -> None:
    world.open_gateway(SmsGatewaySettings=json.dumps({"MessagingServiceSid": SERVICE}))
    found = look()
    assert found["Sending number"].verdict == "ok"
    assert found["Inbound address"].verdict == "failing"
    assert found["Registration"].verdict == "ok"
    doctor.set_webhooks()
    found = look()
    assert (found["Inbound address"].verdict, found["Status address"].verdict) == ("ok", "ok")
    simulator.faults(account={"campaign": None})
    assert "no 10DLC campaign" in look()["Registration"].why


@one_engine
@pytest.mark.usefixtures("well")
def test_a_service_that_leaves_it_to_its_numbers_is_judged_by_the_number(simulator: parts.Simulator) -> None:
    url = f"{simulator.url}/v1/Services/{SERVICE}"
    assert requests.post(url, {"UseInboundWebhookOnNumber": "true"}, auth=LIVE, timeout=10).ok
    both = {"MessagingServiceSid": SERVICE, "FromNumber": parts.FROM}
    world.open_gateway(SmsGatewaySettings=json.dumps(both))
    assert look()["Inbound address"].verdict == "ok"
    world.open_gateway(SmsGatewaySettings=json.dumps({"MessagingServiceSid": SERVICE}))
    assert look()["Inbound address"].verdict == "unknown"


@one_engine
@pytest.mark.usefixtures("well")
def test_a_toll_free_number_is_asked_for_its_verification(simulator: parts.Simulator) -> None:
    simulator.faults(account={"number_type": "toll_free"})
    assert look()["Registration"].verdict == "ok"
    simulator.faults(account={"number_type": "toll_free", "toll_free": "TWILIO_REJECTED"})
    assert "was rejected" in look()["Registration"].why


@one_engine
def test_where_only_part_of_twilios_api_answers_the_rest_is_unknown_and_says_where_to_look(well: Flask) -> None:
    world.open_gateway(SmsGatewaySettings=json.dumps({"MessagingServiceSid": SERVICE}))
    with doors.door(404) as nothing_there:
        setting(well, twilio_api_url=nothing_there)
        found = look()
    assert found["Registration"].verdict == found["Inbound address"].verdict == "unknown"
    assert "console" in found["Registration"].mend


@one_engine
@pytest.mark.usefixtures("well")
def test_an_api_key_is_proven_by_what_it_may_do_and_cannot_verify_webhooks_alone() -> None:
    key = {
        "AccountSid": parts.LIVE["AccountSid"],
        "ApiKeySid": "SK00000000000000000000000000000003",
        "ApiKeySecret": "simulator-key-secret",
    }
    world.open_gateway(rate=1, SmsGatewayAuthentication=json.dumps(key))
    found = look()
    assert found["Credentials"].why == "Twilio accepts the API key."
    assert found["Account"].verdict == "unknown"
    assert found["Webhook token"].verdict == "failing"
    assert found["Signature round trip"].verdict == "unknown"
    world.open_gateway(rate=1, SmsGatewayAuthentication=json.dumps({**key, "ApiKeySecret": "wrong-secret-99"}))
    assert look()["Credentials"].verdict == "failing"


@one_engine
@pytest.mark.usefixtures("well")
def test_test_credentials_are_tried_without_making_a_text(simulator: parts.Simulator) -> None:
    assert look()["Test credentials"].verdict == "ok"
    (call,) = asked_with_test_credentials(simulator)
    assert (call["accepted"], call["outcome"]) == (False, "21211")
    wrong = json.dumps({**parts.TEST, "AuthToken": "another-token"})
    world.open_gateway(rate=1, TestSmsGatewayAuthentication=wrong)
    assert look()["Test credentials"].verdict == "warning"
    world.open_gateway(rate=1, TestSmsGatewayAuthentication=wrong, EnableSmsTestMode="true")
    assert look()["Test credentials"].verdict == "failing"
    world.open_gateway(rate=1, TestSmsGatewaySettings='{"FromNumber": "+15005550007"}')
    assert "FromNumber" in look()["Test credentials"].why


@one_engine
@pytest.mark.usefixtures("well")
def test_live_credentials_in_the_place_of_test_ones_are_found_and_not_used(simulator: parts.Simulator) -> None:
    world.open_gateway(rate=1, EnableSmsTestMode="true", TestSmsGatewayAuthentication=json.dumps(parts.LIVE))
    found = look()
    assert found["Test credentials"].verdict == "failing"
    assert "real texts" in found["Test credentials"].why
    assert not [call for call in simulator.get("/simulator/log")["log"] if call["kind"] == "create"]


@one_engine
@pytest.mark.parametrize(
    ("status", "headers", "words"),
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
    well: Flask, status: int, headers: dict[str, str], words: str
) -> None:
    with doors.door(status, **headers) as address:
        setting(well, public_url=address)
        line = look()["Signature round trip"]
    assert line.verdict == "failing"
    assert words in line.why


@one_engine
@pytest.mark.usefixtures("hasty")
def test_a_public_address_where_nobody_is_or_nobody_answers_is_told(well: Flask) -> None:
    setting(well, public_url=f"http://127.0.0.1:{parts.free_port()}")
    assert "Nobody listens" in look()["Signature round trip"].why
    with doors.deaf() as port:
        setting(well, public_url=f"http://127.0.0.1:{port}")
        assert "firewall" in look()["Signature round trip"].why


@one_engine
def test_a_process_with_another_idea_of_the_public_address_refuses_the_signature(well: Flask) -> None:
    port = well.config["PORTAL"].public_url.rpartition(":")[2]
    asked_by = f"http://localhost:{port}"
    own = well.config["PORTAL"]
    other = create_app(replace(own, public_url=asked_by))
    with other.app_context():
        line = {check.name: check for check in doctor.diagnose(world.now_ms).checks}["Signature round trip"]
        db.session.remove()
        db.engine.dispose()
    assert "signature was refused" in line.why
    assert "PORTAL_PUBLIC_URL" in line.mend


@one_engine
def test_addresses_that_twilio_would_refuse_are_not_set_there(well: Flask, simulator: parts.Simulator) -> None:
    setting(well, public_url="https://our_portal.example.org")
    assert look()["Public address"].verdict == "failing"
    with pytest.raises(Refused, match="underscore"):
        doctor.set_webhooks()


@one_engine
@pytest.mark.usefixtures("well")
def test_what_twilio_refuses_to_set_is_said(simulator: parts.Simulator) -> None:
    simulator.faults(rules=[{"kind": "401", "call": "number"}])
    with pytest.raises(Refused, match=r"Nothing was set at Twilio.*20003"):
        doctor.set_webhooks()


@pytest.mark.usefixtures("app", "simulator")
def test_without_credentials_nothing_is_set() -> None:
    with pytest.raises(Refused, match="SmsGatewayAuthentication"):
        doctor.set_webhooks()


@pytest.mark.usefixtures("well")
def test_workers_and_scheduler_that_died_are_named() -> None:
    alive(KINDS, world.now_ms() - 61_000)
    alive(("worker:email",))
    found = look()
    assert "portal worker sms, portal worker work" in found["Workers"].mend
    assert found["Scheduler"].verdict == "failing"


@one_engine
def test_a_queue_that_is_away_is_found(well: Flask) -> None:
    setting(well, redis_url="unix:///nowhere/valkey.sock")
    assert look()["Queue"].verdict == "failing"


@pytest.mark.usefixtures("well")
def test_tables_that_are_not_migrated_are_found() -> None:
    db.session.execute(text("UPDATE alembic_version SET version_num = '0001'"))
    db.session.commit()
    assert "portal db upgrade" in look()["Database"].mend


@one_engine
def test_a_mail_server_that_is_away_is_found(well: Flask) -> None:
    setting(well, smtp_url=f"smtp://127.0.0.1:{parts.free_port()}")
    found = look()
    assert "nobody listens there" in found["Mail server"].why
    assert [found[name].verdict for name in MAIL] == ["failing", "unknown", "unknown", "unknown"]


@one_engine
@pytest.mark.usefixtures("well")
def test_a_mail_server_that_turns_us_away_is_found(simulator: parts.Simulator) -> None:
    simulator.faults(smtp=[{"kind": "421"}])
    assert "421" in look()["Mail server"].why


@one_engine
def test_mail_by_starttls_and_sign_in_is_proven_and_each_fault_named(
    well: Flask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with doors.mail_server(tmp_path) as port:
        setting(well, smtp_url=f"smtp://{doors.USER}:{doors.PASSWORD}@{doors.ELSEWHERE}:{port}")
        untrusted = look()
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "cert.pem"))
        good = look()
        setting(well, smtp_url=f"smtp://{doors.USER}:wrong-password-1@{doors.ELSEWHERE}:{port}")
        refused = look()
        setting(well, smtp_url=f"smtp://{doors.ELSEWHERE}:{port}")
        nobody = look()
    assert "not trusted" in untrusted["Encryption"].why
    assert [good[name].why for name in MAIL[1:3]] == [
        "The connection is encrypted.",
        "The server accepts our user and password.",
    ]
    assert "535" in refused["Sign-in"].why
    assert refused["Sender"].verdict == "unknown"
    assert (nobody["Sign-in"].verdict, nobody["Sender"].verdict) == ("warning", "failing")
    assert doors.PASSWORD not in str([untrusted, good, refused, nobody])


@one_engine
@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"smtp_url": "smtp://portal:secret@mail.example.org?starttls=never"}, "in the clear"),
        ({"smtp_url": "smtp://portal@mail.example.org"}, "without a password"),
        ({"mail_from": "not an address"}, "PORTAL_MAIL_FROM cannot be used"),
        ({"mail_from": "Bücher <bücher@example.org>"}, "before the @"),
    ],
)
def test_mail_settings_that_cannot_be_used_are_found(well: Flask, wrong: dict[str, str], words: str) -> None:
    setting(well, **wrong)
    found = look()
    assert (found["Mail server"].verdict, words in found["Mail server"].why) == ("failing", True)


@one_engine
def test_a_password_that_would_leave_without_tls_is_found(well: Flask, simulator: parts.Simulator) -> None:
    simulator.faults(smtp_extensions=["AUTH"])
    elsewhere = simulator.smtp_url.replace("127.0.0.1", doors.ELSEWHERE)
    setting(well, smtp_url=elsewhere.replace("//", f"//{doors.USER}:{doors.PASSWORD}@"))
    found = look()
    assert (found["Encryption"].verdict, found["Sign-in"].verdict) == ("failing", "unknown")
    assert "no STARTTLS" in found["Encryption"].why
    setting(well, smtp_url=simulator.smtp_url.replace("//", f"//{doors.USER}:{doors.PASSWORD}@"))
    assert {look()[name].verdict for name in MAIL[:3]} == {"ok"}


def test_sending_resumes_when_twilios_checks_pass_whatever_else_is_wrong(well: Flask) -> None:
    pause()
    setting(well, smtp_url=f"smtp://127.0.0.1:{parts.free_port()}")
    assert look()["Lanes"].button == "resume"
    report, refusal = doctor.resume_sending(world.now_ms)
    assert refusal is None
    assert paused_senders() == []
    assert {line.name: line.verdict for line in report.checks}["Lanes"] == "ok"
    assert len(report.checks) == 26


@pytest.mark.usefixtures("well")
@pytest.mark.parametrize(
    "faults",
    [
        {"account": {"status": "suspended"}},
        {"account": {"sms": False}},
        {"rules": [{"kind": "500_before", "call": "account"}]},
    ],
)
def test_sending_stays_paused_while_something_fails_at_twilio(
    simulator: parts.Simulator, faults: dict[str, Any]
) -> None:
    pause()
    simulator.faults(**faults)
    report, refusal = doctor.resume_sending(world.now_ms)
    assert "Sending stays paused." in str(refusal)
    assert [sender.number for sender in paused_senders()] == [parts.FROM]
    assert {line.name: line.verdict for line in report.checks}["Lanes"] == "failing"


@pytest.mark.usefixtures("well")
def test_a_lane_that_the_drain_paused_goes_on_after_the_doctor_passed(simulator: parts.Simulator) -> None:
    world.people(2, with_sms=2)
    world.template()
    simulator.faults(account={"status": "suspended"})
    world.send()
    world.drain_texts()
    assert doctor.resume_sending(world.now_ms)[1] is not None
    simulator.faults(receipts={"final": "none"})
    world.drain_texts()
    assert simulator.texts() == [], "still paused"
    assert doctor.resume_sending(world.now_ms)[1] is None
    world.drain_texts(ahead_ms=5000)
    assert len(simulator.texts()) == 2


@one_engine
def test_neither_secrets_nor_numbers_are_in_findings_or_logs(
    well: Flask, simulator: parts.Simulator, capfd: pytest.CaptureFixture[str]
) -> None:
    pause()
    canary = "canary-token-of-the-account"
    wire(simulator, SmsUrl=f"https://u:{canary}@demo.example/reply?k={canary}")
    found = [look()]
    world.open_gateway(SmsGatewayAuthentication=json.dumps({**parts.LIVE, "AuthToken": canary}))
    setting(well, smtp_url=f"smtp://{doors.USER}:{canary}@127.0.0.1:{parts.free_port()}")
    found.append(look())
    captured = capfd.readouterr()
    said = str(found) + captured.out + captured.err
    for secret in (canary, parts.LIVE["AuthToken"], parts.TEST["AuthToken"], parts.FROM, parts.FROM[1:]):
        assert secret not in said


@one_engine
@pytest.mark.usefixtures("hasty")
def test_when_all_is_dead_every_line_is_there_when_patience_ends(well: Flask) -> None:
    assert examining.PATIENCE_SECONDS < 10
    with doors.deaf() as port:
        setting(
            well,
            twilio_api_url=f"http://127.0.0.1:{port}",
            public_url=f"http://localhost:{port}",
            smtp_url=f"smtp://127.0.0.1:{port}",
            redis_url=f"redis://127.0.0.1:{port}/0",
        )
        started = time.monotonic()
        found = look()
        took = time.monotonic() - started
    assert took < 20, "of which the doctor waited two"
    failing = ("Credentials", "Queue", "Signature round trip", "Mail server")
    assert {name: found[name].verdict for name in failing} == dict.fromkeys(failing, "failing")
    assert not [line for line in found.values() if line.group == "Mail" and line.verdict == "ok"]


@one_engine
def test_a_database_that_does_not_answer_is_a_line_and_not_an_exception(
    tmp_path: Path, settings: Settings, simulator: parts.Simulator
) -> None:
    for url in ("postgresql://nobody@127.0.0.1:9/none", f"sqlite:///{tmp_path}/no/such/folder/x.sqlite"):
        app = create_app(replace(settings, database_url=url))
        with app.app_context():
            found = look()
            refusal = doctor.resume_sending(world.now_ms)[1]
        assert found["Database"].verdict == "failing"
        assert {found[name].verdict for name in ("Credentials", "Mode", "Workers", "Test credentials")} == {"unknown"}
        assert "Sending stays paused" in str(refusal)


@one_engine
@pytest.mark.usefixtures("hasty")
def test_a_database_that_is_silent_holds_nobody_up(settings: Settings, simulator: parts.Simulator) -> None:
    with doors.deaf() as port:
        app = create_app(replace(settings, database_url=f"postgresql://nobody@127.0.0.1:{port}/none"))
        with app.app_context():
            started = time.monotonic()
            found = look()
    assert time.monotonic() - started < 20, "of which the doctor waited two"
    assert found["Database"].verdict == "failing"
    assert "No answer within 2 seconds" in found["Credentials"].why


@one_engine
@pytest.mark.usefixtures("app")
def test_a_check_that_breaks_is_unknown_with_the_reason_and_the_others_go_on(
    capfd: pytest.CaptureFixture[str],
) -> None:
    first, second = Subject("Twilio", "First"), Subject("Mail", "Second")

    def broken() -> list[Check]:
        raise ZeroDivisionError("with +12025550100 in its words")

    lines = examining.examine([Examination((first,), broken), Examination((second,), lambda: [second.ok("Fine.")])])
    assert [line.verdict for line in lines] == ["unknown", "ok"]
    assert "ZeroDivisionError" in lines[0].why
    assert "+12025550100" not in lines[0].why + capfd.readouterr().err


@one_engine
@pytest.mark.usefixtures("app")
def test_a_check_that_is_late_is_unknown_or_failing_as_it_says() -> None:
    subject = Subject("Portal", "Slow")

    def slow() -> list[Check]:
        time.sleep(1)
        return [subject.ok("At last.")]

    examinations = [Examination((subject,), slow), Examination((subject,), slow, silence_fails=True)]
    assert [line.verdict for line in examining.examine(examinations, seconds=0.05)] == ["unknown", "failing"]
