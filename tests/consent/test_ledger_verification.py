"""Tampering with the ledger in the database: triggers refuse it, and without them the changed row is found."""

import sqlite3
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from flask import Flask

from portal.consent.ledger_verification import verify_chain
from portal.consent.rules import hash_chain as chain
from portal.consent.rules.hash_chain import ChainBreak
from portal.consent.tables import ledger
from portal.core.config import Settings
from portal.core.extensions import db
from tests.support import inbound_helpers, scenario

pytestmark = pytest.mark.usefixtures("app")
Execute = Callable[[str], Any]
_SQLITE_TRIGGERS = ("no_update", "no_delete", "no_replace")


@pytest.fixture(autouse=True)
def five_events(app: Flask) -> None:
    for place in range(5):
        inbound_helpers.receive_text("STOP", scenario.phone_number(place), scenario.now_ms())


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
    if db.engine.dialect.name == "sqlite":
        for name in _SQLITE_TRIGGERS:
            execute_raw(f"DROP TRIGGER consent_event_{name}")
    else:
        execute_raw("ALTER TABLE consent_event DISABLE TRIGGER USER")
    return execute_raw


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE consent_event SET text = 'START' WHERE id = 3",
        "UPDATE consent_event SET id = 99 WHERE id = 5",
        "DELETE FROM consent_event WHERE id = 3",
        "DELETE FROM consent_event",
    ],
)
def test_the_database_refuses_changes_and_removals(execute_raw: Execute, statement: str) -> None:
    with pytest.raises((sqlite3.IntegrityError, psycopg.errors.RaiseException), match="append-only"):
        execute_raw(statement)
    assert verify_chain().is_valid


def insert_copy_sql(from_id: int, **values: object) -> str:
    """The statement that inserts an event once more, with other values."""
    shown = ", ".join(str(values.get(name, name)) for name in ledger.LEDGER_COLUMNS)
    columns = ", ".join(ledger.LEDGER_COLUMNS)
    return f"INSERT INTO consent_event ({columns}) SELECT {shown} FROM consent_event WHERE id = {from_id}"


def test_database_rejects_replacing_an_event(execute_raw: Execute) -> None:
    refused = pytest.raises((sqlite3.IntegrityError, psycopg.errors.RaiseException), match="append-only")
    other = insert_copy_sql(4, id=3, message_sid="''")
    if db.engine.dialect.name == "sqlite":
        with refused:
            execute_raw(other.replace("INSERT", "INSERT OR REPLACE"))
    else:
        with refused:
            execute_raw(f"{other} ON CONFLICT (id) DO UPDATE SET text = 'START'")
        with refused:
            execute_raw("TRUNCATE consent_event CASCADE")
    assert verify_chain().is_valid


def test_untouched_ledger_is_valid() -> None:
    found = verify_chain()
    assert (found.event_count, found.first_break, found.last_digest) == (5, None, ledger.chain_head()[1])


def test_empty_ledger_is_valid(execute_without_triggers: Execute) -> None:
    execute_without_triggers("DELETE FROM consent_event")
    execute_without_triggers(f"UPDATE consent_head SET last_id = 0, digest = '{chain.GENESIS_DIGEST}'")
    assert verify_chain().is_valid
    assert verify_chain(chain.GENESIS_DIGEST).known_event_id == 0


@pytest.mark.one_engine
@pytest.mark.parametrize(
    "change",
    [
        "text = 'START'",
        "kind = 'start'",
        "occurred_at_ms = occurred_at_ms + 1",
        "account_id = 7",
        "detail = '{}'",
        "content_block_version = 0",
    ],
)
def test_changed_event_is_located(execute_without_triggers: Execute, change: str) -> None:
    execute_without_triggers(f"UPDATE consent_event SET {change} WHERE id = 3")
    assert verify_chain().first_break == ChainBreak(3, "it was changed after it was written")


