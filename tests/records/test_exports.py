"""An export has exactly the rows of the list, whatever happens to its worker, its disk, and its rows meanwhile."""

import csv
import io
import json
import zlib
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import openpyxl
import pytest
from flask import Flask
from sqlalchemy import event, func, select, text, update

from portal.core import audit_log
from portal.core.errors import ActionRefused, InvalidInput
from portal.core.extensions import db
from portal.core.transaction import transaction
from portal.messages.tables.communications import Communication, Delivery
from portal.records import exports
from portal.records.rules.export_formats import FORMATS
from portal.records.tables.communication_exports import CommunicationExport, ExportPart, ExportState
from portal.records.tables.stored_parts import PartMissing
from tests.support import scenario

AUTHOR_ID = 1
NOW_MS = 1_767_225_600_000


@pytest.fixture
def sent(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Seven communications, of which two have a text; an export writes two in a part."""
    scenario.configure_gateway()
    scenario.create_accounts(7, with_sms=2)
    scenario.add_template(subject="=Due, {{ first_name }}")
    scenario.create_expanded_send()
    scenario.forget_audit_entries()
    monkeypatch.setattr(exports, "_BATCH_SIZE", 2)
    yield
    db.session.rollback()


def create(file_format: str = "csv", reason: str = "", line: str = "") -> int:
    return exports.create_export(line, True, file_format, reason, "America/New_York", AUTHOR_ID, NOW_MS)


def run(export_id: int, **options: Any) -> CommunicationExport:
    exports.run_export(export_id, lambda: NOW_MS, **options)
    return stored(export_id)


def stored(export_id: int) -> CommunicationExport:
    db.session.rollback()
    return db.session.get_one(CommunicationExport, export_id)


def run_one_part(export_id: int) -> None:
    run(export_id, should_stop=lambda: True)


def file_of(export_id: int) -> bytes:
    return b"".join(exports.download(stored(export_id), AUTHOR_ID, NOW_MS))


def csv_rows(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"))))


def exported(line: str) -> list[dict[str, str]]:
    export_id = create(line=line)
    run(export_id)
    return csv_rows(file_of(export_id))


def part_count() -> int:
    db.session.rollback()
    return db.session.scalar(select(func.count()).select_from(ExportPart)) or 0


@pytest.mark.usefixtures("sent")
@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("", ["P-6", "P-5", "P-4", "P-3", "P-2", "P-1", "P-0"]),
        ('to:"person 3"', ["P-3"]),
        ("channel:text status:waiting", ["P-1", "P-0"]),
        ("send:1", ["P-6", "P-5", "P-4", "P-3", "P-2", "P-1", "P-0"]),
        ("send:99", []),
    ],
)
def test_export_has_the_rows_of_the_filtered_list(line: str, expected: list[str]) -> None:
    assert [row["account_number"] for row in exported(line)] == expected


@pytest.mark.usefixtures("sent")
def test_formats_say_the_same() -> None:
    contents = {}
    for file_format in ("csv", "jsonl", "xlsx"):
        export_id = create(file_format)
        assert run(export_id).state == ExportState.DONE
        contents[file_format] = file_of(export_id)
    assert contents["csv"].startswith(b"\xef\xbb\xbf")
    rows = csv_rows(contents["csv"])
    values = [json.loads(line) for line in contents["jsonl"].splitlines()]
    sheet = openpyxl.load_workbook(io.BytesIO(contents["xlsx"])).active
    assert sheet is not None
    heading, *cells = sheet.iter_rows(values_only=True)
    assert [dict(zip(heading, row, strict=True)) for row in cells] == values
    assert sheet["I2"].data_type == "s"  # and not a formula
    assert rows[0]["subject"] == "'=Due, Person"
    assert values[0]["subject"] == "=Due, Person"
    assert values[0]["created_at"].endswith(("-05:00", "-04:00"))
    assert [row["text_status"] for row in rows] == [*["Email only"] * 5, *["Waiting to be sent"] * 2]
    unescaped = {name: "" if value is None else str(value) for name, value in values[0].items() if name != "subject"}
    assert {name: value for name, value in rows[0].items() if name != "subject"} == unescaped


@pytest.mark.usefixtures("sent")
def test_addresses_are_masked_unless_there_is_a_reason() -> None:
    masked, full = create(), create(reason="Ticket 7")
    run(masked)
    run(full)
    assert [csv_rows(file_of(id))[-1]["phone_number"] for id in (masked, full)] == ["'+1 ••• 0000", "+14152000000"]
    assert [csv_rows(file_of(id))[-1]["email_address"] for id in (masked, full)] == [
        "p•••@example.org",
        "p0@example.org",
    ]
    entries = audit_log.entries_about(f"export {full}", ("communications_exported", "export_downloaded"))
    assert [(entry.action, entry.detail["reason"]) for entry in entries][:2] == [
        ("communications_exported", "Ticket 7"),
        ("export_downloaded", "Ticket 7"),
    ]


@pytest.mark.usefixtures("sent")
def test_next_run_continues_behind_the_last_part() -> None:
    export_id = create()
    run_one_part(export_id)
    assert (stored(export_id).row_count, part_count()) == (2, 1)
    run(export_id)
    assert [row["account_number"] for row in csv_rows(file_of(export_id))] == [f"P-{n}" for n in reversed(range(7))]


@pytest.mark.usefixtures("sent")
def test_second_worker_stops_the_first() -> None:
    export_id = create()

    def interrupt() -> bool:
        exports.run_export(export_id, lambda: NOW_MS)
        return False

    run(export_id, should_stop=interrupt)
    assert len(csv_rows(file_of(export_id))) == 7


@pytest.mark.usefixtures("sent")
def test_export_that_kills_its_worker_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    export_id = create()
    run_one_part(export_id)
    with monkeypatch.context() as patch:
        patch.setattr(exports, "_write_part", lambda _run: 1 // 0)
        for _attempt in range(5):
            with pytest.raises(ZeroDivisionError):
                run(export_id)
    assert run(export_id).state == ExportState.FAILED
    exports.delete_old_exports(NOW_MS)
    assert part_count() == 0
    exports.retry_export(export_id, AUTHOR_ID, NOW_MS)
    run(export_id)
    assert len(csv_rows(file_of(export_id))) == 7


@pytest.mark.usefixtures("sent")
def test_full_disk_fails_the_export_and_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    export_id = create("jsonl")
    run_one_part(export_id)
    monkeypatch.setattr(zlib, "compress", lambda content: bytes(4_000_000))
    fill_disk()
    export = run(export_id)
    assert export.state == ExportState.FAILED
    assert export.problem.startswith("The disk of the database is full.")
    assert part_count() == 0


def fill_disk() -> None:
    """SQLite gets no more pages; PostgreSQL answers as it does without room for a page."""
    if db.engine.name == "sqlite":
        most = db.session.scalar(text("PRAGMA page_count")) + 50
        db.session.remove()
        # of each connection that is taken from the pool
        event.listen(db.engine, "checkout", lambda file, *_: file.execute(f"PRAGMA max_page_count = {most}").close())
        return
    raising = "BEGIN RAISE EXCEPTION 'No space left on device' USING ERRCODE = '53100'; END"
    with transaction() as session:
        session.execute(text(f"CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $${raising}$$"))
        trigger = "CREATE TRIGGER full_disk BEFORE INSERT ON communication_export_part EXECUTE FUNCTION fail()"
        session.execute(text(trigger))


@pytest.mark.usefixtures("sent")
def test_canceled_export_stops_and_leaves_nothing() -> None:
    export_id = create()

    def cancel() -> bool:
        exports.remove_export(export_id, AUTHOR_ID, NOW_MS)
        return False

    run(export_id, should_stop=cancel)
    assert (stored(export_id).state, part_count()) == (ExportState.REMOVED, 0)
    with pytest.raises(ActionRefused):
        exports.remove_export(export_id, AUTHOR_ID, NOW_MS)


@pytest.mark.usefixtures("sent")
def test_file_is_deleted_after_a_day() -> None:
    export_id = create()
    run(export_id)
    exports.delete_old_exports(NOW_MS + exports.KEPT_MS - 1)
    assert part_count() == 4
    exports.delete_old_exports(NOW_MS + exports.KEPT_MS)
    assert (stored(export_id).state, part_count()) == (ExportState.REMOVED, 0)


@pytest.mark.usefixtures("sent")
def test_search_line_is_deleted_after_a_month() -> None:
    """It may name a person whose account is erased."""
    export_id = create(line='to:"person 3"')
    run(export_id)
    for days, is_there in ((1, True), (30, True), (31, False)):
        exports.delete_old_exports(NOW_MS + days * exports.KEPT_MS)
        db.session.rollback()
        assert (db.session.get(CommunicationExport, export_id) is not None) == is_there


@pytest.mark.usefixtures("sent")
@pytest.mark.parametrize("file_format", ["csv", "xlsx"])
def test_download_breaks_off_when_its_file_is_deleted(file_format: str) -> None:
    """What came so far must not pass for the whole."""
    export_id = create(file_format)
    run(export_id)
    pieces = exports.download(stored(export_id), AUTHOR_ID, NOW_MS)
    next(pieces)
    exports.remove_export(export_id, AUTHOR_ID, NOW_MS)
    with pytest.raises(PartMissing):
        list(pieces)


@pytest.mark.usefixtures("sent")
def test_workbook_with_too_many_rows_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(FORMATS, "xlsx", replace(FORMATS["xlsx"], max_rows=3))
    export = run(create("xlsx"))
    assert (export.state, part_count()) == (ExportState.FAILED, 0)
    assert export.problem.startswith("A workbook holds 1,048,575 rows")
    monkeypatch.setitem(FORMATS, "xlsx", replace(FORMATS["xlsx"], max_rows=7))
    assert run(create("xlsx")).state == ExportState.DONE


@pytest.mark.usefixtures("sent")
def test_line_that_is_no_longer_understood_fails_the_export() -> None:
    """And does not break every run, again and again."""
    export_id = create(line="\x00 status:\u200bfailed\x00")
    with transaction() as session:
        session.execute(update(CommunicationExport).values(search_line="number:5550101"))
    assert run(export_id).state == ExportState.FAILED
    assert "“5550101” is not a whole phone number." in stored(export_id).problem


@pytest.mark.usefixtures("sent")
def test_slow_download_keeps_no_transaction_open() -> None:
    """PostgreSQL would end it after a minute, in the middle of the file."""
    export_id = create()
    run(export_id)
    for _piece in exports.download(stored(export_id), AUTHOR_ID, NOW_MS):
        assert not db.session().in_transaction()


@pytest.mark.usefixtures("sent")
def test_rows_may_lose_their_deliveries_meanwhile() -> None:
    export_id = create()
    run_one_part(export_id)
    with transaction() as session:
        session.execute(update(Communication).values(body=""))
        session.execute(text("DELETE FROM delivery"))
    run(export_id)
    rows = csv_rows(file_of(export_id))
    assert [row["email_status"] for row in rows] == [*["Waiting to be sent"] * 2, *[""] * 5]
    assert db.session.scalar(select(func.count()).select_from(Delivery)) == 0


@pytest.mark.usefixtures("sent")
def test_later_communications_are_not_in_it() -> None:
    export_id = create()
    scenario.create_expanded_send()
    run(export_id)
    assert len(csv_rows(file_of(export_id))) == 7


def test_unknown_format_is_refused(app: Flask) -> None:
    with pytest.raises(InvalidInput) as refusal:
        create("pdf", "x" * 301)
    assert set(refusal.value.errors) == {"format", "reason"}
