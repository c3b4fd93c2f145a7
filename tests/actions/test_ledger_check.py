"""The ledger against whoever holds the database: triggers refuse, and without them the broken row is named."""

import sqlite3
from collections.abc import Callable, Iterator
from typing import Any

import handsets
import psycopg
import pytest
import world
from flask import Flask

from portal.actions.ledger_check import verify
from portal.config import Settings
from portal.domain import ledger as chain
from portal.domain.ledger import Break
from portal.extensions import db
from portal.models import consent as ledger

pytestmark = pytest.mark.usefixtures("app")
Execute = Callable[[str], Any]
_SQLITE_TRIGGERS = ("no_update", "no_delete", "no_replace")


@pytest.fixture(autouse=True)
def five_events(app: Flask) -> None:
    for place in range(5):
        handsets.says("STOP", world.number(place), world.now_ms())


@pytest.fixture
def execute(settings: Settings) -> Iterator[Execute]:
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
def opened(execute: Execute) -> Execute:
    """The same, with the triggers dropped."""
    if db.engine.dialect.name == "sqlite":
        for name in _SQLITE_TRIGGERS:
            execute(f"DROP TRIGGER consent_event_{name}")
    else:
        execute("ALTER TABLE consent_event DISABLE TRIGGER USER")
    return execute


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE consent_event SET words = 'START' WHERE id = 3",
        "UPDATE consent_event SET id = 99 WHERE id = 5",
        "DELETE FROM consent_event WHERE id = 3",
        "DELETE FROM consent_event",
    ],
)
def test_the_database_refuses_changes_and_removals(execute: Execute, statement: str) -> None:
    with pytest.raises((sqlite3.IntegrityError, psycopg.errors.RaiseException), match="append-only"):
        execute(statement)
    assert verify().sound


def copied(from_id: int, **values: object) -> str:
    """The statement that inserts an event once more, with other values."""
    shown = ", ".join(str(values.get(name, name)) for name in ledger.COLUMNS)
    columns = ", ".join(ledger.COLUMNS)
    return f"INSERT INTO consent_event ({columns}) SELECT {shown} FROM consent_event WHERE id = {from_id}"


def test_the_database_refuses_to_put_another_event_in_the_place_of_one(execute: Execute) -> None:
    refused = pytest.raises((sqlite3.IntegrityError, psycopg.errors.RaiseException), match="append-only")
    other = copied(4, id=3, message_sid="''")
    if db.engine.dialect.name == "sqlite":
        with refused:
            execute(other.replace("INSERT", "INSERT OR REPLACE"))
    else:
        with refused:
            execute(f"{other} ON CONFLICT (id) DO UPDATE SET words = 'START'")
        with refused:
            execute("TRUNCATE consent_event")
    assert verify().sound


def test_an_untouched_ledger_is_unbroken() -> None:
    found = verify()
    assert (found.events, found.broken, found.last_digest) == (5, None, ledger.head()[1])


def test_an_empty_ledger_is_unbroken(opened: Execute) -> None:
    opened("DELETE FROM consent_event")
    opened(f"UPDATE consent_head SET last_id = 0, digest = '{chain.FIRST}'")
    assert verify().sound
    assert verify(chain.FIRST).noted == 0


@pytest.mark.one_engine
@pytest.mark.parametrize(
    "change",
    [
        "words = 'START'",
        "kind = 'start'",
        "occurred_at_ms = occurred_at_ms + 1",
        "account_id = 7",
        "detail = '{}'",
        "wording_version = 0",
    ],
)
def test_a_changed_event_is_named(opened: Execute, change: str) -> None:
    opened(f"UPDATE consent_event SET {change} WHERE id = 3")
    assert verify().broken == Break(3, "it was changed after it was written")


def test_an_event_that_is_missing_in_the_middle_is_named_by_the_next(opened: Execute) -> None:
    opened("DELETE FROM consent_event WHERE id = 3")
    assert verify().broken == Break(4, "an event after 2 is missing, or was slipped in")


def test_events_that_are_missing_at_the_end_are_named_by_the_last_one_left(opened: Execute) -> None:
    opened("DELETE FROM consent_event WHERE id >= 4")
    assert verify().broken == Break(3, "events after it are missing")


def test_an_event_that_was_slipped_in_at_the_end_is_named_although_it_fits(opened: Execute) -> None:
    last = next(event for event in ledger.everything() if event["id"] == 5)
    digest = chain.digest(last["digest"], {**last, "id": 6, "message_sid": ""})
    db.session.rollback()
    opened(copied(5, id=6, message_sid="''", previous="digest", digest=f"'{digest}'"))
    assert verify().broken == Break(6, "it was slipped in at the end")


def test_an_event_that_was_slipped_in_between_is_named(opened: Execute) -> None:
    opened("UPDATE consent_event SET id = 99 WHERE id = 5")
    opened(copied(4, id=5, message_sid="''"))
    assert verify().broken == Break(5, "an event after 4 is missing, or was slipped in")


def test_a_missing_end_is_said(opened: Execute) -> None:
    opened("DELETE FROM consent_head")
    broken = verify().broken
    assert broken
    assert broken.why == "the ledger's note of its own end is missing"


def test_a_digest_noted_earlier_is_found_in_the_chain() -> None:
    noted = ledger.head()[1]
    db.session.rollback()
    handsets.says("HELP", world.number(0), world.now_ms())
    assert verify(f" {noted.upper()} ").noted == 5


def test_a_ledger_written_anew_from_the_beginning_is_found_out_by_a_noted_digest(opened: Execute) -> None:
    noted = ledger.head()[1]
    events, previous = list(ledger.everything()), chain.FIRST
    db.session.rollback()
    for event in events:
        event |= {"words": "START", "previous": previous}
        previous = chain.digest(previous, event)
        values = f"words = 'START', previous = '{event['previous']}', digest = '{previous}'"
        opened(f"UPDATE consent_event SET {values} WHERE id = {event['id']}")
    opened(f"UPDATE consent_head SET digest = '{previous}'")
    assert verify().sound, "it fits together"
    assert not verify(noted).sound
    assert verify(noted).broken is None


def test_what_is_written_while_the_chain_is_walked_does_not_count_as_slipped_in(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Another process adds an event after the end was read and before the events are."""
    walk = ledger.everything

    def with_an_event_meanwhile() -> Iterator[dict[str, Any]]:
        with db.engine.connect() as connection:
            _append_elsewhere(connection)
        return walk()

    monkeypatch.setattr(ledger, "everything", with_an_event_meanwhile)
    assert verify().sound


def _append_elsewhere(connection: Any) -> None:
    head = connection.exec_driver_sql("SELECT last_id, digest FROM consent_head").one()
    first = dict(connection.exec_driver_sql("SELECT * FROM consent_event WHERE id = 1").mappings().one())
    event = {**first, "id": head.last_id + 1, "message_sid": "", "detail": {}}
    digest = chain.digest(head.digest, event)
    changes = {"message_sid": "''", "detail": "'{}'", "previous": f"'{head.digest}'", "digest": f"'{digest}'"}
    connection.exec_driver_sql(copied(1, id=event["id"], **changes))
    connection.exec_driver_sql(f"UPDATE consent_head SET last_id = {event['id']}, digest = '{digest}'")
    connection.commit()
