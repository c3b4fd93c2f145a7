from dataclasses import replace

import pytest
from flask import Flask
from sqlalchemy import text

from portal.core.clock import now_ms
from portal.core.coordination import Heartbeat
from portal.core.extensions import db
from portal.web import health_endpoints
from tests.support.web_client import WebClient

HERE = "http://127.0.0.1"


def test_readyz_names_every_failing_part(web_app: Flask, visitor: WebClient) -> None:
    response = visitor.client.get("/readyz", base_url=HERE)
    assert response.status_code == 503
    failing = dict.fromkeys(("redis", "scheduler", "workers"), "failing")
    assert response.json == {**failing, "database": "ok", "mail_server": "ok"}


def test_readiness_checks_pass_with_fresh_heartbeats(web_app: Flask, visitor: WebClient) -> None:
    with web_app.app_context():
        for kind in ("worker:sms", "worker:email", "worker:work", "scheduler"):
            db.session.add(Heartbeat(name=kind, kind=kind, at_ms=now_ms() - 20_000))
        db.session.commit()
        checks = health_endpoints._READINESS_CHECKS
        assert all(checks[name]() for name in ("workers", "scheduler", "database"))


def test_older_tables_fail_the_database_check(web_app: Flask, visitor: WebClient) -> None:
    expected = {"0001": "failing", "a later one": "ok"}
    for revision, verdict in expected.items():
        with web_app.app_context():
            db.session.execute(text("UPDATE alembic_version SET version_num = :revision"), {"revision": revision})
            db.session.commit()
        checks = visitor.client.get("/readyz", base_url=HERE).json
        assert checks
        assert checks["database"] == verdict


def test_processes_silent_for_a_minute_fail_the_checks(web_app: Flask) -> None:
    with web_app.app_context():
        for kind in ("worker:sms", "worker:email", "worker:work", "scheduler"):
            db.session.add(Heartbeat(name=kind, kind=kind, at_ms=now_ms() - 61_000))
        db.session.commit()
        assert not any(health_endpoints._READINESS_CHECKS[name]() for name in ("workers", "scheduler"))


@pytest.mark.parametrize("path", ["/metrics", "/readyz"])
def test_state_of_the_portal_is_for_this_machine_and_sysadmins(
    visitor: WebClient, admin: WebClient, sysadmin: WebClient, path: str
) -> None:
    assert visitor.client.get(path, base_url=HERE).status_code in (200, 503)
    assert visitor.get(path).status_code == 404, "a proxy passes on the name it is asked by"
    afar = {"REMOTE_ADDR": "203.0.113.9"}
    assert visitor.get(path, environ_overrides=afar).status_code == 404
    assert admin.get(path, environ_overrides=afar).status_code == 404
    assert sysadmin.get(path, environ_overrides=afar).status_code in (200, 503)
    assert visitor.client.get(path, base_url=HERE, headers={"X-Forwarded-For": "203.0.113.9"}).status_code == 404


@pytest.mark.parametrize("path", ["/metrics", "/readyz"])
def test_other_machines_read_the_state_with_the_token(web_app: Flask, visitor: WebClient, path: str) -> None:
    token = "metrics-of-the-portal-for-prometheus"

    def status_with(header: str) -> int:
        return visitor.get(path, headers={"Authorization": header}).status_code

    assert status_with(f"Bearer {token}") == status_with("Bearer ") == 404, "without a setting there is no token"
    web_app.config["PORTAL"] = replace(web_app.config["PORTAL"], metrics_token=token)
    assert status_with(f"Bearer {token}") in (200, 503)
    assert {status_with(f"{kind}{token}{more}") for kind, more in (("Bearer ", "x"), ("Basic ", ""), ("", ""))} == {404}
    assert {status_with(header) for header in ("Bearer", "Bearer ", "Bearer é", "Basic x")} == {404}


def test_metrics_count_deliveries(visitor: WebClient, sent_communications: dict[str, int]) -> None:
    here = visitor.client.get("/metrics", base_url=HERE)
    assert 'portal_deliveries{channel="email",state="ready"} 6.0' in here.text
    assert "portal_mail_server_down 0.0" in here.text


def test_health_check_tells_nothing_and_is_answered_by_any_name(visitor: WebClient) -> None:
    response = visitor.client.get("/healthz", base_url="http://192.0.2.7:8000")
    assert (response.status_code, response.text) == (200, "ok")
