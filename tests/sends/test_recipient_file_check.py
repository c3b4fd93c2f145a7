"""A recipient file is checked row by row, by one worker at a time, whatever happens to the worker."""

import errno
import threading
from collections.abc import Callable, Iterator
from datetime import date
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select, update

from portal.accounts.tables.accounts import Account
from portal.content.tables.templates import TemplateVersion
from portal.core.audit_log import entries_about
from portal.core.coordination import pending_work_ids
from portal.core.errors import ActionRefused
from portal.core.extensions import db
from portal.core.transaction import transaction
from portal.delivery import maintenance
from portal.gateways import queue
from portal.sends import recipient_file_check, recipient_uploads
from portal.sends.tables import recipient_files
from portal.sends.tables.recipient_files import RecipientFile, RecipientFileState
from tests.support import scenario
from tests.support.spreadsheets.recipient_file_scenario import add_exam_template, check, stored, upload, upload_checked
from tests.support.spreadsheets.workbooks import workbook_of

pytestmark = pytest.mark.usefixtures("people")
HEADER = "external_id,exam_date,city,fee\n"
GOOD = "P-0,2027-05-28,Reno,80\n"


@pytest.fixture
def people(app: Flask) -> Iterator[None]:
    scenario.create_accounts(4)
    add_exam_template()
    yield
    db.session.rollback()


def errors(file_id: int) -> list[tuple[int, str, str]]:
    return [(error.row_number, error.column_label, error.message) for error in recipient_files.row_errors(file_id, 99)]


def good_values(file_id: int) -> list[tuple[str, dict[str, str]]]:
    return [(row.external_id, row.data) for row in recipient_files.good_rows(file_id)]


def test_good_rows_keep_their_values() -> None:
    file = check(upload(f"{HEADER}{GOOD}p-1,May 28 2027,Elko,\n"))
    assert (file.state, file.good_rows, file.bad_rows) == (RecipientFileState.CHECKED, 2, 0)
    assert good_values(file.id) == [
        ("P-0", {"exam_date": "2027-05-28", "city": "Reno", "fee": "80"}),
        ("p-1", {"exam_date": "May 28 2027", "city": "Elko"}),
    ]
    assert file.content is None


def test_workbook_is_checked_like_a_csv() -> None:
    header = ["Account number", "Exam date", "City"]
    rows: list[list[Any]] = [header, ["P-0", date(2027, 5, 28), "Reno"], ["P-9", None, "Elko"]]
    file = check(upload(workbook_of(rows), "exams.xlsx"))
    assert good_values(file.id) == [("P-0", {"exam_date": "2027-05-28", "city": "Reno"})]
    assert [error[:2] for error in errors(file.id)] == [(3, "A, Account number"), (3, "B, Exam date")]


@pytest.mark.parametrize(
    ("row", "column", "message"),
    [
        ("P-9,2027-05-28,Reno,", "A, external_id", "There is no account with the number P-9."),
        ("P-3,2027-05-28,Reno,", "A, external_id", "The account P-3 is deactivated, so it gets nothing."),
        ("p-0,2027-05-28,Reno,", "A, external_id", "P-0 is already in row 2."),
        ("P-1,2027-05-28,,", "C, city", "This cell is empty, and the template needs a value."),
        ("P-1,05/06/2027,Reno,", "B, exam_date", "“05/06/2027”, given for data.exam_date, is not a complete date."),
    ],
)
def test_bad_row_names_its_cell_and_problem(row: str, column: str, message: str) -> None:
    with transaction() as session:
        session.execute(update(Account).where(Account.external_id == "P-3").values(active=False))
    file = check(upload(f"{HEADER}{GOOD}{row}\n"))
    assert (file.good_rows, file.bad_rows) == (1, 1)
    ((number, label, text),) = errors(file.id)
    assert (number, label) == (3, column)
    assert text.startswith(message)


def test_condition_on_the_account_is_checked_for_each_person() -> None:
    body = '{% if external_id == "P-1" %}{{ data.city | plus: 1 }}{% endif %}'
    with transaction() as session:
        session.execute(update(TemplateVersion).values(body=body, subject="Exam"))
    file = check(upload("external_id,city\nP-0,Reno\nP-1,Reno\nP-2,5\n"))
    assert [row for row, _column, _message in errors(file.id)] == [3]


def test_value_for_everyone_fills_missing_columns_and_blank_cells() -> None:
    file_id = upload_checked(
        "external_id,exam_date,fee\nP-0,2027-05-28,\nP-1,,5\n", city="Reno", exam_date="May 1, 2027"
    )
    assert errors(file_id) == []
    audience, ids = {"recipient_file": file_id}, [row.account_id or 0 for row in recipient_files.good_rows(file_id)]
    values = recipient_files.values_by_account(audience, stored(file_id).data, ids)
    assert [values[account_id] for account_id in ids] == [
        {"exam_date": "2027-05-28", "city": "Reno", "fee": ""},
        {"exam_date": "May 1, 2027", "city": "Reno", "fee": "5"},
    ]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("name,city\nx,y\n", "Row 1 needs a heading “external_id”"),
        ("external_id,city\nP-0,Reno\n", "The template needs a value for exam_date. Add a column"),
        (HEADER, "The file has headings but no rows."),
        (f'{HEADER}{GOOD * 1_500}P-1,"x', "cannot be read as CSV. Check its quotation marks."),
        (b"PK\x03\x04", "The workbook is damaged."),
        (b"\x00\x01", "The file contains binary data"),
    ],
)
def test_file_that_cannot_be_used_is_refused_as_a_whole(content: str | bytes, problem: str) -> None:
    file = check(upload(content))
    assert (file.state, file.good_rows, file.bad_rows) == (RecipientFileState.REFUSED, 0, 0)
    assert problem in file.problem
    assert not list(recipient_files.good_rows(file.id))
    assert errors(file.id) == []


