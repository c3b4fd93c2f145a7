"""A database with any number of communications, made by a few statements that both databases understand.

A few sends went to every account, one of them with a subject of its own for each. Most messages arrived; of each
seventh account the texts failed, the first send has failures that no other has, and one text has an unknown outcome.
"""

from collections.abc import Iterator, Mapping

from sqlalchemy import text

from portal.accounts.account_management import NewAccount, create_account
from portal.core.extensions import db
from portal.core.statements import refresh_statistics
from portal.messages.tables.communications import Communication, Delivery
from portal.records import search_indexing
from portal.records.tables.search_index import SearchSubject

_FEW_SENDS, _MANY_SENDS = 4, 20
PERSONAL_SEND = 3
ADMIN_NUMBER = "BENCH-ADMIN"
_FIRST_MS = 1_767_225_600_000
_DAY_MS = 86_400_000
_ACCOUNTS = """
    WITH RECURSIVE numbers (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM numbers WHERE i < :accounts)
    INSERT INTO account (id, external_id, name, email, account_type, role, timezone, active, fs_uniquifier,
        created_at_ms, external_id_folded, email_folded, search_folded)
    SELECT i, 'L-' || i, 'Person ' || i, 'person' || i || '@example.org', 'Load', 'user', 'America/Chicago', 1,
        'load' || i, :at_ms, 'l-' || i, 'person' || i || '@example.org',
        'person ' || i || '\n' || 'person' || i || '@example.org' || '\n' || 'l-' || i
    FROM numbers
"""
_PHONES = """
    INSERT INTO phone_number (account_id, number, label, receives_sms, created_at_ms)
    SELECT id, '+1415' || (2000000 + id), '', 1, created_at_ms FROM account WHERE account_type = 'Load'
"""
_PHONE_STATES = "INSERT INTO phone_state (number) SELECT number FROM phone_number"
_TEMPLATE = """
    INSERT INTO template (id, key, name, current_version, created_at_ms, tags)
    VALUES (1, 'load', 'Renewal of a load', 1, :at_ms, '[]')
"""
_VERSION = """
    INSERT INTO template_version (id, template_id, number, subject, body, urgent, sms_enabled, created_at_ms)
    VALUES (1, 1, 1, 'Renewal', 'Body', 0, 1, :at_ms)
"""
_SEND = """
    INSERT INTO send (id, template_version_id, audience, data, state, recipients, fan_out_cursor, planned_texts,
        created_at_ms, fanned_out_at_ms, finished_at_ms, starts_at_ms)
    VALUES (:send, 1, '{"account_type": "Load"}', '{}', 'done', :accounts, :accounts, :accounts, :at_ms, :at_ms,
        :at_ms, 0)
"""
_COMMUNICATIONS = """
    INSERT INTO communication (send_id, account_id, kind, subject, body, token, created_at_ms)
    SELECT :send, id, 'notification', CASE WHEN :is_personal = 1 THEN 'Notice for ' || name ELSE :subject END, 'Body',
        'token-' || :send || '-' || id, :at_ms + id
    FROM account WHERE account_type = 'Load' ORDER BY id
"""
_DELIVERIES = """
    INSERT INTO delivery (communication_id, send_id, channel, lane, queue_position, state, reason, address, body,
        segments, due_at_ms, attempt_count, provider_id, error_code, state_changed_at_ms, created_at_ms)
    SELECT communication.id, :send, channel.name, 1, account.id,
        CASE WHEN channel.name = 'email' THEN 'handed_off' WHEN :send = 1 AND account.id % 7 = 1 THEN 'failed'
            WHEN account.id % 7 = 3 THEN 'undelivered' WHEN account.id % 7 = 0 THEN 'skipped' ELSE 'delivered' END,
        CASE WHEN channel.name = 'sms' AND account.id % 7 = 0 THEN 'not_opted_in' ELSE '' END,
        CASE WHEN channel.name = 'email' THEN account.email ELSE '+1415' || (2000000 + account.id) END,
        CASE WHEN channel.name = 'email' THEN '' ELSE 'Your renewal is due' END, 1, :at_ms, 1,
        CASE WHEN channel.name = 'sms' THEN 'SM' || communication.id END,
        CASE WHEN channel.name = 'email' THEN '' WHEN :send = 1 AND account.id = 8 THEN '21211'
            WHEN account.id % 7 = 3 THEN '30003' ELSE '' END, :at_ms, :at_ms
    FROM communication JOIN account ON account.id = communication.account_id
    CROSS JOIN (SELECT 'email' AS name UNION ALL SELECT 'sms') AS channel
    WHERE communication.send_id = :send ORDER BY communication.id, channel.name
"""
_UNKNOWN = "UPDATE delivery SET state = 'unknown' WHERE id = (SELECT max(id) / 2 FROM delivery)"
_SEQUENCES = ("account", "send", "template", "template_version")


def add_communications(total: int) -> None:
    """Into an empty database; the subjects are indexed. Also adds a system administrator."""
    sends = _MANY_SENDS if total >= 10_000 else _FEW_SENDS
    values = {"accounts": total // sends, "at_ms": _FIRST_MS}
    for statement in (_ACCOUNTS, _PHONES, _PHONE_STATES, _TEMPLATE, _VERSION):
        _execute(statement, values)
    for send in range(1, sends + 1):
        _add_send(send, values["accounts"])
    for send in range(sends + 1, _MANY_SENDS + 1):  # the list of sends is equally long at every size
        _execute(_SEND, {"send": send, "accounts": 0, "at_ms": _FIRST_MS + send * _DAY_MS})
    _execute(_UNKNOWN, {})
    if db.engine.name == "postgresql":
        for table in _SEQUENCES:
            _execute(f"SELECT setval('{table}_id_seq', (SELECT max(id) FROM {table}))", {})
    db.session.commit()
    create_account(NewAccount(ADMIN_NUMBER, "Administrator", "bench-admin@example.org", "Staff", "sysadmin"), _FIRST_MS)
    index_everything()


def _add_send(send: int, accounts: int) -> None:
    at_ms = _FIRST_MS + send * _DAY_MS
    values = {"send": send, "accounts": accounts, "at_ms": at_ms, "subject": f"Your renewal {send} is due"}
    for statement in (_SEND, _COMMUNICATIONS, _DELIVERIES):
        _execute(statement, {**values, "is_personal": int(send == PERSONAL_SEND)})
    db.session.commit()


def _execute(statement: str, values: Mapping[str, object]) -> None:
    names = {name: value for name, value in values.items() if f":{name}" in statement}
    db.session.execute(text(statement), names)


def index_everything() -> None:
    """As the scheduler does in many rounds, then count the rows as autovacuum would."""
    for _round in _rounds_until_indexed():
        search_indexing.index_new(lambda: _FIRST_MS + 1_000 * _DAY_MS)
    refresh_statistics(Communication, Delivery, SearchSubject)
    if db.engine.name == "postgresql":
        db.session.execute(text("ANALYZE"))
    db.session.commit()


def _rounds_until_indexed() -> Iterator[None]:
    last, before = -1, -2
    while last != before:
        yield
        rows = "SELECT coalesce(max(at_ms), 0) FROM sync_cursor WHERE name = 'search_subjects'"
        queued = db.session.scalar(text("SELECT count(*) FROM search_queue")) or 0
        before, last = last, (db.session.scalar(text(rows)) or 0) - queued
