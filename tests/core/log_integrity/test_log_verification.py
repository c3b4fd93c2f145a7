"""Whoever changes the logs in the database, past triggers and without the key, is found out."""

import json
import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest
from flask import Flask
from sqlalchemy import func, select, text

from portal.consent.rules import hash_chain
from portal.consent.tables import ledger
from portal.core.audit_log import (
    AuditEntry,
    empty_entries,
    record_audit_entries,
    record_audit_entry,
    remove_entries,
)
from portal.core.config import Settings
from portal.core.extensions import db
from portal.core.log_integrity import log_macs
from portal.core.log_integrity.earlier_rows import protect_earlier_rows
from portal.core.log_integrity.log_keys import key_ring
from portal.core.log_integrity.verification import LogFault, LogVerdict, verify_log
from portal.core.transaction import transaction
from portal.settings.log_key_cipher import rotate_log_key
from tests.support import inbound_helpers, scenario

pytestmark = pytest.mark.usefixtures("app")
Execute = Callable[[str], Any]
NOW_MS, DAY_MS = scenario.now_ms(), 86_400_000
CHANGED, REMOVED = "it was changed after it was written", "it was removed"


def record(count: int, action: str = "send_paused") -> None:
    for number in range(count):
        with transaction():
            record_audit_entry(action, f"send {number}", None, NOW_MS + number, reason="ärger")


@pytest.fixture
def five_entries(app: Flask) -> None:
    record(5)


@pytest.fixture
def execute_raw(settings: Settings) -> Iterator[Execute]:
    """Straight to the database, past the portal."""
    if settings.database_url.startswith("sqlite"):
        connection = sqlite3.connect(settings.database_url.removeprefix("sqlite:///"), isolation_level=None)
    else:
        connection = psycopg.connect(settings.database_url, autocommit=True)  # type: ignore[assignment]
    try:
        yield connection.execute
    finally:
        connection.close()


@pytest.fixture
def execute_without_triggers(execute_raw: Execute) -> Execute:
    """The same, with the triggers dropped."""
    tables = ("audit_entry", "log_mac", "consent_event")
    if db.engine.dialect.name == "sqlite":
        listed = ", ".join(f"'{table}'" for table in tables)
        query = f"SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name IN ({listed})"
        for (name,) in execute_raw(query).fetchall():
            execute_raw(f"DROP TRIGGER {name}")
    else:
        for table in tables:
            execute_raw(f"ALTER TABLE {table} DISABLE TRIGGER USER")
    return execute_raw


def verify(log: str = "audit", known: tuple[int, str] | None = None, now_ms: int = NOW_MS) -> LogVerdict:
    db.session.rollback()
    return verify_log(log, now_ms, known)


def fault_of(log: str = "audit") -> LogFault | None:
    return verify(log).fault


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_entry SET subject = 'send 9' WHERE id = 3",
        "DELETE FROM audit_entry WHERE id = 3",
        "UPDATE log_mac SET mac = 'x' WHERE position = 3",
        "DELETE FROM log_mac",
    ],
)
def test_the_database_refuses_to_change_the_audit_log(five_entries: None, execute_raw: Execute, statement: str) -> None:
    with pytest.raises((sqlite3.IntegrityError, psycopg.errors.RaiseException), match="append-only"):
        execute_raw(statement)
    assert verify() == LogVerdict("audit", 5, verify().mac, 0, NOW_MS, None)


def test_the_database_refuses_to_replace_or_truncate_the_audit_log(five_entries: None, execute_raw: Execute) -> None:
    copy = "SELECT 3, at_ms, actor_id, action, subject, detail FROM audit_entry WHERE id = 4"
    statements = {
        "sqlite": [f"INSERT OR REPLACE INTO audit_entry {copy}"],
        "postgresql": ["TRUNCATE audit_entry", "TRUNCATE log_mac"],
    }
    for statement in statements[db.engine.dialect.name]:
        with pytest.raises((sqlite3.IntegrityError, psycopg.errors.RaiseException), match="append-only"):
            execute_raw(statement)


@pytest.mark.parametrize(
    "change",
    [
        "subject = 'send 9'",
        "actor_id = 7",
        "at_ms = at_ms + 1",
        "action = 'send_resumed'",
        "detail = '{}'",
        """detail = '{"reason":"ärger"}'""",
    ],
)
@pytest.mark.one_engine
def test_a_changed_entry_is_named(five_entries: None, execute_without_triggers: Execute, change: str) -> None:
    execute_without_triggers(f"UPDATE audit_entry SET {change} WHERE id = 3")
    assert fault_of() == LogFault(3, CHANGED)


