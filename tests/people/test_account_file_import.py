"""Accounts from a file in the browser: the preview says what is new, changed and wrong, and that is what happens."""

from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select, update

from portal.accounts.account_attributes import set_attributes
from portal.accounts.account_editing import edit_account
from portal.accounts.tables.accounts import Account, find_by_external_id
from portal.accounts.tables.attributes import values_of
from portal.accounts.tables.phone_numbers import phones_of, recipients_by_number
from portal.consent import background_imports
from portal.consent.tables.import_tasks import ImportTask, ImportTaskKind
from portal.core.actor import SHELL_ACTOR, Actor
from portal.core.audit_log import entries_about
from portal.core.extensions import db
from portal.core.transaction import transaction
from portal.people import account_file_import, account_rows
from tests.support import scenario
from tests.support.inbound_helpers import receive_text

HEADER = "external_id,name,email,account_type,role,timezone,phone,sms_opted_in_at,sms_consent_source,region,credits"
ADMIN = Actor(3, "192.0.2.1", is_admin=True)
NOW_MS = scenario.now_ms()


@pytest.fixture(autouse=True)
def three_accounts(app: Flask) -> None:
    """P-0 with attributes (region North, credits 12) and a number, P-1 with a number, P-2 who is an administrator."""
    scenario.configure_gateway()
    scenario.create_accounts(3, with_sms=2)
    scenario.add_attributes()
    with transaction() as session:
        session.execute(update(Account).where(Account.id == 3).values(role="admin"))


def check(*rows: str, header: str = HEADER, actor: Actor = SHELL_ACTOR, **options: Any) -> ImportTask:
    content = "\n".join([header, *rows]).encode()
    task_id = background_imports.create_upload(ImportTaskKind.ACCOUNTS, content, "accounts.csv", actor, NOW_MS, options)
    return run(task_id)


def run(task_id: int) -> ImportTask:
    background_imports.run_task(task_id, scenario.now_ms)
    db.session.remove()
    return db.session.get_one(ImportTask, task_id)


def confirm(task: ImportTask) -> ImportTask:
    background_imports.confirm_upload(task.id, 3)
    return run(task.id)


def counts(task: ImportTask) -> tuple[int, ...]:
    return tuple(task.preview[name] for name in ("new", "changed", "unchanged", "errors"))


def fields(external_id: str) -> tuple[str, ...]:
    account = find_by_external_id(external_id)
    assert account
    return account.name, account.email, account.account_type, account.role, account.timezone


FILE = [
    "N-1,Nora New,nora@example.org,Provider,,,(415) 200-5000,2026-03-01,paper form,South,7",
    "p-0,Person Zero,,,,,,,,South,",
    "P-1,Person 1,p1@example.org,Practitioner,user,UTC,+14152000001,,,,",
    "P-9,,broken,,,,,,,West,many",
]


def test_preview_tells_new_changed_unchanged_and_wrong_rows() -> None:
    task = check(*FILE)
    assert (task.state, counts(task)) == ("checked", (1, 1, 1, 1))
    changes = [
        (change["row"], change["field"], change["before"], change["after"]) for change in task.preview["changes"]
    ]
    assert changes == [(3, "name", "Person 0", "Person Zero"), (3, "region", "North", "South")]
    assert task.preview["created"] == [{"row": 2, "account": "N-1", "name": "Nora New", "email": "nora@example.org"}]
    cells = [(error["row"], error["column"]) for error in task.preview["row_errors"]]
    assert cells == [(5, "C, email"), (5, "J, region"), (5, "K, credits")]
    assert fields("P-0")[0] == "Person 0"


