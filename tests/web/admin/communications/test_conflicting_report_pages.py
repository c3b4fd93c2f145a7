"""Conflicting reports about a text in its delivery history, the audit log and the metrics."""

from flask import Flask

from portal.core.clock import now_ms
from portal.core.extensions import db
from portal.delivery.receipts import record_receipt
from portal.messages.rules.report_conflicts import CONFLICT_LABELS, ReportConflict
from portal.messages.tables.communications import Delivery
from portal.operations.rules.audit_labels import ACTION_LABELS, ACTION_TEMPLATES
from tests.support.html_checks import find_page_problems
from tests.support.page_queries import AUDIT_LOG_PATH, SENT_NOTICE, audit_entries, visible_text
from tests.support.web_client import WebClient


def receive_receipt(app: Flask, status: str, code: str = "", sid: str = "SM1") -> None:
    with app.app_context():
        form = {"MessageSid": sid, "MessageStatus": status, "ErrorCode": code}
        record_receipt({key: value for key, value in form.items() if value}, "attempt-1", now_ms())


def test_conflicting_reports_appear_in_history_log_and_metrics(
    web_app: Flask, admin: WebClient, sysadmin: WebClient, visitor: WebClient, unknown_text_id: int
) -> None:
    receive_receipt(web_app, "delivered")
    assert 'portal_conflicting_reports{kind="text_conflicting_outcomes"} 0.0' in metrics(visitor)
    receive_receipt(web_app, "undelivered", "30003")
    receive_receipt(web_app, "undelivered", "30003")
    receive_receipt(web_app, "sent", sid="SM2")
    assert audit_entries(web_app) == [
        *SENT_NOTICE,
        ("text_conflicting_outcomes", f"text {unknown_text_id}"),
        ("text_accepted_twice", f"text {unknown_text_id}"),
    ]
    with web_app.app_context():
        communication_id = db.session.get_one(Delivery, unknown_text_id).communication_id
    address = f"/Admin/Communications/{communication_id}"
    page = admin.get(address).text
    assert find_page_problems(page) == []
    assert "Conflicting reports: Twilio reported it as delivered and as not delivered" in visible_text(page)
    assert "“Delivered” was reported first, so it stays; “Not delivered” was reported later." in visible_text(page)
    assert "Duplicate: Twilio accepted it twice or more; the person may have received it twice" in visible_text(page)
    log = sysadmin.get(AUDIT_LOG_PATH, query_string={"action": "text_conflicting_outcomes"}).text
    assert f"Twilio reported text {unknown_text_id} as delivered and as not delivered" in visible_text(log)
    assert "code 30003, IDs SM1, recorded Delivered, reported Not delivered" in visible_text(log)
    assert f'href="{address}"' in log
    assert 'portal_conflicting_reports{kind="text_conflicting_outcomes"} 1.0' in metrics(visitor)
    assert 'portal_conflicting_reports{kind="text_accepted_twice"} 1.0' in metrics(visitor)
    assert 'portal_conflicting_reports{kind="text_listed_twice"} 0.0' in metrics(visitor)


def metrics(visitor: WebClient) -> str:
    return visitor.client.get("/metrics", base_url="http://127.0.0.1").text


def test_every_conflict_has_labels_for_history_and_log() -> None:
    for kind in ReportConflict:
        assert CONFLICT_LABELS[kind]
        assert "%(subject)s" in ACTION_TEMPLATES[kind]
        assert ACTION_LABELS[kind]