def test_an_entry_whose_macs_were_made_without_the_key_is_named(
    five_entries: None, execute_without_triggers: Execute
) -> None:
    """As somebody would who knows how it is done and has the database alone: with another key, to the end."""
    execute_without_triggers("UPDATE audit_entry SET subject = 'send 9' WHERE id = 3")
    execute_without_triggers("UPDATE log_mac SET mac = 'f' || substr(mac, 2) WHERE log = 'audit' AND position >= 3")
    last = "(SELECT mac FROM log_mac WHERE log = 'audit' AND position = 5)"
    execute_without_triggers(f"UPDATE log_head SET mac = {last} WHERE log = 'audit'")
    assert fault_of() == LogFault(3, CHANGED)


@pytest.mark.usefixtures("five_events")
def test_a_ledger_whose_digests_were_computed_again_is_found(execute_without_triggers: Execute) -> None:
    previous = hash_chain.GENESIS_DIGEST
    for event in list(ledger.all_events()):
        event |= {"text": "START" if event["id"] >= 3 else event["text"], "previous_digest": previous}
        digest = hash_chain.event_digest(previous, event)
        values = f"text = '{event['text']}', previous_digest = '{previous}', digest = '{digest}'"
        execute_without_triggers(f"UPDATE consent_event SET {values} WHERE id = {event['id']}")
        previous = digest
    execute_without_triggers(f"UPDATE consent_head SET digest = '{previous}'")
    db.session.rollback()
    assert hash_chain.find_break(ledger.all_events(), previous) is None, "the chain without a key fits together"
    assert fault_of("consent") == LogFault(3, CHANGED)


@pytest.fixture
def five_events(app: Flask) -> None:
    for place in range(5):
        inbound_helpers.receive_text("STOP", scenario.phone_number(place), NOW_MS)


@pytest.mark.usefixtures("five_events")
def test_a_removed_event_of_the_ledger_is_named(execute_without_triggers: Execute) -> None:
    execute_without_triggers("DELETE FROM consent_event WHERE id = 4")
    assert fault_of("consent") == LogFault(4, REMOVED)


def test_a_removed_entry_is_named(five_entries: None, execute_without_triggers: Execute) -> None:
    execute_without_triggers("DELETE FROM audit_entry WHERE id = 3")
    assert fault_of() == LogFault(3, REMOVED)


def test_a_forged_amendment_hides_no_removal(five_entries: None, execute_raw: Execute) -> None:
    """The trigger lets it pass, since it knows no key."""
    execute_raw("UPDATE log_mac SET amendment = mac WHERE log = 'audit' AND position = 3")
    execute_raw("DELETE FROM audit_entry WHERE id = 3")
    assert fault_of() == LogFault(3, REMOVED)


def test_an_entry_removed_with_its_mac_is_missed_by_the_next(
    five_entries: None, execute_without_triggers: Execute
) -> None:
    execute_without_triggers("DELETE FROM audit_entry WHERE id = 3")
    execute_without_triggers("DELETE FROM log_mac WHERE log = 'audit' AND position = 3")
    assert fault_of() == LogFault(4, "what came before it was removed")


def test_an_inserted_entry_is_named(five_entries: None, execute_raw: Execute) -> None:
    execute_raw("INSERT INTO audit_entry VALUES (77, 1, NULL, 'send_paused', 'send 1', '{}')")
    assert fault_of() == LogFault(77, "it was inserted past the portal: it has no authentication code")


def test_an_entry_inserted_with_a_mac_is_named(five_entries: None, execute_raw: Execute) -> None:
    key_id = key_ring().read()[0].id
    execute_raw("INSERT INTO audit_entry VALUES (77, 1, NULL, 'send_paused', 'send 1', '{}')")
    execute_raw(f"INSERT INTO log_mac (log, position, row_id, key_id, mac) VALUES ('audit', 6, 77, '{key_id}', 'ab')")
    assert fault_of() == LogFault(77, "it was inserted at the end")


def test_entries_cut_off_at_the_end_are_missed(five_entries: None, execute_without_triggers: Execute) -> None:
    execute_without_triggers("DELETE FROM audit_entry WHERE id >= 4")
    execute_without_triggers("DELETE FROM log_mac WHERE log = 'audit' AND position >= 4")
    assert fault_of() == LogFault(3, "what came after it was cut off")
    mac = "(SELECT mac FROM log_mac WHERE log = 'audit' AND position = 3)"
    execute_without_triggers(f"UPDATE log_head SET position = 3, mac = {mac} WHERE log = 'audit'")
    assert fault_of() == LogFault(3, "the stored end of the log was changed")


