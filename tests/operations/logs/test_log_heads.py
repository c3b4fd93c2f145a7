"""Once a day the logs are verified and their ends noted; an alert tells about a log that was changed."""

import json
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import text

from portal.core.audit_log import record_audit_entry
from portal.core.config import Settings
from portal.core.extensions import db
from portal.core.log_integrity.earlier_rows import protect_earlier_rows
from portal.core.transaction import transaction
from portal.monitoring.conditions import current_conditions
from portal.monitoring.rules.alert_kinds import AlertKind, Condition
from portal.operations.logs.log_heads import check_logs_daily, read_heads, verify_against_noted
from portal.operations.logs.log_verification import verify_and_store
from portal.operations.tables.log_verifications import last_verifications

DAY_MS, HOUR_MS = 86_400_000, 3_600_000
MONDAY_MS = 1_795_996_800_000 // DAY_MS * DAY_MS + 5 * HOUR_MS


def record(count: int = 1) -> None:
    for _ in range(count):
        with transaction():
            record_audit_entry("send_paused", "send 1", None, MONDAY_MS)


def files(settings: Settings) -> list[Path]:
    return sorted((settings.instance / "log-heads").glob("*.json"))


def check(now_ms: int) -> None:
    check_logs_daily(lambda: now_ms)
    db.session.rollback()


def reason() -> str:
    found = last_verifications()["audit"].reason
    db.session.rollback()
    return found


@pytest.mark.one_engine
def test_ends_are_noted_once_a_day(app: Flask, settings: Settings) -> None:
    record(3)
    for now_ms in (MONDAY_MS, MONDAY_MS + HOUR_MS, MONDAY_MS + 22 * HOUR_MS, MONDAY_MS + DAY_MS):
        check(now_ms)
    first, _second = files(settings)
    assert read_heads(first.read_bytes())["audit"][0] == 3
    assert {"portal", "written_at", "logs", "public_key", "signature"} == set(json.loads(first.read_text()))
    assert (last_verifications()["audit"].row_count, reason()) == (3, "")


def test_log_begun_anew_is_found_by_the_end_that_was_noted(app: Flask, settings: Settings) -> None:
    """Even if keys and MACs went too, so that what is left fits together."""
    record(3)
    check(MONDAY_MS)
    with transaction() as session:
        if db.engine.dialect.name == "sqlite":
            session.execute(text("DROP TRIGGER log_mac_no_delete"))
        else:
            session.execute(text("ALTER TABLE log_mac DISABLE TRIGGER USER"))
        for table in ("log_mac", "log_head", "log_key"):
            session.execute(text(f"DELETE FROM {table}"))
        session.execute(text("DELETE FROM audit_entry WHERE id = 3"))
    protect_earlier_rows(lambda: MONDAY_MS + DAY_MS)
    check(MONDAY_MS + DAY_MS)
    assert reason() == "what came after it was cut off"
    assert len(files(settings)) == 1, "a broken log has no end worth noting"
    assert Condition(AlertKind.LOG_CHANGED, "audit") in current_conditions(MONDAY_MS + DAY_MS)
    verify_against_noted(MONDAY_MS + DAY_MS + HOUR_MS)
    assert reason() == "what came after it was cut off", "a person who verifies clears no alert"


@pytest.mark.one_engine
def test_ends_are_noted_although_somebody_verified_before(app: Flask, settings: Settings) -> None:
    record(3)
    verify_and_store(MONDAY_MS)
    check(MONDAY_MS + HOUR_MS)
    assert len(files(settings)) == 1


@pytest.mark.one_engine
def test_logs_are_verified_once_a_day_where_no_end_can_be_noted(app: Flask, settings: Settings) -> None:
    record(3)
    (settings.instance / "log-heads").write_text("no folder")
    check(MONDAY_MS)
    check(MONDAY_MS + HOUR_MS)
    assert (last_verifications()["audit"].at_ms, reason()) == (MONDAY_MS, "")


@pytest.mark.one_engine
@pytest.mark.parametrize("content", ["{}", "[]", "x", '{"public_key": "00"}'])
def test_a_changed_file_does_not_stop_the_daily_check(app: Flask, settings: Settings, content: str) -> None:
    record(3)
    check(MONDAY_MS)
    files(settings)[0].with_name("9999-01-01.json").write_text(content)
    check(MONDAY_MS + DAY_MS)
    assert len(files(settings)) == 3
