"""Diagnostics of processes, queue, database and mail server."""

from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import text

from portal.core.extensions import db
from tests.operations.diagnostics.helpers import (
    PROCESS_KINDS,
    change_settings,
    one_engine,
    record_heartbeats,
    run_checks_by_name,
)
from tests.support import scenario, servers
from tests.support.fakes import stub_servers

MAIL_CHECKS = ("Mail server", "Encryption", "Sign-in", "Sender")


@pytest.mark.usefixtures("healthy_portal")
def test_dead_workers_and_scheduler_are_named() -> None:
    record_heartbeats(PROCESS_KINDS, scenario.now_ms() - 61_000)
    record_heartbeats(("worker:email",))
    checks = run_checks_by_name()
    assert "portal worker sms, portal worker work" in checks["Workers"].fix
    assert checks["Scheduler"].verdict == "failing"


@one_engine
def test_unreachable_queue_is_found(healthy_portal: Flask) -> None:
    change_settings(healthy_portal, redis_url="unix:///nowhere/valkey.sock")
    assert run_checks_by_name()["Queue"].verdict == "failing"


@pytest.mark.usefixtures("healthy_portal")
def test_unmigrated_tables_are_found() -> None:
    db.session.execute(text("UPDATE alembic_version SET version_num = '0001'"))
    db.session.commit()
    assert "portal db upgrade" in run_checks_by_name()["Database"].fix


@one_engine
def test_unreachable_mail_server_is_found(healthy_portal: Flask) -> None:
    change_settings(healthy_portal, smtp_url=f"smtp://127.0.0.1:{servers.free_port()}")
    checks = run_checks_by_name()
    assert "nothing listens there" in checks["Mail server"].reason
    assert [checks[name].verdict for name in MAIL_CHECKS] == ["failing", "unknown", "unknown", "unknown"]


@one_engine
@pytest.mark.usefixtures("healthy_portal")
def test_mail_server_that_rejects_us_is_found(simulator: servers.SimulatorClient) -> None:
    simulator.set_faults(smtp=[{"kind": "421"}])
    assert "421" in run_checks_by_name()["Mail server"].reason


@one_engine
def test_starttls_and_sign_in_are_checked(
    healthy_portal: Flask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with stub_servers.tls_smtp_server(tmp_path) as port:
        change_settings(
            healthy_portal,
            smtp_url=f"smtp://{stub_servers.SMTP_USER}:{stub_servers.SMTP_PASSWORD}@{stub_servers.OTHER_HOST}:{port}",
        )
        untrusted = run_checks_by_name()
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "cert.pem"))
        good = run_checks_by_name()
        change_settings(
            healthy_portal,
            smtp_url=f"smtp://{stub_servers.SMTP_USER}:wrong-password-1@{stub_servers.OTHER_HOST}:{port}",
        )
        refused = run_checks_by_name()
        change_settings(healthy_portal, smtp_url=f"smtp://{stub_servers.OTHER_HOST}:{port}")
        nobody = run_checks_by_name()
    assert "not trusted" in untrusted["Encryption"].reason
    assert [good[name].reason for name in MAIL_CHECKS[1:3]] == [
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
def test_unusable_mail_settings_are_found(healthy_portal: Flask, wrong: dict[str, str], message: str) -> None:
    change_settings(healthy_portal, **wrong)
    checks = run_checks_by_name()
    assert (checks["Mail server"].verdict, message in checks["Mail server"].reason) == ("failing", True)


@one_engine
def test_password_without_tls_is_found(healthy_portal: Flask, simulator: servers.SimulatorClient) -> None:
    simulator.set_faults(smtp_extensions=["AUTH"])
    elsewhere = simulator.smtp_url.replace("127.0.0.1", stub_servers.OTHER_HOST)
    change_settings(
        healthy_portal, smtp_url=elsewhere.replace("//", f"//{stub_servers.SMTP_USER}:{stub_servers.SMTP_PASSWORD}@")
    )
    checks = run_checks_by_name()
    assert (checks["Encryption"].verdict, checks["Sign-in"].verdict) == ("failing", "unknown")
    assert "no STARTTLS" in checks["Encryption"].reason
    change_settings(
        healthy_portal,
        smtp_url=simulator.smtp_url.replace("//", f"//{stub_servers.SMTP_USER}:{stub_servers.SMTP_PASSWORD}@"),
    )
    assert {run_checks_by_name()[name].verdict for name in MAIL_CHECKS[:3]} == {"ok"}