def test_empty_file_is_refused_at_once() -> None:
    with pytest.raises(ActionRefused, match="The file is empty"):
        upload("\n \n")


def test_columns_that_are_not_used_are_named() -> None:
    file = check(upload(f"Name,{HEADER}Kim,{GOOD}"))
    assert file.warnings == ["The template does not use these columns: Name."]
    assert file.fields == ["exam_date", "city", "fee"]


def test_scheduler_finds_a_file_whose_job_was_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    file_id, jobs = upload(HEADER + GOOD), list[tuple[Any, ...]]()
    monkeypatch.setattr(queue, "enqueue", lambda _url, *job: jobs.append(job))
    maintenance.enqueue_waiting(scenario.now_ms())
    assert jobs == [(recipient_uploads.JOB, file_id)]


def test_check_that_died_continues_behind_its_last_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    file_id = upload(HEADER + GOOD + "P-9,2027-05-28,Reno,\nP-0,2027-05-28,Reno,\nP-1,2027-05-28,Reno,\n")
    monkeypatch.setattr(recipient_file_check, "_BATCH_SIZE", 2)
    with monkeypatch.context() as patch:
        patch.setattr(recipient_files, "rows_by_account", fail_after(1, recipient_files.rows_by_account))
        with pytest.raises(ZeroDivisionError):
            check(file_id)
    died = stored(file_id)
    assert (died.state, died.checked_through, died.good_rows, died.bad_rows) == (RecipientFileState.PENDING, 3, 1, 1)
    file = check(file_id)
    assert (file.state, file.run_number, file.good_rows, file.bad_rows) == (RecipientFileState.CHECKED, 2, 2, 2)
    assert [(row, message) for row, _column, message in errors(file_id)] == [
        (3, "There is no account with the number P-9."),
        (4, "P-0 is already in row 2."),
    ]


def test_long_check_lets_other_work_go_first(monkeypatch: pytest.MonkeyPatch) -> None:
    file_id = upload(HEADER + GOOD + "P-1,2027-05-28,Reno,\nP-2,2027-05-28,Reno,\n")
    monkeypatch.setattr(recipient_file_check, "_BATCH_SIZE", 1)
    for done in (1, 2, 3):
        recipient_file_check.check_file(file_id, scenario.now_ms, seconds=0)
        assert (stored(file_id).state, stored(file_id).good_rows) == (RecipientFileState.PENDING, done)
    assert (check(file_id).state, stored(file_id).good_rows) == (RecipientFileState.CHECKED, 3)


def fail_after(calls: int, function: Callable[..., Any]) -> Callable[..., Any]:
    count = iter(range(calls))
    return lambda *arguments: fail() if next(count, None) is None else function(*arguments)


def fail(*_arguments: object, **_columns: object) -> None:
    raise ZeroDivisionError


def test_worker_whose_check_was_taken_over_writes_nothing_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """The second worker begins and ends while the first is between two batches."""
    file_id = upload(HEADER + GOOD + "P-1,2027-05-28,Reno,\nP-2,2027-05-28,Reno,\n")
    monkeypatch.setattr(recipient_file_check, "_BATCH_SIZE", 1)
    write, writes = recipient_file_check._write_batch, list[int]()

    def write_late(*arguments: Any) -> None:
        writes.append(1)
        if len(writes) == 2:
            recipient_file_check.check_file(file_id, scenario.now_ms)
        write(*arguments)

    monkeypatch.setattr(recipient_file_check, "_write_batch", write_late)
    file = check(file_id)
    assert (file.state, file.good_rows, len(writes)) == (RecipientFileState.CHECKED, 3, 4)
    assert len(good_values(file_id)) == 3


def test_two_workers_with_one_file_check_it_once(app: Flask) -> None:
    file_id, barrier = upload(HEADER + GOOD + "P-9,2027-05-28,Reno,\n"), threading.Barrier(2)

    def work() -> None:
        with app.app_context():
            barrier.wait()
            recipient_file_check.check_file(file_id, scenario.now_ms)

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    file = stored(file_id)
    assert (file.state, file.good_rows, file.bad_rows) == (RecipientFileState.CHECKED, 1, 1)


def test_file_that_always_breaks_is_given_up_until_somebody_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    file_id = upload(HEADER + GOOD)
    with monkeypatch.context() as patch:
        patch.setattr(recipient_file_check, "open_spreadsheet", fail)
        for _attempt in range(5):
            with pytest.raises(ZeroDivisionError):
                check(file_id)
        assert check(file_id).state == RecipientFileState.FAILED
    assert pending_work_ids(RecipientFile) == []
    actor_id = db.session.scalars(select(Account.id)).first() or 0
    recipient_uploads.retry_check(file_id, actor_id, scenario.now_ms())
    assert [entry.action for entry in entries_about(f"recipient file {file_id}", ["job_retried"])] == ["job_retried"]
    assert check(file_id).good_rows == 1
    with pytest.raises(ActionRefused, match="This file has been checked"):
        recipient_uploads.retry_check(file_id, actor_id, scenario.now_ms())


def test_full_disk_ends_the_check_until_somebody_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_arguments: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    file_id = upload(f"{HEADER}{GOOD}")
    with monkeypatch.context() as patch:
        patch.setattr(recipient_file_check, "bulk_insert", fail)
        file = check(file_id)
    assert (file.state, file.problem[:33]) == (RecipientFileState.FAILED, "The disk of the database is full.")
    recipient_uploads.retry_check(file_id, 1, scenario.now_ms())
    assert check(file_id).good_rows == 1
