"""A portal whose START gave texts back although somebody else had got the number: the upgrade asks whose they are."""

import pytest
from flask import Flask
from flask_migrate import downgrade, upgrade
from sqlalchemy import text

from portal.consent import recording
from portal.consent.tables import ledger
from portal.core.extensions import db
from tests.support import servers

FOLDER = str(servers.ROOT / "migrations")
NUMBER = "+14152000000"
OLD, NEW = 1, 2
ACCOUNT = (
    "INSERT INTO account (id, external_id, name, email, account_type, role, timezone, active, fs_uniquifier,"
    " created_at_ms) VALUES (:id, :name, :name, 'a@example.org', 'T', 'user', 'UTC', 1, :name, 0)"
)
PHONE = (
    "INSERT INTO phone_number (account_id, number, label, holds_sms, holds_sms_since_ms, created_at_ms)"
    " VALUES (:account, :number, '', :holds, :since, :added)"
)
MESSAGE = (
    "INSERT INTO inbound_message (provider_id, sender, recipient, body, raw, heard, reading, exact, received_at_ms,"
    " order_at_ms, order_rank, sure, asks, decision)"
    " VALUES (:sid, :number, '', 'START', '{}', 'webhook', 'start', 1, :at, :at, 0, 1, 0, '')"
)


@pytest.mark.parametrize(
    ("new_has_it_since", "removed", "holds", "asks"),
    [(35, False, False, True), (5, False, True, False), (35, True, False, True), (None, False, True, False)],
)
def test_upgrade_flags_starts_of_reassigned_numbers(
    empty_app: Flask, new_has_it_since: int | None, removed: bool, holds: bool, asks: bool
) -> None:
    upgrade(directory=FOLDER, revision="0016")
    with db.engine.begin() as connection:
        for account_id in (OLD, NEW):
            connection.execute(text(ACCOUNT), {"id": account_id, "name": f"P-{account_id}"})
        rows = [(OLD, 1, 1)] + ([(NEW, 0, new_has_it_since)] if new_has_it_since and not removed else [])
        for account, held, added in rows:
            row = {"account": account, "number": NUMBER, "holds": held, "since": 40 if held else None, "added": added}
            connection.execute(text(PHONE), row)
        connection.execute(text(MESSAGE), {"sid": "SM2", "number": NUMBER, "at": 40})
    written = [("opt_in", "", OLD, 20, {}), ("stop", "", None, 30, {})]
    if removed:
        written.append(("removed", "", NEW, 37, {"added_at_ms": new_has_it_since, "held_sms": False}))
    for kind, sid, account_id, at_ms, detail in [*written, ("start", "SM2", OLD, 40, {})]:
        values = {"message_sid": sid, "account_id": account_id, "detail": detail}
        ledger.append(
            {"number": NUMBER, "kind": kind, "source": "x", "occurred_at_ms": at_ms, "recorded_at_ms": at_ms, **values}
        )
    db.session.commit()
    upgrade(directory=FOLDER, revision="0017")
    assert bool(db.session.scalar(text("SELECT holds_sms FROM phone_number WHERE account_id = 1"))) == holds
    assert bool(db.session.scalar(text("SELECT asks FROM inbound_message"))) == asks
    assert (recording.consent_state_of(NUMBER).recipient_id == OLD) == holds
    db.session.rollback()
    downgrade(directory=FOLDER, revision="0016")


@pytest.mark.parametrize(
    ("written", "holder"),
    [
        # an invitation that Twilio refused for an older STOP is a request now, and START answers it
        ([("invited", NEW, 30, {}), ("stop", None, 32, {"code": "21610"}), ("start", OLD, 40, {})], NEW),
        # a dead number that somebody else got since gets nobody's texts by a confirmation
        ([("unreachable", None, 30, {"code": "30005"}), ("confirmed", OLD, 40, {})], None),
    ],
)
def test_upgrade_stores_the_recipient_derived_from_the_ledger(
    empty_app: Flask, written: list[tuple[str, int | None, int, dict[str, str]]], holder: int | None
) -> None:
    upgrade(directory=FOLDER, revision="0016")
    with db.engine.begin() as connection:
        for account_id in (OLD, NEW):
            connection.execute(text(ACCOUNT), {"id": account_id, "name": f"P-{account_id}"})
        for account, held, added in ((OLD, 1, 1), (NEW, 0, 25)):
            row = {"account": account, "number": NUMBER, "holds": held, "since": 20 if held else None, "added": added}
            connection.execute(text(PHONE), row)
    for kind, account_id, at_ms, detail in [("opt_in", OLD, 20, {}), *written]:
        times = {"occurred_at_ms": at_ms, "recorded_at_ms": at_ms}
        event = {"number": NUMBER, "kind": kind, "source": "x", "account_id": account_id, "detail": detail}
        ledger.append(event | times)
    db.session.commit()
    upgrade(directory=FOLDER, revision="0017")
    held = db.session.scalars(text("SELECT account_id FROM phone_number WHERE holds_sms = 1")).all()
    assert list(held) == ([holder] if holder else [])
    assert recording.consent_state_of(NUMBER).recipient_id == holder
    db.session.rollback()