def test_event_missing_in_the_middle_is_located_by_the_next(execute_without_triggers: Execute) -> None:
    execute_without_triggers("DELETE FROM consent_event WHERE id = 3")
    assert verify_chain().first_break == ChainBreak(4, "an event after 2 is missing, or this one was inserted")


def test_events_missing_at_the_end_are_located_by_the_last(execute_without_triggers: Execute) -> None:
    execute_without_triggers("DELETE FROM consent_event WHERE id >= 4")
    assert verify_chain().first_break == ChainBreak(3, "the events after it are missing")


def test_valid_event_inserted_at_the_end_is_located(execute_without_triggers: Execute) -> None:
    last = next(event for event in ledger.all_events() if event["id"] == 5)
    digest = chain.event_digest(last["digest"], {**last, "id": 6, "message_sid": ""})
    db.session.rollback()
    execute_without_triggers(insert_copy_sql(5, id=6, message_sid="''", previous_digest="digest", digest=f"'{digest}'"))
    assert verify_chain().first_break == ChainBreak(6, "it was inserted at the end")


def test_event_inserted_in_the_middle_is_located(execute_without_triggers: Execute) -> None:
    execute_without_triggers("UPDATE consent_event SET id = 99 WHERE id = 5")
    execute_without_triggers(insert_copy_sql(4, id=5, message_sid="''"))
    assert verify_chain().first_break == ChainBreak(5, "an event after 4 is missing, or this one was inserted")


def test_missing_chain_head_is_reported(execute_without_triggers: Execute) -> None:
    execute_without_triggers("DELETE FROM consent_head")
    broken = verify_chain().first_break
    assert broken
    assert broken.reason == "the row that holds the last digest is missing"


def test_known_digest_is_found_in_the_chain() -> None:
    noted = ledger.chain_head()[1]
    db.session.rollback()
    inbound_helpers.receive_text("HELP", scenario.phone_number(0), scenario.now_ms())
    assert verify_chain(f" {noted.upper()} ").known_event_id == 5


def test_rewritten_ledger_is_detected_by_a_known_digest(execute_without_triggers: Execute) -> None:
    noted = ledger.chain_head()[1]
    events, previous = list(ledger.all_events()), chain.GENESIS_DIGEST
    db.session.rollback()
    for event in events:
        event |= {"text": "START", "previous_digest": previous}
        previous = chain.event_digest(previous, event)
        values = f"text = 'START', previous_digest = '{event['previous_digest']}', digest = '{previous}'"
        execute_without_triggers(f"UPDATE consent_event SET {values} WHERE id = {event['id']}")
    execute_without_triggers(f"UPDATE consent_head SET digest = '{previous}'")
    assert verify_chain().is_valid, "it fits together"
    assert not verify_chain(noted).is_valid
    assert verify_chain(noted).first_break is None


def test_events_written_during_verification_are_not_reported(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Another process adds an event after the end was read and before the events are."""
    walk = ledger.all_events

    def with_an_event_meanwhile() -> Iterator[dict[str, Any]]:
        with db.engine.connect() as connection:
            _append_from_other_connection(connection)
        return walk()

    monkeypatch.setattr(ledger, "all_events", with_an_event_meanwhile)
    assert verify_chain().is_valid


def _append_from_other_connection(connection: Any) -> None:
    head = connection.exec_driver_sql("SELECT last_id, digest FROM consent_head").one()
    first = dict(connection.exec_driver_sql("SELECT * FROM consent_event WHERE id = 1").mappings().one())
    event = {**first, "id": head.last_id + 1, "message_sid": "", "detail": {}}
    digest = chain.event_digest(head.digest, event)
    changes = {
        "message_sid": "''",
        "detail": "'{}'",
        "previous_digest": f"'{head.digest}'",
        "digest": f"'{digest}'",
    }
    connection.exec_driver_sql(insert_copy_sql(1, id=event["id"], **changes))
    connection.exec_driver_sql(f"UPDATE consent_head SET last_id = {event['id']}, digest = '{digest}'")
    connection.commit()