def test_a_missing_head_is_found_even_after_the_next_entry(
    five_entries: None, execute_without_triggers: Execute
) -> None:
    execute_without_triggers("DELETE FROM audit_entry WHERE id = 5")
    execute_without_triggers("DELETE FROM log_mac WHERE log = 'audit' AND position = 5")
    execute_without_triggers("DELETE FROM log_head")
    assert fault_of() == LogFault(4, "the stored end of the log is missing")
    record(1)
    last_id = db.session.scalars(select(func.max(AuditEntry.id))).one()
    assert fault_of() == LogFault(last_id, "what came before it was removed")


def test_a_head_with_another_key_hides_no_removal(five_entries: None, execute_without_triggers: Execute) -> None:
    """The portal writes on, because an entry matters more, but leaves a gap."""
    execute_without_triggers("DELETE FROM audit_entry WHERE id = 5")
    execute_without_triggers("DELETE FROM log_mac WHERE log = 'audit' AND position = 5")
    last = "(SELECT mac FROM log_mac WHERE log = 'audit' AND position = 4)"
    execute_without_triggers(f"UPDATE log_head SET position = 4, mac = {last}, key_id = 'x' WHERE log = 'audit'")
    record(2)
    fault = fault_of()
    assert fault
    assert fault.reason == "what came before it was removed"


def test_a_head_that_is_set_back_to_an_earlier_one_stops_no_entry(app: Flask, execute_raw: Execute) -> None:
    """Its own MAC is right, so only the MACs after it show that the log went on."""
    record(3)
    columns = "position, mac, key_id, head_mac"
    head = execute_raw(f"SELECT {columns} FROM log_head WHERE log = 'audit'").fetchone()
    record(2)
    values = ", ".join(f"{name} = '{value}'" for name, value in zip(columns.split(", "), head, strict=True))
    execute_raw(f"UPDATE log_head SET {values} WHERE log = 'audit'")
    record(1)
    fault = fault_of()
    assert fault
    assert fault.reason == "what came before it was removed"


def test_a_log_that_was_begun_anew_does_not_have_the_end_that_was_noted(
    five_entries: None, execute_without_triggers: Execute
) -> None:
    """Whoever removes keys and MACs too begins a chain that fits together. What was noted elsewhere shows it."""
    noted = (5, verify().mac)
    for table in ("log_mac", "log_head", "log_key"):
        execute_without_triggers(f"DELETE FROM {table}")
    execute_without_triggers("UPDATE audit_entry SET subject = 'send 9' WHERE id = 3")
    protect_earlier_rows(lambda: NOW_MS)
    assert fault_of() is None
    assert verify(known=noted).fault == LogFault(5, "it was written anew after the end of the log was noted")


def test_an_end_that_was_noted_is_found_in_a_longer_log(five_entries: None) -> None:
    noted = (5, verify().mac)
    record(2)
    assert verify(known=noted).fault is None
    assert verify(known=(9, "0" * 64)).fault == LogFault(7, "what came after it was cut off")


def test_expired_and_emptied_entries_still_verify(five_entries: None) -> None:
    with transaction():
        empty_entries([2], {"account_id": 1}, NOW_MS)
        remove_entries([1, 3, 5], NOW_MS)
    stored = db.session.execute(select(AuditEntry.id, AuditEntry.detail).order_by(AuditEntry.id)).all()
    assert [tuple(row) for row in stored] == [(2, {"account_id": 1}), (4, {"reason": "ärger"})]
    assert (fault_of(), verify().position) == (None, 5)
    record(1)
    assert db.session.scalar(text("SELECT max(id) FROM audit_entry")) == 6, "no id is used twice"
    assert fault_of() is None


def test_an_emptied_entry_cannot_be_changed_unseen(five_entries: None, execute_without_triggers: Execute) -> None:
    with transaction():
        empty_entries([2], {}, NOW_MS)
    execute_without_triggers('UPDATE audit_entry SET detail = \'{"reason": "none"}\' WHERE id = 2')
    assert fault_of() == LogFault(2, CHANGED)


