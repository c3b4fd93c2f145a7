"""Who is signed in and asks for more than their role allows is in the audit log."""

import pytest
from flask import Flask
from sqlalchemy import select

from portal.core.audit_log import AuditEntry
from portal.core.clock import now_ms
from portal.core.extensions import db
from tests.support.web_client import WebClient


def denials(app: Flask) -> list[tuple[int | None, str]]:
    with app.app_context():
        rows = select(AuditEntry.actor_id, AuditEntry.subject).where(AuditEntry.action == "access_denied")
        return [(row.actor_id, row.subject) for row in db.session.execute(rows.order_by(AuditEntry.id))]


def test_denied_page_is_recorded_once_a_minute_for_each_person(
    web_app: Flask, visitor: WebClient, number_owner: WebClient, admin: WebClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _again in range(3):
        for person in (visitor, number_owner, admin):
            person.get("/SysAdmin/AuditLog")
    assert denials(web_app) == [(1, "/SysAdmin/AuditLog"), (5, "/SysAdmin/AuditLog")]
    later = now_ms() + 60_001
    monkeypatch.setattr("portal.web.access.now_ms", lambda: later)
    number_owner.get("/SysAdmin/AuditLog")
    number_owner.get("/Admin/Accounts/2")
    assert denials(web_app)[2:] == [(1, "/SysAdmin/AuditLog"), (1, "/Admin/Accounts/<id:account_id>")]


def test_refused_action_on_a_sysadmin_is_recorded(web_app: Flask, admin: WebClient, sysadmin: WebClient) -> None:
    assert admin.post("/Admin/Accounts/6/Deactivate").status_code == 403
    assert denials(web_app) == [(5, "/Admin/Accounts/<id:account_id>/Deactivate")]
    assert (
        "Was denied access to /Admin/Accounts/&lt;id:account_id&gt;/Deactivate"
        in sysadmin.get("/SysAdmin/AuditLog").text
    )
