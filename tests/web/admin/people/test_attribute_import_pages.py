"""Set attributes of many accounts from a file: the check, its preview, and the import."""

import io

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from portal.accounts.account_attributes import set_attributes
from portal.accounts.tables.accounts import find_by_external_ids
from portal.accounts.tables.attributes import values_of
from portal.core.clock import now_ms
from tests.support import scenario
from tests.support.html_checks import find_page_problems
from tests.support.page_queries import audit_entries, visible_text
from tests.support.spreadsheets.workbooks import workbook_of
from tests.support.web_client import PUBLIC_URL, WebClient
from tests.web.admin.consent_helpers import run_import_tasks

IMPORT = "/Admin/Attributes/import"
ROWS = [["external_id", "credits", "region"], ["P-1", "40", ""], ["p-2", "12", "south"]]

AUDITED = [
    ("account_changed", "account P-1"),
    ("account_changed", "account P-2"),
    ("attributes_imported", "a file"),
]
BEFORE = [{"credits": "12", "region": "North"}, {"credits": "12"}]


@pytest.fixture(autouse=True)
def values(web_app: Flask) -> None:
    """Both people have 12 credits, and only P-1 has a region."""
    with web_app.app_context():
        scenario.add_attributes()
        for account in find_by_external_ids(["P-1", "P-2"]).values():
            set_attributes(account.id, {"credits": "12"}, None, now_ms())
        scenario.forget_audit_entries()


def upload(admin: WebClient, content: bytes, name: str) -> TestResponse:
    data = {"csrf_token": admin.csrf_token(), "file": (io.BytesIO(content), name)}
    return admin.client.post(IMPORT, data=data, base_url=PUBLIC_URL, headers={"Referer": f"{PUBLIC_URL}/"})


def stored_values(app: Flask) -> list[dict[str, str]]:
    """Of P-1 and P-2."""
    with app.app_context():
        ids = sorted(account.id for account in find_by_external_ids(["P-1", "P-2"]).values())
        return [values_of(ids, ["credits", "region"]).get(account_id, {}) for account_id in ids]


def csv_of(rows: list[list[str]]) -> bytes:
    return "\n".join(";".join(row) for row in rows).encode()


@pytest.mark.parametrize("is_workbook", [False, True], ids=("csv", "xlsx"))
def test_file_is_checked_shown_and_imported_when_confirmed(web_app: Flask, admin: WebClient, is_workbook: bool) -> None:
    content, name = (workbook_of(ROWS), "values.xlsx") if is_workbook else (csv_of(ROWS), "values.csv")
    address = upload(admin, content, name).location
    assert "The file is stored and waiting for a worker." in admin.get(address).text
    run_import_tasks(web_app)
    page = admin.get(address).text
    assert find_page_problems(page) == []
    words = visible_text(page)
    assert "2 values change of 2 accounts in the file" in words
    assert "New: 1 Changed: 1 Unchanged: 1" in words
    assert "2 P-1 Credits 12 40" in words
    assert stored_values(web_app) == BEFORE
    assert admin.post(f"{address}/confirm").status_code == 303
    run_import_tasks(web_app)
    assert "1 value was added. 1 value was changed. 1 value was there already." in admin.get(address).text
    assert stored_values(web_app) == [{"credits": "40", "region": "North"}, {"credits": "12", "region": "South"}]
    assert audit_entries(web_app) == AUDITED
    assert name in visible_text(admin.get(IMPORT).text)


def test_invalid_rows_are_listed_and_nothing_is_imported(web_app: Flask, admin: WebClient) -> None:
    address = upload(admin, b"external_id,credits\nP-1,many\nP-9,5\n", "values.csv").location
    run_import_tasks(web_app)
    page = admin.get(address).text
    assert find_page_problems(page) == []
    assert "Nothing was imported: 2 mistakes found." in page
    assert "Row 2, credits: “many” is not a number." in page
    assert "Row 3, external_id: No account has the number P-9." in page
    admin.post(f"{address}/confirm")
    assert "This import is already over" in admin.get(address).text
    assert stored_values(web_app) == BEFORE


def test_second_confirmation_imports_nothing_more(web_app: Flask, admin: WebClient) -> None:
    address = upload(admin, csv_of(ROWS), "values.csv").location
    run_import_tasks(web_app)
    for _click in range(2):
        admin.post(f"{address}/confirm")
        run_import_tasks(web_app)
    assert audit_entries(web_app) == AUDITED


def test_file_that_changes_nothing_has_nothing_to_confirm(web_app: Flask, admin: WebClient) -> None:
    address = upload(admin, b"external_id,credits\nP-1,12\n", "values.csv").location
    run_import_tasks(web_app)
    page = admin.get(address).text
    assert "All accounts have these values already." in page
    assert "/confirm" not in page


@pytest.mark.parametrize(("content", "name"), [(b"", ""), (b" \n", "values.csv")])
def test_problem_with_the_upload_is_told_at_its_field(admin: WebClient, content: bytes, name: str) -> None:
    page = upload(admin, content, name)
    assert (page.status_code, find_page_problems(page.text)) == (422, [])
    assert 'id="field-file-error"' in page.text


def test_import_of_another_kind_is_404(admin: WebClient) -> None:
    assert admin.get(f"{IMPORT}/1").status_code == 404