def test_import_does_what_the_preview_said_and_leaves_out_wrong_rows() -> None:
    task = confirm(check(*FILE))
    assert task.state == "done"
    assert task.result == "1 account was created. 1 account was changed. 1 account was so already."
    assert fields("N-1") == ("Nora New", "nora@example.org", "Provider", "user", "America/Los_Angeles")
    assert fields("P-0") == ("Person Zero", "p0@example.org", "Practitioner", "user", "UTC")
    assert find_by_external_id("P-9") is None
    assert values_of([1])[1]["region"] == "South"
    assert values_of([1])[1]["credits"] == "12"
    number = phones_of(find_by_external_id("N-1").id)[0]  # type: ignore[union-attr]
    assert (number.number, number.receives_sms) == ("+14152005000", True)
    (entry,) = entries_about("a file", ["accounts_imported"])[-1:]
    assert entry.detail == {"created": 1, "changed_accounts": 1, "unchanged": 1, "task_id": task.id}


def test_each_account_that_an_import_makes_or_changes_has_an_audit_line() -> None:
    task = confirm(check(*FILE, "P-2,,,,,,+14152006000,,,,"))
    (created,) = entries_about("account N-1", ["account_created"])
    assert (created.actor_id, created.detail["task_id"]) == (3, task.id)
    (changed,) = entries_about("account P-0", ["account_changed"])
    assert changed.detail == {
        "account_id": 1,
        "task_id": task.id,
        "changes": "name: Person 0 → Person Zero; region: North → South",
    }
    (extended,) = entries_about("account P-2", ["account_changed"])
    assert extended.detail["changes"] == "phone number: +1 ••• 6000"


def test_changed_name_is_found_and_another_email_ends_sessions() -> None:
    identity = db.session.get_one(Account, 1).fs_uniquifier
    confirm(check("P-0,Zoe,zoe@example.org", header="external_id,name,email"))
    account = db.session.scalars(select(Account).where(Account.search_folded.contains("zoe"))).one()
    assert (account.email_folded, account.fs_uniquifier != identity) == ("zoe@example.org", True)


def test_language_is_previewed_and_imported_and_wrong_codes_are_named() -> None:
    rows = ["P-0,,,,ES", "P-1,,,,", "N-1,Nora,n@example.org,T,es", "N-2,Nick,k@example.org,T,Spanish"]
    task = check(*rows, header="external_id,name,email,account_type,language")
    assert counts(task) == (1, 1, 1, 1)
    assert [(change["field"], change["after"]) for change in task.preview["changes"]] == [("language", "es")]
    (error,) = task.preview["row_errors"]
    assert (error["column"], error["message"]) == (
        "E, language",
        "The language must be one of en (English), es (Español).",
    )
    confirm(task)
    found = [find_by_external_id(external_id) for external_id in ("P-0", "P-1", "N-1")]
    assert [account.language for account in found if account] == ["es", "", "es"]


def test_file_is_checked_in_the_language_of_whoever_uploaded_it() -> None:
    with transaction() as session:
        session.execute(update(Account).where(Account.id == 3).values(language="es"))
    task = check("P-9,,broken,T", header="external_id,name,email,account_type", actor=ADMIN)
    assert "This cell is empty, and there is no account P-9 yet." not in str(task.preview["row_errors"])
    assert confirm(check("P-0,Zoe", header="external_id,name", actor=ADMIN)).result.startswith("Se ")


@pytest.mark.parametrize(("option", "left"), [(False, "North"), (True, "")])
def test_empty_cell_erases_an_attribute_only_if_that_was_chosen(option: bool, left: str) -> None:
    confirm(check("P-0,,", header="external_id,name,region", erase_blanks=option))
    assert values_of([1])[1].get("region", "") == left
    assert values_of([1])[1]["credits"] == "12"
    assert fields("P-0")[0] == "Person 0"


def test_rows_that_changed_after_the_preview_are_left_out_and_named() -> None:
    task = check("P-0,Zoe,5", "P-1,Yan,6", "N-1,Nora,7", "N-2,Nick,8", header="external_id,name,credits")
    assert counts(task) == (0, 2, 0, 2)
    task = check("P-0,Zoe,,", "P-1,Yan,,", "N-1,Nora,n@example.org,T", header="external_id,name,email,account_type")
    edit_account(1, {"name": "Somebody"}, {}, {"name": "Person 0"}, None, NOW_MS)
    with transaction() as session:
        values = {"external_id": "N-1", "name": "N", "email": "n@example.org", "account_type": "T", "timezone": "UTC"}
        session.add(Account(**values, fs_uniquifier="n", created_at_ms=NOW_MS))
    task = confirm(task)
    assert "2 accounts were left out, because they changed after the preview: P-0, N-1." in task.result
    assert [fields(name)[0] for name in ("P-0", "P-1", "N-1")] == ["Somebody", "Yan", "N"]