def test_rows_from_before_the_key_are_protected_once(execute_raw: Execute) -> None:
    for row_id in (1, 2, 3):
        execute_raw(f"INSERT INTO audit_entry VALUES ({row_id}, 1, NULL, 'send_paused', 'send 1', '{{}}')")
    if db.engine.dialect.name == "postgresql":
        execute_raw("SELECT setval('audit_entry_id_seq', 3)")
    record(1)
    assert (verify().waiting, verify().protected_since_ms, fault_of()) == (3, NOW_MS + DAY_MS, None)
    protect_earlier_rows(lambda: NOW_MS)
    assert (verify().position, verify().waiting, fault_of()) == (4, 0, None)
    execute_raw("INSERT INTO audit_entry VALUES (9, 1, NULL, 'send_paused', 'send 1', '{}')")
    protect_earlier_rows(lambda: NOW_MS + DAY_MS)
    late = verify(now_ms=NOW_MS + DAY_MS)
    assert late.fault == LogFault(9, "it was inserted past the portal: it has no authentication code")


def test_rows_with_a_mac_of_an_earlier_key_still_verify(five_entries: None) -> None:
    rotate_log_key(NOW_MS + 10)
    record(2)
    keys = set(db.session.scalars(select(log_macs.LogMac.key_id)))
    assert (len(keys), verify().position, fault_of()) == (2, 8, None)


@pytest.mark.one_engine
def test_many_rows_from_before_the_key_are_protected_in_batches(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("portal.core.log_integrity.earlier_rows._BATCH_SIZE", 2)
    with transaction() as session:
        rows = [AuditEntry(id=id, at_ms=1, action="send_paused", subject="send 1", detail={}) for id in range(1, 7)]
        session.add_all(rows)
    protect_earlier_rows(lambda: NOW_MS)
    assert (verify().position, verify().waiting, fault_of()) == (6, 0, None)


def test_renewing_a_key_that_was_never_needed_leaves_an_unbroken_log(execute_raw: Execute) -> None:
    """As after an upgrade, before the scheduler runs."""
    execute_raw("INSERT INTO audit_entry VALUES (1, 1, NULL, 'send_paused', 'send 1', '{}')")
    if db.engine.dialect.name == "postgresql":
        execute_raw("SELECT setval('audit_entry_id_seq', 1)")
    rotate_log_key(NOW_MS)
    protect_earlier_rows(lambda: NOW_MS)
    assert (verify().position, verify().waiting, fault_of()) == (2, 0, None)


def test_a_replaced_key_protects_nothing_any_more(five_entries: None) -> None:
    """Even whoever has got hold of it."""
    old = key_ring().read()[0]
    rotate_log_key(NOW_MS + 10)
    with transaction():
        log_macs.add_macs([("audit", 7, 99, old.id, "0" * 64)])
    assert fault_of() == LogFault(99, "it was written with a key that had been replaced before")


def test_a_log_whose_key_is_lost_is_written_on(five_entries: None, execute_raw: Execute) -> None:
    execute_raw("UPDATE log_key SET secret = 'v1.0.x'")
    key_ring().read()
    record(2)
    assert fault_of() == LogFault(1, "its key cannot be read with PORTAL_ENCRYPTION_KEY, or is missing")


def test_an_entry_of_a_transaction_that_fails_is_not_recorded(five_entries: None) -> None:
    def fail() -> None:
        with transaction():
            record_audit_entry("send_paused", "send 7", None, NOW_MS)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    record(1)
    assert (verify().position, fault_of()) == (6, None)


def test_many_entries_of_one_transaction_are_chained_in_their_order(app: Flask) -> None:
    with transaction():
        record_audit_entries("account_created", {f"account P-{place}": {} for place in range(250)}, None, NOW_MS)
        record_audit_entry("accounts_imported", "a file", None, NOW_MS)
    subjects = list(db.session.scalars(select(AuditEntry.subject).order_by(AuditEntry.id)))
    assert subjects == [*(f"account P-{place}" for place in range(250)), "a file"]
    assert (verify().position, fault_of()) == (251, None)


def test_fifty_writers_at_once_leave_an_unbroken_log(app: Flask) -> None:
    def write(number: int) -> None:
        with app.app_context():
            for place in range(4):
                with transaction():
                    record_audit_entry("send_paused", f"send {number}", None, NOW_MS, place=place)

    with ThreadPoolExecutor(50) as pool:
        list(pool.map(write, range(50)))
    assert (verify().position, fault_of()) == (200, None)


def test_the_key_is_not_in_the_database_as_it_is(five_entries: None) -> None:
    secret = key_ring().read()[0].secret.hex()
    stored = db.session.scalars(select(log_macs.LogKeyRow.secret)).one()
    assert secret not in json.dumps(stored)
