"""Imports of opt-outs and opt-ins: preview, confirmation, errors and files."""

import io
import re
from html import unescape

import pytest
from flask import Flask
from sqlalchemy import select
from werkzeug.test import TestResponse

from portal.core.extensions import db
from portal.messages.tables.communications import Delivery
from tests.support.html_checks import find_page_problems
from tests.support.spreadsheets.workbooks import handmade_workbook, inline_row, workbook_of
from tests.support.web_client import PUBLIC_URL, WebClient
from tests.web.admin.consent_helpers import (
    NEW,
    NUMBER,
    OPT_INS,
    OTHER,
    OWNERS,
    REPLIES,
    STOPS,
    confirmed_digest,
    is_stopped,
    ledger_kinds,
    reply_id,
    run_import_tasks,
    switch_texts_off,
)


def upload(visitor: WebClient, path: str, content: bytes, file_name: str = "stops.csv", **fields: str) -> TestResponse:
    data = {"csrf_token": visitor.csrf_token(), "file": (io.BytesIO(content), file_name), **fields}
    return visitor.client.post(path, data=data, base_url=PUBLIC_URL, headers={"Referer": f"{PUBLIC_URL}/"})


def submit_pasted(visitor: WebClient, path: str, text: str, **fields: str) -> TestResponse:
    """As a browser sends a form that can also take a file."""
    return upload(visitor, path, b"", text=text, file_name="", **fields)


def pasted_text(page: str) -> str:
    return unescape(page.partition("<textarea")[2].partition(">\n")[2].partition("</textarea>")[0])


def import_page(app: Flask, visitor: WebClient, confirmation: TestResponse) -> str:
    """The page that follows the confirmation, once the import is done."""
    assert confirmation.status_code == 303
    run_import_tasks(app)
    page = visitor.get(confirmation.location).text
    assert find_page_problems(page) == []
    return page


def test_imports_and_replies_work_before_going_live(
    web_app: Flask, admin: WebClient, sysadmin: WebClient, consent_history: None
) -> None:
    switch_texts_off(web_app)
    preview = admin.post(STOPS, text=NEW)
    import_page(web_app, sysadmin, sysadmin.post(STOPS, text=NEW, confirmed=confirmed_digest(preview)))
    assert admin.post(f"{REPLIES}/{reply_id(web_app)}", decision="stop").status_code == 303
    assert is_stopped(web_app, NEW)
    assert is_stopped(web_app, OTHER)
    assert admin.post(f"{NUMBER}/Move/2").status_code == 303
    with web_app.app_context():
        states = set(db.session.scalars(select(Delivery.state).where(Delivery.channel == "email")))
    assert states <= {"skipped"}


def test_opt_outs_are_previewed_then_imported(web_app: Flask, admin: WebClient, consent_history: None) -> None:
    text = f"{OWNERS}\r\n{OTHER}\r\n{OWNERS}"
    preview = admin.post(STOPS, text=text)
    assert "1 number gets no more texts." in preview.text
    assert "1 number is already opted out" in preview.text
    assert "1 line repeats a number." in preview.text
    assert not is_stopped(web_app, OWNERS)
    response = admin.post(STOPS, text=text, confirmed=confirmed_digest(preview))
    assert not is_stopped(web_app, OWNERS), "a worker does it"
    summary = "1 number was opted out. 1 was already opted out. 1 appeared more than once."
    assert summary in import_page(web_app, admin, response)
    assert is_stopped(web_app, OWNERS)


def test_changed_import_is_previewed_again(web_app: Flask, admin: WebClient, consent_history: None) -> None:
    preview = admin.post(STOPS, text=OWNERS)
    again = admin.post(STOPS, text=f"{OWNERS}\n+12025550177", confirmed=confirmed_digest(preview))
    assert again.status_code == 200
    assert "2 numbers get no more texts." in again.text
    assert not is_stopped(web_app, OWNERS)


def test_row_errors_are_listed_and_the_text_is_kept(web_app: Flask, admin: WebClient, consent_history: None) -> None:
    response = admin.post(STOPS, text=f"{OWNERS}\n555 <b>\n")
    assert response.status_code == 422
    assert find_page_problems(response.text) == []
    assert "Nothing was imported: 1 mistake found." in response.text
    assert "<li>Row 2, phone: This is not a phone number." in response.text
    assert f"{OWNERS}\n555 &lt;b&gt;" in response.text
    assert not is_stopped(web_app, OWNERS)


