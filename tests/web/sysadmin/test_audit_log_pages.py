"""System → audit log: entries, filter and pages."""

import csv
import io
import json
import re

import pytest
from flask import Flask
from flask_security import hash_password
from sqlalchemy import func, select, update

from portal.accounts.tables.accounts import Account
from portal.core.audit_log import AuditEntry, record_audit_entry
from portal.core.extensions import db
from portal.core.log_integrity.log_macs import LogMac
from portal.core.transaction import transaction
from portal.messages import lane_control
from portal.settings import setting_changes
from tests.support.html_checks import find_page_problems
from tests.support.page_queries import AUDIT_LOG_PATH, QUEUES_PATH, app_transaction, audit_entries, visible_text
from tests.support.web_client import AUTH_TOKEN, NOW_MS, PASSWORD, WebClient


def test_audit_log_is_newest_first(web_app: Flask, sysadmin: WebClient, ready_text_id: int) -> None:
    sysadmin.post(f"{QUEUES_PATH}/lanes/email/bulk/pause")
    sysadmin.post("/Admin/Sends/1/pause")
    page = sysadmin.get(AUDIT_LOG_PATH).text
    assert find_page_problems(page) == []
    content = visible_text(page)
    assert "just now Name of S-1 Paused the lane of bulk emails" in content
    assert re.search(r"just now Name of S-1 Paused send 1 ", content)
    assert content.index("Paused send 1") < content.index("Paused the lane of bulk emails") < content.index("Changed ")
    assert '<a href="/Admin/Sends/1">Paused send 1</a>' in page
    assert "Command line Changed SmsGatewaySettings" in content
    assert AUTH_TOKEN not in page


def test_audit_log_is_filtered_by_action(web_app: Flask, sysadmin: WebClient, ready_text_id: int) -> None:
    sysadmin.post(f"{QUEUES_PATH}/lanes/email/bulk/pause")
    sysadmin.post("/Admin/Sends/1/pause")

    def rows_with(action: str) -> list[str]:
        page = sysadmin.get(AUDIT_LOG_PATH, query_string={"action": action}).text
        return re.findall(r'data-label="Action">(.*?)</td>', page)

    assert [visible_text(row) for row in rows_with("lane_paused")] == ["Paused the lane of bulk emails"]
    assert [visible_text(row) for row in rows_with("send_paused")] == ["Paused send 1"]
    assert all("Changed" in row for row in rows_with("setting_changed"))
    assert rows_with("send_canceled") == []
    for invalid in ("\x00", "nothing", "a" * 5_000, "<b>"):
        assert len(rows_with(invalid)) == len(rows_with(""))


@pytest.mark.parametrize(
    ("query", "actions"),
    [
        ({"q": "S-1"}, ["Paused the lane of bulk emails"]),
        ({"q": "A-1"}, []),
        ({"from": "2026-01-02", "to": "2026-01-03"}, ["Changed SmsOverrideNumber"]),
        ({"from": "2026-01-02", "q": "S-1"}, ["Paused the lane of bulk emails"]),
        ({"to": "1999-12-31"}, []),
        ({"subject": "SmsOverrideNumber"}, ["Changed SmsOverrideNumber"]),
        ({"subject": "email bulk"}, ["Paused the lane of bulk emails"]),
        ({"action": "delivery"}, ["Paused the lane of bulk emails"]),
        ({"action": "schedules"}, []),
    ],
)
def test_audit_log_is_filtered_by_person_and_day(
    web_app: Flask, sysadmin: WebClient, query: dict[str, str], actions: list[str]
) -> None:
    sysadmin.post(f"{QUEUES_PATH}/lanes/email/bulk/pause")
    with web_app.app_context():
        setting_changes.set_setting("SmsOverrideNumber", "+12025550142", None, NOW_MS + 2 * 86_400_000)
    page = sysadmin.get(AUDIT_LOG_PATH, query_string=query).text
    assert find_page_problems(page) == []
    rows = [visible_text(row) for row in re.findall(r'data-label="Action">(.*?)</td>', page)]
    assert [row.partition(" not set")[0] for row in rows] == actions


def test_invalid_days_of_the_audit_log_are_ignored(web_app: Flask, sysadmin: WebClient) -> None:
    sysadmin.post(f"{QUEUES_PATH}/lanes/email/bulk/pause")
    for invalid in ("yesterday", "2026-13-01", "\x00", "9999-12-31x"):
        page = sysadmin.get(AUDIT_LOG_PATH, query_string={"from": invalid, "to": invalid})
        assert (page.status_code, "Paused the lane" in page.text) == (200, True)


