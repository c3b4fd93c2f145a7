from flask import Flask
from sqlalchemy import text

from portal.core.clock import now_ms
from portal.core.coordination import Heartbeat
from portal.core.extensions import db
from portal.web import health_endpoints
from tests.support.web_client import WebClient


def test_readyz_names_every_failing_part(web_app: Flask, visitor: WebClient) -> None:
    response = visitor.get("/readyz")
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
        checks = visitor.get("/readyz").json
        assert checks
        assert checks["database"] == verdict


def test_processes_silent_for_a_minute_fail_the_checks(web_app: Flask) -> None:
    with web_app.app_context():
        for kind in ("worker:sms", "worker:email", "worker:work", "scheduler"):
            db.session.add(Heartbeat(name=kind, kind=kind, at_ms=now_ms() - 61_000))
        db.session.commit()
        assert not any(health_endpoints._READINESS_CHECKS[name]() for name in ("workers", "scheduler"))


def test_metrics_are_limited_to_this_machine_and_sysadmins(
    visitor: WebClient, admin: WebClient, sysadmin: WebClient, sent_communications: dict[str, int]
) -> None:
    here = visitor.client.get("/metrics", base_url="http://127.0.0.1")
    assert 'portal_deliveries{channel="email",state="ready"} 6.0' in here.text
    assert "portal_mail_server_down 0.0" in here.text
    assert visitor.get("/metrics").status_code == 404, "a proxy passes on the name it is asked by"
    afar = {"REMOTE_ADDR": "203.0.113.9"}
    assert visitor.get("/metrics", environ_overrides=afar).status_code == 404
    assert admin.get("/metrics", environ_overrides=afar).status_code == 404
    assert sysadmin.get("/metrics", environ_overrides=afar).status_code == 200


def test_metrics_are_closed_to_callers_behind_a_local_proxy(visitor: WebClient) -> None:
    assert visitor.get("/metrics", headers={"X-Forwarded-For": "203.0.113.9"}).status_code == 404
