"""The mail server is saved if it answers, and proved by an email that arrives."""

import re
import time
from dataclasses import replace
from typing import Any

import pytest
from flask import Flask

from portal.accounts.account_management import NewAccount, create_account
from portal.core.context import settings
from portal.core.errors import InvalidInput
from portal.core.rules.setting_error import SettingError
from portal.settings.app_settings import configuration
from portal.setup import email_proof
from portal.setup.email_proof import EmailTest
from tests.support import scenario, servers
from tests.support.fakes.scripted_smtp_server import scripted_smtp_server
from tests.support.fakes.stub_servers import silent_server

pytestmark = pytest.mark.one_engine
NOW_MS = scenario.now_ms()
SENDER = "Harbor Board <notices@example.org>"


@pytest.fixture
def sysadmin(app: Flask) -> int:
    """On a portal whose mail server no variable sets."""
    app.config["PORTAL"] = replace(app.config["PORTAL"], from_environment=frozenset())
    return create_account(NewAccount("S-1", "Sasha", "s@example.org", "Staff", "sysadmin"), NOW_MS)


def server(port: int, **changes: Any) -> dict[str, Any]:
    return {"Host": "127.0.0.1", "Port": port, "From": SENDER, **changes}


def problems(account_id: int, values: dict[str, Any]) -> dict[str, str]:
    with pytest.raises(InvalidInput) as refused:
        email_proof.test_email(EmailTest(account_id, values), NOW_MS)
    error = refused.value
    return error.errors_by_key if isinstance(error, SettingError) else error.errors


def test_code_of_the_email_proves_that_emails_arrive(sysadmin: int, simulator: servers.SimulatorClient) -> None:
    port = int(simulator.smtp_url.rpartition(":")[2])
    assert email_proof.test_email(EmailTest(sysadmin, server(port)), NOW_MS) == "s@example.org"
    assert not email_proof.is_proved()
    (mail,) = simulator.received_emails()
    code = re.search(r"code (\d{6})", mail["text"])
    assert code
    assert f"?code={code[1]}" in mail["html"]
    with pytest.raises(InvalidInput, match="not the code"):
        email_proof.confirm_arrival("000000" if code[1] != "000000" else "000001", NOW_MS)
    email_proof.confirm_arrival(f" {code[1][:3]} {code[1][3:]} ", NOW_MS)
    assert email_proof.is_proved()
    assert settings().mail_from == SENDER


def test_proof_is_lost_when_the_mail_server_changes(
    app: Flask, sysadmin: int, simulator: servers.SimulatorClient
) -> None:
    test_code_of_the_email_proves_that_emails_arrive(sysadmin, simulator)
    app.config["PORTAL"] = replace(
        app.config["PORTAL"], smtp_url="smtp://other.example.org", from_environment=frozenset({"PORTAL_SMTP_URL"})
    )
    assert not email_proof.is_proved()


def test_silent_server_is_refused_within_ten_seconds(sysadmin: int) -> None:
    began_at = time.monotonic()
    with silent_server() as port:
        errors = problems(sysadmin, server(port))
    assert time.monotonic() - began_at < 10
    assert "did not answer in time" in errors["Host"]
    assert not configuration("EmailServer").values


def test_time_is_up_although_the_name_server_is_silent(sysadmin: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(email_proof, "SECONDS", 0.2)
    monkeypatch.setattr(email_proof, "probe_smtp", lambda *_arguments: time.sleep(3))
    assert "within 0.2 seconds" in problems(sysadmin, server(25))["Host"]


def test_server_that_speaks_another_protocol_is_refused(sysadmin: int) -> None:
    with scripted_smtp_server(lambda _line, _mails: "HTTP/1.1 400 Bad Request") as web_server:
        assert "cannot reach this server" in problems(sysadmin, server(web_server.port))["Host"]


def test_server_that_takes_the_sender_but_not_the_email_is_named_so(sysadmin: int) -> None:
    replies = {"": "220 ready", "DATA": "554 no", "QUIT": "221 bye"}
    with scripted_smtp_server(lambda line, _mails: replies.get(line.split(" ")[0].upper(), "250 OK")) as liar:
        message = problems(sysadmin, server(liar.port))["Host"]
    assert "settings are saved, but the server did not accept" in message
    assert not email_proof.is_proved()


@pytest.mark.parametrize(
    ("verb", "reply", "sign_in", "key"),
    [
        ("MAIL", "550 not yours", {}, "From"),
        ("AUTH", "535 wrong", {"User": "u", "Password": "wrong-secret"}, "Password"),
    ],
    ids=["sender", "password"],
)
def test_refusal_is_shown_at_the_field_it_is_about(
    sysadmin: int, verb: str, reply: str, sign_in: dict[str, str], key: str
) -> None:
    replies = {"": "220 ready", "EHLO": "250 AUTH PLAIN", verb: reply}
    with scripted_smtp_server(lambda line, _mails: replies.get(line.split(" ")[0].upper(), "250 OK")) as strict:
        errors = problems(sysadmin, server(strict.port, **sign_in))
    assert list(errors) == [key]
    assert "wrong-secret" not in errors[key]