def test_interrupted_import_goes_on_where_it_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(account_rows, "_CHUNK_SIZE", 2)
    rows = [f"N-{index},New {index},n{index}@example.org,Provider" for index in range(6)]
    task_id = check(*rows, header="external_id,name,email,account_type").id
    background_imports.confirm_upload(task_id, 3)
    original, calls = account_file_import._import_chunk, []

    def die_in_the_second(*arguments: Any) -> None:
        calls.append(arguments)
        original(*arguments)
        if len(calls) == 2:
            raise RuntimeError("killed")

    monkeypatch.setattr(account_file_import, "_import_chunk", die_in_the_second)
    with pytest.raises(RuntimeError):
        background_imports.run_task(task_id, scenario.now_ms)
    db.session.remove()
    assert find_by_external_id("N-1")
    assert find_by_external_id("N-2") is None
    task = run(task_id)
    assert (task.state, task.result[:25]) == ("done", "6 accounts were created. ")
    assert len(calls) == 4
    background_imports.run_task(task_id, scenario.now_ms)
    assert db.session.query(Account).count() == 9


def test_newest_opt_in_of_a_number_gets_its_texts_across_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(account_rows, "_CHUNK_SIZE", 1)
    row = "{},New,n@example.org,Provider,,,+14152005000,2026-0{}-01,form,,"
    confirm(check(row.format("N-1", 2), row.format("N-2", 3), row.format("N-3", 1)))
    newest = find_by_external_id("N-2")
    assert newest
    assert recipients_by_number(["+14152005000"])["+14152005000"][0] == newest.id


def test_number_is_added_to_a_known_account_without_opening_its_texts() -> None:
    receive_text("STOP", "+14152005000", NOW_MS)
    task = check("P-0,,,,,,+14152005000,2026-03-01,form,,")
    assert "1 opt-in is of an account that exists" in task.preview["warnings"][0]
    confirm(task)
    assert [phone.receives_sms for phone in phones_of(1)] == [True, False]


REFUSED = [
    ("N-1,Nora,n@example.org,T,admin,,,,,,", "E, role", "Only a system administrator can give or take a role"),
    ("P-0,,,,admin,,,,,,", "E, role", "Only a system administrator can give or take a role"),
    ("P-1,Somebody,,,,,,,,,", "A, external_id", "Only a system administrator can act on the account"),
    ("N-1,,n@example.org,T,,,,,,,", "B, name", "This cell is empty, and there is no account N-1 yet."),
    ("P-0,,,,,Mars/Olympus,,,,,", "F, timezone", "There is no such time zone"),
    (f"P-0,{'x' * 10_240},,,,,,,,,", "B, name", "Use at most 200 characters; this has 10,240."),
    (",,,,,,,,,South,", "A, external_id", "This cell is empty."),
]


def test_each_wrong_row_names_its_cell_and_rule() -> None:
    set_attributes(2, {}, None, NOW_MS)
    with transaction() as session:
        session.execute(update(Account).where(Account.id == 2).values(role="sysadmin"))
    for row, column, message in REFUSED:
        task = check(row, actor=ADMIN)
        (error,) = task.preview["row_errors"]
        assert (error["row"], error["column"], message in error["message"]) == (2, column, True), row
    assert check("P-0,a,,", "p-0,b,,", header="external_id,name").preview["row_errors"][0]["row"] == 3


def test_file_without_rows_or_with_unknown_columns_is_refused() -> None:
    assert "no rows" in check().result
    assert "unknown: shoe_size" in check("P-0,9", header="external_id,shoe_size").result
