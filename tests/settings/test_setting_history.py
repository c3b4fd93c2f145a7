"""Whoever changes the history of settings in the database is found out."""

from flask import Flask
from sqlalchemy import text

from portal.core.extensions import db
from portal.core.log_integrity.verification import LogFault, verify_log
from portal.core.transaction import transaction
from portal.settings import setting_changes
from portal.settings.tables.setting_values import SETTING_HISTORY
from tests.support import scenario

NOW_MS = scenario.now_ms()


def test_changed_entry_of_the_history_is_named(app: Flask) -> None:
    for number in range(3):
        setting_changes.set_setting("SmsOverrideNumber", f"+1202555010{number}", None, NOW_MS)
    assert (verify_log(SETTING_HISTORY, NOW_MS).position, verify_log(SETTING_HISTORY, NOW_MS).fault) == (3, None)
    with transaction() as session:
        if db.engine.dialect.name == "sqlite":
            session.execute(text("DROP TRIGGER setting_change_no_update"))
        else:
            session.execute(text("ALTER TABLE setting_change DISABLE TRIGGER USER"))
        session.execute(text("UPDATE setting_change SET new_value = 'x' WHERE id = 2"))
    assert verify_log(SETTING_HISTORY, NOW_MS).fault == LogFault(2, "it was changed after it was written")
