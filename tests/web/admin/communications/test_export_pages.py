"""Administrators ask for an export of the list they see, and download or delete it."""

import csv
import io
from typing import Any
from urllib.parse import urlencode

import pytest
from flask import Flask
from sqlalchemy import select

from portal.core.audit_log import AuditEntry
from portal.core.clock import now_ms
from portal.core.extensions import db
from portal.records.exports import run_export
from portal.records.tables.communication_exports import CommunicationExport
from tests.support.html_checks import find_page_problems
from tests.support.web_client import WebClient

URL = "/Admin/Communications/Exports"


def run(app: Flask, export_id: int) -> None:
    with app.app_context():
        run_export(export_id, now_ms)


def actions(app: Flask) -> list[tuple[str, Any]]:
    with app.app_context():
        entries = select(AuditEntry.action, AuditEntry.detail).where(AuditEntry.action.like("%export%"))
        return [(action, detail) for action, detail in db.session.execute(entries.order_by(AuditEntry.id))]


@pytest.mark.usefixtures("sms_enabled", "sent_communications")
def test_export_has_what_the_list_shows(web_app: Flask, admin: WebClient) -> None:
    line = "Olive status:waiting channel:text send:1"
    assert f"{URL}/new?" in admin.get(f"/Admin/Communications?{urlencode({'q': line})}").text
    assert line in admin.get(f"{URL}/new?{urlencode({'q': line})}").text
    address = admin.post(URL, q=line, format="csv").headers["Location"]
    assert "Waiting for a worker." in admin.get(address).text
    run(web_app, int(address.rpartition("/")[2]))
    assert "It has 1 row and is kept until" in admin.get(address).text
    assert admin.client.head(f"{address}/file", base_url="https://portal.example.org").data == b""
    response = admin.get(f"{address}/file")
    (row,) = csv.DictReader(io.StringIO(response.get_data().decode("utf-8-sig")))
    assert (row["name"], row["text_status"]) == ("Olive Owner", "Waiting to be sent")
    assert actions(web_app)[-2:] == [
        ("communications_exported", {"format": "CSV", "search": "status:waiting channel:text send:1"}),
        ("export_downloaded", {"format": "CSV", "search": "status:waiting channel:text send:1", "rows": 1}),
    ]


@pytest.mark.usefixtures("sms_enabled", "sent_communications")
def test_deleted_file_cannot_be_downloaded(web_app: Flask, admin: WebClient) -> None:
    assert "Phone numbers and email addresses are in full, because: Ερώτηση 7" in admin.get(f"{URL}/1").text
    admin.post(f"{URL}/1/remove")
    page = admin.client.get(f"{URL}/1/file", base_url="https://portal.example.org", follow_redirects=True).text
    assert "This export has no file any more." in page
    assert "Export again…" in page
    assert actions(web_app)[-1] == ("export_removed", {})


@pytest.mark.usefixtures("sent_communications")
def test_wrong_input_is_refused_at_its_field(admin: WebClient) -> None:
    response = admin.post(URL, format="pdf", reason="x" * 301, q="Olive")
    assert response.status_code == 422
    assert "Choose a format." in response.text
    assert "Use 300 characters or fewer." in response.text
    assert "Olive" in response.text
    assert find_page_problems(response.text) == []
    response = admin.post(URL, format="csv", q="nobody:1")
    assert "There is no filter “nobody:”" in admin.get(response.headers["Location"]).text


@pytest.mark.usefixtures("sent_communications")
def test_export_has_no_texts_while_they_are_off(web_app: Flask, admin: WebClient) -> None:
    address = admin.post(URL, format="jsonl", q="status:waiting").headers["Location"]
    run(web_app, int(address.rpartition("/")[2]))
    assert "text" not in admin.get(f"{address}/file").text
    with web_app.app_context():
        assert db.session.scalars(select(CommunicationExport.with_sms)).all() == [True, False]
