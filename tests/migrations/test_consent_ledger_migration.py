"""A portal that has heard STOP and START already takes over the chained ledger, and can go back and forth."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask_migrate import downgrade, upgrade
from sqlalchemy import text

from portal.consent import recording
from portal.consent.inbound_processing import receive_inbound
from portal.consent.rules.consent_state import EventKind
from portal.consent.rules.hash_chain import find_break
from portal.consent.tables import ledger
from portal.core.extensions import db
from portal.core.transaction import transaction
from tests.support import servers

FOLDER = str(servers.ROOT / "migrations")
Row = dict[str, Any]
HELD, GONE, UNKNOWN = "+14152000000", "+14152000001", "+14152000002"
DAY_MS = 86_400_000
BEGIN_MS = 1_790_000_000_000


def event(
    day: int, number: str, kind: str, source: str, account_id: int | None = None, **detail: Any
) -> dict[str, Any]:
    at_ms = BEGIN_MS + day * DAY_MS
    values = {"number": number, "kind": kind, "source": source, "account_id": account_id, "detail": detail}
    return {**values, "occurred_at_ms": at_ms, "recorded_at_ms": at_ms}


EVENTS = [
    event(0, HELD, "opt_in", "import", 1, evidence="paper form 7", row=2),
    event(1, HELD, "opt_in", "import", 2, evidence="paper form 8", row=3),
    event(2, GONE, "opt_in", "import", 1, evidence="arrêt “no”", row=4),
    event(3, HELD, "stop", "handset", message="SM1", words="Stop."),
    event(4, HELD, "start", "handset", message="SM2", words="START 😀"),
    event(4, HELD, "start", "handset", message="SM2", words="START 😀"),
    event(5, GONE, "removed", "portal", 1, held_sms=True, by=2),
    event(6, UNKNOWN, "stop", "twilio", code="21610", delivery=7),
]
MESSAGES = [("SM1", HELD, "Stop."), ("SM2", HELD, "START 😀"), ("SM3", UNKNOWN, "who is this?")]


@pytest.fixture
def portal_at_0001(empty_app: Flask) -> Flask:
    """A portal of before, with people and what their handsets said."""
    upgrade(directory=FOLDER, revision="0001")
    account = (
        "INSERT INTO account (id, external_id, name, email, account_type, role, timezone, active, fs_uniquifier,"
        " created_at_ms) VALUES (:id, :name, :name, 'a@example.org', 'T', 'user', 'UTC', 1, :name, 0)"
    )
    phone = (
        "INSERT INTO phone_number (account_id, number, label, holds_sms, holds_sms_since_ms, created_at_ms)"
        " VALUES (:account, :number, '', :holds, :since, 0)"
    )
    for account_id in (1, 2):
        execute(account, id=account_id, name=f"P-{account_id}")
    execute(phone, account=1, number=HELD, holds=1, since=BEGIN_MS)
    execute(phone, account=2, number=HELD, holds=0, since=None)
    execute(
        "INSERT INTO phone_state (number, stopped_at_ms) VALUES (:n, NULL), (:u, :at)", n=HELD, u=UNKNOWN, at=BEGIN_MS
    )
    for row in EVENTS:
        add_old_event(row)
    for sid, sender, body in MESSAGES:
        execute(
            "INSERT INTO inbound_message (provider_id, sender, recipient, body, raw, received_at_ms)"
            " VALUES (:sid, :sender, :to, :body, :raw, :at)",
            sid=sid,
            sender=sender,
            to=servers.FROM_NUMBER,
            body=body,
            raw=json.dumps({"Body": body}),
            at=BEGIN_MS + 3 * DAY_MS,
        )
    return empty_app


def execute(statement: str, **values: Any) -> Any:
    with db.engine.begin() as connection:
        return connection.execute(text(statement), values)


def add_old_event(row: dict[str, Any]) -> None:
    """As the portal of before wrote it: the database counts the ids."""
    execute(
        "INSERT INTO consent_event (number, account_id, kind, source, detail, occurred_at_ms, recorded_at_ms)"
        " VALUES (:number, :account_id, :kind, :source, :detail, :occurred_at_ms, :recorded_at_ms)",
        **{**row, "detail": json.dumps(row["detail"])},
    )


def old_events() -> list[Row]:
    """As `EVENTS` has them."""
    names = list(EVENTS[0])
    rows = execute(f"SELECT {', '.join(names)} FROM consent_event ORDER BY id").mappings()
    return [{**row, "detail": json.loads(row["detail"])} for row in rows]


def new_events() -> list[Row]:
    db.session.remove()
    found = list(ledger.all_events())
    db.session.rollback()
    return found


def assert_chain_valid() -> None:
    db.session.remove()
    _last_id, digest = ledger.chain_head()
    assert find_break(ledger.all_events(), digest) is None
    db.session.rollback()


def test_what_was_said_is_kept_word_for_word_in_a_chain_that_holds(portal_at_0001: Flask) -> None:
    upgrade(directory=FOLDER)
    assert_chain_valid()
    events = new_events()
    assert [row["id"] for row in events] == list(range(1, len(EVENTS) + 1))
    assert [(row["kind"], row["source"]) for row in events] == [
        ("opt_in", "import"),
        ("evidence", "import"),
        ("opt_in", "import"),
        ("stop", "handset"),
        ("start", "handset"),
        ("start", "handset"),
        ("removed", "portal"),
        ("stop", "twilio"),
    ]
    assert [row["words"] for row in events] == ["", "", "", "Stop.", "START 😀", "START 😀", "", ""]
    assert [row["message_sid"] for row in events[3:6]] == ["SM1", "SM2", ""]
    assert events[2]["detail"] == {"evidence": "arrêt “no”", "row": 4}
    assert (events[6]["actor_id"], events[6]["detail"]) == (2, {"held_sms": True})
    readings = execute("SELECT provider_id, reading, body FROM inbound_message ORDER BY provider_id")
    assert [tuple(row) for row in readings] == [
        ("SM1", "stop", "Stop."),
        ("SM2", "start", "START 😀"),
        ("SM3", "unclear", "who is this?"),
    ]


def test_who_gets_texts_stays_as_it_was_and_nobody_is_welcomed_anew(portal_at_0001: Flask) -> None:
    held = "SELECT account_id, number FROM phone_number WHERE holds_sms = 1"
    stopped = "SELECT number FROM phone_state WHERE stopped_at_ms IS NOT NULL"
    before = [execute(query).all() for query in (held, stopped)]
    upgrade(directory=FOLDER)
    with transaction():
        for number in (HELD, GONE, UNKNOWN):
            recording.record(number, EventKind.HELP, "handset", BEGIN_MS + 30 * DAY_MS, BEGIN_MS + 30 * DAY_MS)
    assert [execute(query).all() for query in (held, stopped)] == before
    assert execute("SELECT count(*) FROM communication").scalar() == 0
    assert_chain_valid()


def test_a_message_that_was_heard_before_is_not_heard_again(portal_at_0001: Flask) -> None:
    upgrade(directory=FOLDER)
    form = {"MessageSid": "SM1", "From": HELD, "To": servers.FROM_NUMBER, "Body": "Stop."}
    receive_inbound(form, BEGIN_MS + 40 * DAY_MS)
    assert len(new_events()) == len(EVENTS)
    receive_inbound({**form, "MessageSid": "SM9"}, BEGIN_MS + 40 * DAY_MS)
    assert [row["id"] for row in new_events()][-1] == len(EVENTS) + 1
    assert execute("SELECT count(*) FROM phone_state WHERE stopped_at_ms IS NOT NULL").scalar() == 2
    assert_chain_valid()


def test_down_and_up_again_nothing_is_lost_and_both_go_on_writing(portal_at_0001: Flask) -> None:
    upgrade(directory=FOLDER)
    first = new_events()
    downgrade(directory=FOLDER, revision="0001")
    expected = [{**row, "kind": "evidence"} if place == 1 else row for place, row in enumerate(EVENTS)]
    assert old_events() == expected
    add_old_event(event(50, GONE, "stop", "handset", message="SM7", words="stop"))
    upgrade(directory=FOLDER)
    assert_chain_valid()
    again = new_events()
    assert again[:-1] == first, "the same events, the same digests"
    assert (again[-1]["kind"], again[-1]["message_sid"]) == ("stop", "SM7")
    assert execute("SELECT count(*) FROM inbound_message").scalar() == len(MESSAGES)


FORBIDDEN_CHANGES: list[str] = [
    "UPDATE consent_event SET words = 'never said'",
    "UPDATE consent_event SET kind = 'start' WHERE kind = 'stop'",
    "DELETE FROM consent_event WHERE id = 1",
    "DELETE FROM consent_event",
]


def test_what_was_taken_over_is_closed_to_changes(portal_at_0001: Flask) -> None:
    upgrade(directory=FOLDER)
    for statement in FORBIDDEN_CHANGES:
        assert_rejected(lambda statement=statement: execute(statement))
    if db.engine.dialect.name == "postgresql":
        assert_rejected(lambda: execute("TRUNCATE consent_event"))
    else:
        assert_rejected(
            lambda: execute("INSERT OR REPLACE INTO consent_event SELECT * FROM consent_event WHERE id = 1")
        )
    assert_chain_valid()


def assert_rejected(change: Callable[[], Any]) -> None:
    with pytest.raises(Exception, match="append-only"):
        change()


def test_a_ledger_that_was_changed_with_the_triggers_gone_names_the_event(portal_at_0001: Flask) -> None:
    upgrade(directory=FOLDER)
    sqlite = db.engine.dialect.name == "sqlite"
    triggers = ["no_update"] if sqlite else ["no_change"]
    for name in triggers:
        execute(f"DROP TRIGGER consent_event_{name}{'' if sqlite else ' ON consent_event'}")
    execute("UPDATE consent_event SET words = 'never said' WHERE id = 4")
    db.session.remove()
    found = find_break(ledger.all_events(), ledger.chain_head()[1])
    assert found is not None
    assert found.event_id == 4
