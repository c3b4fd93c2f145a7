"""The tables of the data file, and the upgrade of files that an earlier version wrote."""

import sqlite3

TABLES = ("message", "request_log", "opt_out", "sms_url", "webhook_config", "email")

_SCHEMA = """
CREATE TABLE IF NOT EXISTS message (sid TEXT PRIMARY KEY, seq INTEGER NOT NULL, row TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS request_log (n INTEGER PRIMARY KEY, row TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS opt_out (sending_number TEXT, handset TEXT, PRIMARY KEY (sending_number, handset)) STRICT;
CREATE TABLE IF NOT EXISTS sms_url (phone_number TEXT PRIMARY KEY, url TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS webhook_config (
  owner TEXT, name TEXT, value TEXT NOT NULL, PRIMARY KEY (owner, name)
) STRICT;
CREATE TABLE IF NOT EXISTS email (id INTEGER PRIMARY KEY, row TEXT NOT NULL, raw BLOB NOT NULL) STRICT;
"""

_UPGRADE = """
BEGIN IMMEDIATE;
ALTER TABLE call RENAME TO request_log;
ALTER TABLE block RENAME TO opt_out;
ALTER TABLE opt_out RENAME COLUMN sender TO sending_number;
ALTER TABLE opt_out RENAME COLUMN recipient TO handset;
ALTER TABLE number RENAME TO sms_url;
ALTER TABLE sms_url RENAME COLUMN number TO phone_number;
ALTER TABLE sms_url RENAME COLUMN sms_url TO url;
ALTER TABLE wiring RENAME TO webhook_config;
ALTER TABLE mail RENAME TO email;
UPDATE message SET row = json_remove(json_set(row,
  '$.from_number', json_extract(row, '$.sender'),
  '$.to_number', json_extract(row, '$.recipient')
), '$.sender', '$.recipient');
UPDATE request_log SET row = json_remove(json_set(row,
  '$.from_number', json_extract(row, '$.sender'),
  '$.to_number', json_extract(row, '$.to')
), '$.sender', '$.to');
COMMIT;
"""


def create_tables(connection: sqlite3.Connection) -> None:
    if _is_earlier_version(connection):
        connection.executescript(_UPGRADE)
    connection.executescript(_SCHEMA)


def _is_earlier_version(connection: sqlite3.Connection) -> bool:
    return connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'wiring'").fetchone() is not None
