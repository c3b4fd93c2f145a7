from flask import Flask
from sqlalchemy import text

from portal.core.clock import now_ms
from portal.core.coordination import Heartbeat
from portal.core.extensions import db
from portal.web import health_endpoints
from tests.support.web_client import WebClient


def test_readyz_names_every_part_that_fails(web_app: Flask, visitor: WebClient) -> None:
    answer = visitor.get("/readyz")
    assert answer.status_code == 503
    failing = dict.fromkeys(("redis", "scheduler", "workers"), "failing")
    assert answer.json == {**failing, "database": "ok", "mail_server": "ok"}


def test_readyz_is_content_when_every_part_gave_a_sign_of_life(web_app: Flask, visitor: WebClient) -> None:
    with web_app.app_context():
        for kind in ("worker:sms", "worker:email", "worker:work", "scheduler"):
            db.session.add(Heartbeat(name=kind, kind=kind, at_ms=now_ms() - 20_000))
        db.session.commit()
        found = {
            "workers": health_endpoints._workers(),
            "scheduler": health_endpoints._scheduler(),
            "database": health_endpoints._database(),
        }
    assert found == {"workers": True, "scheduler": True, "database": True}


def test_tables_that_this_version_cannot_work_with_count_as_no_database(web_app: Flask, visitor: WebClient) -> None:
    expected = {"0001": "failing", "a later one": "ok"}
    for revision, verdict in expected.items():
        with web_app.app_context():
            db.session.execute(text("UPDATE alembic_version SET version_num = :revision"), {"revision": revision})
            db.session.commit()
        found = visitor.get("/readyz").json
        assert found
        assert found["database"] == verdict


def test_a_worker_that_was_silent_for_a_minute_counts_as_gone(web_app: Flask) -> None:
    with web_app.app_context():
        for kind in ("worker:sms", "worker:email", "worker:work", "scheduler"):
            db.session.add(Heartbeat(name=kind, kind=kind, at_ms=now_ms() - 61_000))
        db.session.commit()
        assert not health_endpoints._workers()
        assert not health_endpoints._scheduler()


def test_metrics_are_for_this_machine_and_for_sysadmins(
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


def test_a_proxy_on_this_machine_does_not_make_the_world_local(visitor: WebClient) -> None:
    assert visitor.get("/metrics", headers={"X-Forwarded-For": "203.0.113.9"}).status_code == 404