def test_workbook_that_cannot_be_unpacked_is_refused_by_the_worker(web_app: Flask, admin: WebClient) -> None:
    raw = handmade_workbook(inline_row(1, "phone"), parts={"xl/styles.xml": bytes(41 * 1024**2)})
    page = import_page(web_app, admin, upload(admin, STOPS, raw, "stops.xlsx"))
    assert "take more than 40 MB when unpacked" in page


def test_workbook_is_unpacked_by_a_worker_and_then_previewed(
    web_app: Flask, admin: WebClient, consent_history: None
) -> None:
    uploaded = upload(admin, STOPS, workbook_of([["phone", "reason"], [OWNERS, "left"]]), "stops.xlsx")
    assert "The file is stored and waiting for a worker." in admin.get(uploaded.location).text
    preview = import_page(web_app, admin, uploaded)
    assert "1 number gets no more texts." in preview
    assert admin.get(uploaded.location, headers={"HX-Request": "true"}).headers["HX-Refresh"] == "true"
    fields = {"text": pasted_text(preview), "upload": uploaded.location.rpartition("/")[2]}
    digest = re.search(r'name="confirmed" value="(\w+)"', preview)
    assert digest
    import_page(web_app, admin, admin.post(STOPS, **fields, confirmed=digest[1]))
    assert is_stopped(web_app, OWNERS)
    assert admin.get(uploaded.location).status_code == 404


def test_workbook_with_invalid_rows_can_be_corrected_on_the_page(
    web_app: Flask, admin: WebClient, consent_history: None
) -> None:
    uploaded = upload(admin, STOPS, workbook_of([["phone", "reason"], ["555", "left"]]), "stops.xlsx")
    run_import_tasks(web_app)
    page = admin.get(uploaded.location)
    assert (page.status_code, find_page_problems(page.text)) == (422, [])
    assert pasted_text(page.text).split() == ['"phone","reason"', '"555","left"']


def test_uploaded_file_can_be_corrected_on_the_page(admin: WebClient, consent_history: None) -> None:
    response = upload(admin, STOPS, b"\xef\xbb\xbfphone,reason\n555,left\n")
    assert response.status_code == 422
    assert "phone,reason\n555,left" in response.text


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"\x00", b"caf\x81", b" "])
def test_binary_file_is_rejected_and_pasted_text_kept(admin: WebClient, consent_history: None, content: bytes) -> None:
    response = upload(admin, STOPS, content, text="+12025550177")
    assert response.status_code == 422
    assert "+12025550177</textarea>" in response.text


def test_empty_import_is_rejected(admin: WebClient, consent_history: None) -> None:
    for path in (STOPS, OPT_INS):
        response = admin.post(path, text="\x00")
        assert response.status_code == 422
        assert find_page_problems(response.text) == []


def test_large_pasted_file_is_accepted(web_app: Flask, admin: WebClient, sms_enabled: None) -> None:
    lines = [f"+1202{200 + index // 10_000}{index % 10_000:04d},,{'r' * 360}" for index in range(3_000)]
    text = "\n".join(["phone,stopped_at,reason", *lines])
    assert len(text) > 1_048_576
    preview = submit_pasted(admin, STOPS, text)
    assert "3,000 numbers get no more texts." in preview.text
    import_page(web_app, admin, submit_pasted(admin, STOPS, text, confirmed=confirmed_digest(preview)))
    assert len(ledger_kinds(web_app)) == 3_000 + 1


def test_too_large_file_is_rejected_with_a_page(admin: WebClient, sms_enabled: None) -> None:
    response = upload(admin, OPT_INS, b"1" * 17 * 1024 * 1024)
    assert response.status_code == 413
    assert find_page_problems(response.text) == []
    assert "Split it and import its parts" in response.text
    assert "<h2>Import opt-ins</h2>" in response.text


def test_opt_in_preview_gives_reasons_for_evidence_only(
    web_app: Flask, admin: WebClient, consent_history: None
) -> None:
    lines = [f"P-1,{OTHER},2026-01-02,Form", f"P-2,{OWNERS},2026-01-02,Form", "V-1,+12025550177,2026-01-02,Form"]
    text = "\n".join(["external_id,phone,opted_in_at,evidence", *lines])
    preview = admin.post(OPT_INS, text=text)
    assert find_page_problems(preview.text) == []
    assert "Row 2, P-1, (202) 555-0155: The number is opted out" in preview.text
    assert "Row 3, P-2, (202) 555-0101: Another account gets this number’s texts." in preview.text
    page = import_page(web_app, admin, admin.post(OPT_INS, text=text, confirmed=confirmed_digest(preview)))
    assert "1 opt-in is in force. 2 are kept as evidence only. 2 numbers were added to accounts." in page
    assert is_stopped(web_app, OTHER)