def test_audit_log_pages_omit_nothing(web_app: Flask, sysadmin: WebClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("portal.web.sysadmin.audit_log_pages._PAGE_SIZE", 4)
    with web_app.app_context():
        for index in range(5):
            lane_control.pause_lane("sms", 1, None, NOW_MS + index * 1_000)
            lane_control.resume_lane("sms", 1, None, NOW_MS + index * 1_000 + 1)
            setting_changes.set_setting("SmsOverrideNumber", f"+1202555010{index}", None, NOW_MS + index * 1_000 + 2)
    verbs = [row.split()[0] for row in all_rows(sysadmin)]
    assert verbs == ["Changed", "Resumed", "Paused"] * 5
    for invalid in ("x", "1.x", ".", "9" * 40, "-1.-1"):
        assert sysadmin.get(AUDIT_LOG_PATH, query_string={"before": invalid}).status_code == 200


def test_entry_of_an_action_that_took_long_is_on_one_page(
    web_app: Flask, sysadmin: WebClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An import records its entry when it ends, with the time at which it began."""
    monkeypatch.setattr("portal.web.sysadmin.audit_log_pages._PAGE_SIZE", 2)
    with web_app.app_context():
        for index in range(3):
            lane_control.pause_lane("sms", 1, None, NOW_MS + index * 1_000)
            lane_control.resume_lane("sms", 1, None, NOW_MS + index * 1_000 + 1)
        lane_control.pause_lane("email", 1, None, NOW_MS - 60_000)
    rows = all_rows(sysadmin)
    assert sum("Paused the lane of bulk emails" in row for row in rows) == 1
    assert sum("Paused" in row or "Resumed" in row for row in rows) == 7


def all_rows(sysadmin: WebClient) -> list[str]:
    """The actions on all pages."""
    rows, address = [], AUDIT_LOG_PATH
    while address:
        page = sysadmin.get(address).text
        rows += [visible_text(row) for row in re.findall(r'data-label="Action">(.*?)</td>', page)]
        older = re.search(r'href="([^"]+)" rel="next"', page)
        address = older.group(1).replace("&amp;", "&") if older else ""
    return rows


def test_verification_of_the_logs_is_shown(web_app: Flask, sysadmin: WebClient) -> None:
    sysadmin.post(f"{QUEUES_PATH}/lanes/email/bulk/pause")
    assert "The logs have not been verified yet." in visible_text(sysadmin.get(AUDIT_LOG_PATH).text)
    sysadmin.post(f"{AUDIT_LOG_PATH}/Verify")
    page = sysadmin.get(AUDIT_LOG_PATH).text
    assert find_page_problems(page) == []
    assert "All entries are as the portal wrote them." in visible_text(page)
    assert re.search(r"The audit log was verified just now *and is unbroken \(entries: [1-9]", visible_text(page))


def test_changed_entry_is_named_on_the_page(web_app: Flask, sysadmin: WebClient) -> None:
    sysadmin.post(f"{QUEUES_PATH}/lanes/email/bulk/pause")
    with app_transaction(web_app):
        entry_id = db.session.scalars(select(func.max(AuditEntry.id))).one()
        mac = update(LogMac).where(LogMac.log == "audit", LogMac.row_id == entry_id)
        db.session.execute(mac.values(amendment="forged, so that the trigger lets the change pass"))
        db.session.execute(update(AuditEntry).where(AuditEntry.id == entry_id).values(subject="sms:urgent"))
    sysadmin.post(f"{AUDIT_LOG_PATH}/Verify")
    problem = f"entry {entry_id} does not fit, because it was changed after it was written."
    assert problem in visible_text(sysadmin.get(AUDIT_LOG_PATH).text)


def test_export_has_what_the_filter_finds_and_runs_no_formula(web_app: Flask, sysadmin: WebClient) -> None:
    with web_app.app_context():
        for number in range(3):
            with transaction():
                record_audit_entry("job_retried", "=cmd|' /C calc'!A0", None, NOW_MS + number)
                record_audit_entry("send_paused", "send 1", None, NOW_MS + number)
    response = sysadmin.get(f"{AUDIT_LOG_PATH}/Export.csv", query_string={"action": "job_retried"})
    assert response.headers["Content-Disposition"].startswith("attachment; filename=audit-log-")
    rows = list(csv.DictReader(io.StringIO(response.text.removeprefix("\ufeff"))))
    assert [(row["action"], row["subject"]) for row in rows] == [("job_retried", "'=cmd|' /C calc'!A0")] * 3
    lines = sysadmin.get(f"{AUDIT_LOG_PATH}/Export.jsonl", query_string={"action": "job_retried"}).text.splitlines()
    assert [json.loads(line)["at"] for line in lines] == sorted((row["at"] for row in rows), reverse=True)
    exported = [entry for entry in audit_entries(web_app) if entry[0] == "audit_log_exported"]
    assert len(exported) == 2


def test_sign_ins_and_sign_outs_are_recorded_with_the_address(
    web_app: Flask, visitor: WebClient, sysadmin: WebClient
) -> None:
    with app_transaction(web_app):
        account = db.session.scalars(select(Account).where(Account.external_id == "P-1")).one()
        account.password = hash_password(PASSWORD)
    visitor.sign_in("P-1")
    visitor.post("/SignOut")
    page = visible_text(sysadmin.get(AUDIT_LOG_PATH, query_string={"action": "access"}).text)
    assert "Signed in as account P-1 from the address 127.0.0.1" in page
    assert "Signed out of account P-1 from the address 127.0.0.1" in page
