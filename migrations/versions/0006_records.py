"""Totals of deliveries; search; exports; proof of notice; retention; alerts."""

import sqlalchemy as sa
from alembic import op

revision = "release_6"
down_revision = "release_5"
branch_labels = None
depends_on = None

_BIGINT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_SEARCHED = {"account": "search_folded", "phone_number": "number", "search_subject": "folded"}
"""Table to the column whose trigrams are indexed."""

# The cost keeps PostgreSQL from computing the trigrams of each row where the index has them.
_TRIGRAMS_FUNCTION = """
    CREATE FUNCTION search_trigrams(value text) RETURNS text[] LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE COST 1000 AS
    $$ SELECT ARRAY(SELECT DISTINCT substr(value, place, 3) FROM generate_series(1, length(value) - 2) AS place) $$
"""


def upgrade() -> None:
    _add_send_deadline()
    _create_delivery_total()
    _create_exports()
    _add_charges()
    _widen_account_index()
    _create_resends()
    _add_import_uploads()
    _create_retention()
    _create_proofs()
    _create_search()
    _create_audience_indexes()
    _create_alerts()
    _create_statistic_cache()


def downgrade() -> None:
    op.drop_table("statistic_cache")
    _drop_alerts()
    _drop_delivery_total()
    _drop_audience_indexes()
    _drop_search()
    _drop_proofs()
    _drop_resends()
    _narrow_account_index()
    _drop_charges()
    _drop_retention()
    _drop_exports()
    op.drop_column("send", "start_deadline_ms")
    _drop_import_uploads()


def _add_send_deadline() -> None:
    op.add_column("send", sa.Column("start_deadline_ms", _BIGINT, nullable=True))


def _create_delivery_total() -> None:
    """The triggers come before the rows that exist: PostgreSQL then lets nobody write a delivery in between."""
    key = ("send_id", "channel", "hour", "lane", "kind", "state", "reason", "shard")
    numbers = ("count", "segments", "deleted_count", "deleted_segments")
    types = dict.fromkeys(("channel", "kind", "state", "reason"), sa.Text()) | {"send_id": _BIGINT}
    op.create_table(
        "delivery_total",
        *(sa.Column(name, types.get(name, sa.Integer()), nullable=False) for name in key),
        *(sa.Column(name, _BIGINT, nullable=False, server_default="0") for name in numbers),
        sa.PrimaryKeyConstraint(*key, name=op.f("pk_delivery_total")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_index("ix_delivery_total_hour", "delivery_total", ["hour"])
    op.create_index("ix_delivery_total_state", "delivery_total", ["state", "channel"])
    is_sqlite = op.get_bind().dialect.name == "sqlite"
    for statement in _TOTAL_TRIGGERS_ON_SQLITE if is_sqlite else _TOTAL_TRIGGERS_ON_POSTGRESQL:
        op.execute(statement)
    op.execute(
        f"INSERT INTO delivery_total ({_KEY_NAMES}, shard, count, segments)"
        f" SELECT {_total_key('d')}, 0, count(*), sum(d.segments) FROM delivery d GROUP BY {_KEY_NUMBERS}"
    )


def _drop_delivery_total() -> None:
    is_sqlite = op.get_bind().dialect.name == "sqlite"
    for event in ("insert", "update", "delete"):
        op.execute(f"DROP TRIGGER delivery_total_{event}{'' if is_sqlite else ' ON delivery'}")
        if not is_sqlite:
            op.execute(f"DROP FUNCTION delivery_total_{event}()")
    op.drop_table("delivery_total")


_TOTAL_KEY = {
    "send_id": "coalesce({row}.send_id, 0)",
    "channel": "{row}.channel",
    "hour": "{row}.created_at_ms / 3600000",
    "lane": "{row}.lane",
    "kind": (
        "CASE WHEN {row}.send_id IS NULL"
        " THEN (SELECT c.kind FROM communication c WHERE c.id = {row}.communication_id) ELSE 'notification' END"
    ),
    "state": (
        "CASE WHEN {row}.state IN ('accepted', 'sent') AND {row}.due_at_ms >= 9007199254740992"
        " THEN 'no_receipt' ELSE {row}.state END"
    ),
    "reason": "CASE WHEN {row}.state = 'skipped' THEN {row}.reason ELSE '' END",
}
"""What a delivery is counted under. The messages of a send are notifications.

A text whose status is no longer checked has a state of its own, and a reason is kept where it is one of a few words.
"""
_KEY_NAMES = ", ".join(_TOTAL_KEY)
_KEY_NUMBERS = "1, 2, 3, 4, 5, 6, 7"


def _total_key(row: str) -> str:
    return ", ".join(_TOTAL_KEY.values()).format(row=row)


def _count_on_sqlite(row: str, sign: str = "+", count: str = "count", segments: str = "segments") -> str:
    """Two statements take half the time of one with ON CONFLICT, and the second has seldom anything to do."""
    key = " AND ".join(f"{name} = {value.format(row=row)}" for name, value in _TOTAL_KEY.items())
    return (
        f"UPDATE delivery_total SET {count} = {count} {sign} 1, {segments} = {segments} {sign} {row}.segments"
        f" WHERE {key} AND shard = 0;"
        f" INSERT INTO delivery_total ({_KEY_NAMES}, shard, {count}, {segments})"
        f" SELECT {_total_key(row)}, 0, {sign}1, {sign}{row}.segments WHERE changes() = 0;"
    )


_TOTAL_TRIGGERS_ON_SQLITE = (
    f"CREATE TRIGGER delivery_total_insert AFTER INSERT ON delivery BEGIN {_count_on_sqlite('NEW')} END",
    "CREATE TRIGGER delivery_total_update AFTER UPDATE OF state, reason, segments, due_at_ms, lane, created_at_ms ON delivery"
    " WHEN OLD.state <> NEW.state OR OLD.reason <> NEW.reason OR OLD.segments <> NEW.segments"
    " OR OLD.lane <> NEW.lane OR OLD.created_at_ms <> NEW.created_at_ms"
    " OR (OLD.due_at_ms >= 9007199254740992) <> (NEW.due_at_ms >= 9007199254740992)"
    f" BEGIN {_count_on_sqlite('OLD', '-')} {_count_on_sqlite('NEW')} END",
    "CREATE TRIGGER delivery_total_delete AFTER DELETE ON delivery"
    f" BEGIN {_count_on_sqlite('OLD', count='deleted_count', segments='deleted_segments')} END",
)


def _count_on_postgresql(
    event: str, tables: str, rows: str, count: str = "count", segments: str = "segments"
) -> tuple[str, str]:
    """A row for each database session, so that transactions never wait for each other."""
    return (
        f"CREATE FUNCTION delivery_total_{event}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        f" INSERT INTO delivery_total AS total"
        f" ({_KEY_NAMES}, shard, {count}, {segments})"
        f" SELECT {_total_key('d')}, pg_backend_pid(), sum(sign), sum(sign * d.segments) FROM {rows}"
        f" GROUP BY {_KEY_NUMBERS} HAVING sum(sign) <> 0 OR sum(sign * d.segments) <> 0"
        f" ON CONFLICT ({_KEY_NAMES}, shard) DO UPDATE"
        f" SET {count} = total.{count} + excluded.{count}, {segments} = total.{segments} + excluded.{segments};"
        f" RETURN NULL; END $$",
        f"CREATE TRIGGER delivery_total_{event} AFTER {event.upper()} ON delivery REFERENCING {tables}"
        f" FOR EACH STATEMENT EXECUTE FUNCTION delivery_total_{event}()",
    )


_TOTAL_TRIGGERS_ON_POSTGRESQL = (
    *_count_on_postgresql("insert", "NEW TABLE AS new_rows", "(SELECT *, 1 AS sign FROM new_rows) d"),
    *_count_on_postgresql(
        "update",
        "OLD TABLE AS old_rows NEW TABLE AS new_rows",
        "(SELECT *, -1 AS sign FROM old_rows UNION ALL SELECT *, 1 AS sign FROM new_rows) d",
    ),
    *_count_on_postgresql(
        "delete",
        "OLD TABLE AS old_rows",
        "(SELECT *, 1 AS sign FROM old_rows) d",
        count="deleted_count",
        segments="deleted_segments",
    ),
)


def _create_exports() -> None:
    author = "created_by_id"
    op.create_table(
        "communication_export",
        sa.Column("id", _BIGINT, nullable=False),
        sa.Column("search_line", sa.Text(), nullable=False),
        sa.Column("with_sms", sa.Integer(), nullable=False),
        sa.Column("format", sa.Text(), nullable=False),
        sa.Column("time_zone", sa.Text(), nullable=False),
        sa.Column("unmasked_reason", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("problem", sa.Text(), nullable=False),
        sa.Column("newest_id", _BIGINT, nullable=False),
        sa.Column("next_id", _BIGINT, nullable=False),
        sa.Column("row_count", _BIGINT, nullable=False),
        sa.Column("byte_count", _BIGINT, nullable=False),
        sa.Column("part_count", sa.Integer(), nullable=False),
        sa.Column("run_number", sa.Integer(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("created_at_ms", _BIGINT, nullable=False),
        sa.Column(author, _BIGINT, nullable=True),
        sa.Column("finished_at_ms", _BIGINT, nullable=True),
        sa.Column("expires_at_ms", _BIGINT, nullable=True),
        sa.ForeignKeyConstraint([author], ["account.id"], name=op.f(f"fk_communication_export_{author}")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_communication_export")),
        sqlite_strict=True,
    )
    op.create_index("ix_communication_export_state", "communication_export", ["state", "id"])
    op.create_table(
        "communication_export_part",
        sa.Column("export_id", _BIGINT, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["export_id"], ["communication_export.id"], name=op.f("fk_communication_export_part_export_id")
        ),
        sa.PrimaryKeyConstraint("export_id", "number", name=op.f("pk_communication_export_part")),
        sqlite_strict=True,
    )


def _drop_exports() -> None:
    op.drop_table("communication_export_part")
    op.drop_table("communication_export")


def _add_charges() -> None:
    op.add_column("attempt", sa.Column("provider_segments", sa.Integer(), nullable=True))
    for name in ("price", "price_unit"):
        op.add_column("attempt", sa.Column(name, sa.Text(), nullable=True))


def _drop_charges() -> None:
    for name in ("price_unit", "price", "provider_segments"):
        op.drop_column("attempt", name)


def _widen_account_index() -> None:
    """With everything a person’s history filters by, so that it reads only the rows it shows."""
    op.drop_index("ix_communication_account", "communication")
    columns = ["account_id", "id", "created_at_ms", "read_at_ms", "send_id", "kind"]
    op.create_index("ix_communication_account", "communication", columns)


def _narrow_account_index() -> None:
    op.drop_index("ix_communication_account", "communication")
    op.create_index("ix_communication_account", "communication", ["account_id", "id"])


def _create_resends() -> None:
    op.create_table(
        "resend",
        sa.Column("id", _BIGINT, nullable=False),
        sa.Column("search_line", sa.Text(), nullable=False),
        sa.Column("communication_id", _BIGINT, nullable=True),
        sa.Column("created_at_ms", _BIGINT, nullable=False),
        sa.Column("created_by_id", _BIGINT, nullable=True),
        sa.Column("confirmed_at_ms", _BIGINT, nullable=True),
        sa.ForeignKeyConstraint(["created_by_id"], ["account.id"], name=op.f("fk_resend_created_by_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_resend")),
        sqlite_strict=True,
    )
    op.create_table(
        "resend_recipient",
        sa.Column("resend_id", _BIGINT, nullable=False),
        sa.Column("source_send_id", _BIGINT, nullable=False),
        sa.Column("account_id", _BIGINT, nullable=False),
        sa.Column("communication_id", _BIGINT, nullable=False),
        sa.ForeignKeyConstraint(["resend_id"], ["resend.id"], name=op.f("fk_resend_recipient_resend_id")),
        sa.ForeignKeyConstraint(["source_send_id"], ["send.id"], name=op.f("fk_resend_recipient_source_send_id")),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_resend_recipient_account_id")),
        sa.PrimaryKeyConstraint("resend_id", "source_send_id", "account_id", name=op.f("pk_resend_recipient")),
        sqlite_strict=True,
    )
    op.create_index("ix_resend_recipient_communication", "resend_recipient", ["communication_id", "resend_id"])


def _drop_resends() -> None:
    op.drop_table("resend_recipient")
    op.drop_table("resend")


def _add_import_uploads() -> None:
    op.add_column("import_task", sa.Column("upload", sa.LargeBinary(), nullable=True))
    op.add_column("import_task", sa.Column("file_name", sa.Text(), nullable=False, server_default=""))
    op.add_column("import_task", sa.Column("preview", sa.Text(), nullable=False, server_default="{}"))


def _drop_import_uploads() -> None:
    """Previous releases do not know what is being checked."""
    op.execute("DELETE FROM import_task WHERE state IN ('checking', 'checked') OR kind = 'import_attributes'")
    for name in ("preview", "file_name", "upload"):
        op.drop_column("import_task", name)


def _create_retention() -> None:
    op.create_table(
        "retention_progress",
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("done_through_id", _BIGINT, nullable=False),
        sa.Column("cursor_id", _BIGINT, nullable=False),
        sa.Column("skipped_id", _BIGINT, nullable=True),
        sa.Column("deleted_count", _BIGINT, nullable=False),
        sa.Column("finished_at_ms", _BIGINT, nullable=True),
        sa.PrimaryKeyConstraint("kind", name=op.f("pk_retention_progress")),
        sqlite_strict=True,
    )
    op.add_column("communication", sa.Column("body_deleted_at_ms", _BIGINT, nullable=True))
    op.add_column("template", sa.Column("sensitive", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("account", sa.Column("erased_at_ms", _BIGINT, nullable=True))
    op.add_column("template_draft", sa.Column("sensitive", sa.Integer(), nullable=False, server_default="0"))


def _drop_retention() -> None:
    op.drop_column("template_draft", "sensitive")
    op.drop_column("account", "erased_at_ms")
    op.drop_column("template", "sensitive")
    op.drop_column("communication", "body_deleted_at_ms")
    op.drop_table("retention_progress")


def _create_proofs() -> None:
    op.create_table(
        "signing_key",
        sa.Column("id", _BIGINT, nullable=False),
        sa.Column("public_key", sa.Text(), nullable=False),
        sa.Column("private_key", sa.Text(), nullable=False),
        sa.Column("created_at_ms", _BIGINT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_signing_key")),
        sqlite_strict=True,
    )
    op.create_table(
        "proof",
        sa.Column("id", _BIGINT, nullable=False),
        sa.Column("send_id", _BIGINT, nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("problem", sa.Text(), nullable=False),
        sa.Column("about", sa.Text(), nullable=False),
        sa.Column("after_account_id", _BIGINT, nullable=False),
        sa.Column("line_count", _BIGINT, nullable=False),
        sa.Column("last_digest", sa.Text(), nullable=False),
        sa.Column("part_count", sa.Integer(), nullable=False),
        sa.Column("byte_count", _BIGINT, nullable=False),
        sa.Column("run_number", sa.Integer(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("created_at_ms", _BIGINT, nullable=False),
        sa.Column("created_by_id", _BIGINT, nullable=True),
        sa.Column("finished_at_ms", _BIGINT, nullable=True),
        sa.ForeignKeyConstraint(["send_id"], ["send.id"], name=op.f("fk_proof_send_id")),
        sa.ForeignKeyConstraint(["created_by_id"], ["account.id"], name=op.f("fk_proof_created_by_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_proof")),
        sqlite_strict=True,
    )
    op.create_index("ix_proof_state", "proof", ["state", "id"])
    op.create_index("ix_proof_send", "proof", ["send_id", "id"])
    op.create_table(
        "proof_part",
        sa.Column("proof_id", _BIGINT, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["proof_id"], ["proof.id"], name=op.f("fk_proof_part_proof_id")),
        sa.PrimaryKeyConstraint("proof_id", "number", name=op.f("pk_proof_part")),
        sqlite_strict=True,
    )


def _drop_proofs() -> None:
    for name in ("proof_part", "proof", "signing_key"):
        op.drop_table(name)


def _create_search() -> None:
    _create_search_tables()
    _create_search_indexes()
    if op.get_bind().dialect.name == "sqlite":
        _create_fts_tables()
    else:
        op.execute(_TRIGRAMS_FUNCTION)
        for table, column in _SEARCHED.items():
            # A short list of pending entries, because each search reads all of it.
            using = f"USING gin (search_trigrams({column})) WITH (gin_pending_list_limit = 512)"
            op.execute(f"CREATE INDEX trigram_{table} ON {table} {using}")


def _create_search_tables() -> None:
    op.create_table(
        "search_subject",
        sa.Column("id", _BIGINT, nullable=False),
        sa.Column("send_id", _BIGINT, nullable=True),
        sa.Column("communication_id", _BIGINT, nullable=True),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("folded", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["send_id"], ["send.id"], name=op.f("fk_search_subject_send_id")),
        sa.ForeignKeyConstraint(
            ["communication_id"],
            ["communication.id"],
            name=op.f("fk_search_subject_communication_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_search_subject")),
        sqlite_strict=True,
    )
    op.create_index("ix_search_subject_send", "search_subject", ["send_id"])
    op.create_index("uq_search_subject_communication", "search_subject", ["communication_id"], unique=True)
    op.create_table(
        "search_queue",
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("row_id", _BIGINT, nullable=False, autoincrement=False),
        sa.PrimaryKeyConstraint("source", "row_id", name=op.f("pk_search_queue")),
        sqlite_strict=True,
    )
    op.create_table(
        "saved_search",
        sa.Column("id", _BIGINT, nullable=False),
        sa.Column("account_id", _BIGINT, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("name_folded", sa.Text(), nullable=False),
        sa.Column("line", sa.Text(), nullable=False),
        sa.Column("created_at_ms", _BIGINT, nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_saved_search_account_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_saved_search")),
        sqlite_strict=True,
    )
    op.create_index("uq_saved_search_name", "saved_search", ["account_id", "name_folded"], unique=True)


def _create_search_indexes() -> None:
    op.create_index("ix_communication_send", "communication", ["send_id", "id"])
    op.drop_index("ix_delivery_send", "delivery")
    op.create_index("ix_delivery_send", "delivery", ["send_id", "channel", "state", "communication_id"])
    op.create_index("ix_delivery_state", "delivery", ["channel", "state", "communication_id"])
    for name, column, condition in (
        ("ix_delivery_text_address", "address", "channel = 'sms'"),
        ("ix_delivery_error_code", "error_code", "error_code <> ''"),
    ):
        where = dict.fromkeys(("sqlite_where", "postgresql_where"), sa.text(condition))
        op.create_index(name, "delivery", [column, "communication_id"], **where)
    by_letters = {"search_folded": "text_pattern_ops"}
    op.create_index("ix_account_search", "account", ["search_folded"], postgresql_ops=by_letters)


def _create_fts_tables() -> None:
    """Triggers may not write to FTS5 tables while `trusted_schema` is off, as it is in the previous release too."""
    for table, column in _SEARCHED.items():
        op.execute(
            f"CREATE VIRTUAL TABLE trigram_{table} USING fts5({column}, tokenize='trigram case_sensitive 1')"
        )
        op.execute(f"INSERT INTO trigram_{table} (rowid, {column}) SELECT id, {column} FROM {table}")
        for event, row in (("INSERT", "NEW"), (f"UPDATE OF {column}", "NEW"), ("DELETE", "OLD")):
            name = f"trigram_{table}_{event[:6].lower()}"
            queue = f"INSERT OR IGNORE INTO search_queue (source, row_id) VALUES ('{table}', {row}.id)"
            op.execute(f"CREATE TRIGGER {name} AFTER {event} ON {table} BEGIN {queue}; END")


def _drop_search() -> None:
    is_sqlite = op.get_bind().dialect.name == "sqlite"
    for table in _SEARCHED:
        if is_sqlite:
            for event in ("insert", "update", "delete"):
                op.execute(f"DROP TRIGGER trigram_{table}_{event}")
        op.execute(f"DROP {'TABLE' if is_sqlite else 'INDEX'} trigram_{table}")
    if not is_sqlite:
        op.execute("DROP FUNCTION search_trigrams(text)")
    op.drop_index("ix_account_search", "account")
    for name in ("error_code", "text_address", "state", "send"):
        op.drop_index(f"ix_delivery_{name}", "delivery")
    op.create_index("ix_delivery_send", "delivery", ["send_id", "channel", "state"])
    op.drop_index("ix_communication_send", "communication")
    for name in ("saved_search", "search_queue", "search_subject"):
        op.drop_table(name)


_AUDIENCE_INDEXES = {
    "ix_account_audience": ("account", ["id", "active", "role", "account_type", "timezone"], ""),
    "ix_attribute_value_account": ("attribute_value", ["attribute_id", "account_id", "comparable", "number"], ""),
    "ix_phone_number_enabled": ("phone_number", ["account_id", "number"], "receives_sms = 1"),
    "ix_phone_state_stopped": ("phone_state", ["number"], "stopped_at_ms IS NOT NULL"),
    "ix_phone_state_unreachable": ("phone_state", ["number"], "unreachable_at_ms IS NOT NULL"),
}
"""Name to table, columns, and which rows if not all."""


def _create_audience_indexes() -> None:
    for name, (table, columns, condition) in _AUDIENCE_INDEXES.items():
        _create_partial_index(name, table, columns, condition)
    op.drop_index("ix_attribute_value_number", "attribute_value")
    columns = ["attribute_id", "number", "account_id"]
    _create_partial_index("ix_attribute_value_number", "attribute_value", columns, "number IS NOT NULL")


def _drop_audience_indexes() -> None:
    op.drop_index("ix_attribute_value_number", "attribute_value")
    op.create_index("ix_attribute_value_number", "attribute_value", ["attribute_id", "number", "account_id"])
    for name, (table, _columns, _condition) in _AUDIENCE_INDEXES.items():
        op.drop_index(name, table)


def _create_partial_index(name: str, table: str, columns: list[str], condition: str) -> None:
    """Of the rows that meet the condition, or of all."""
    rows = dict.fromkeys(("sqlite_where", "postgresql_where"), sa.text(condition)) if condition else {}
    op.create_index(name, table, columns, **rows)


def _create_alerts() -> None:
    op.create_table(
        "alert",
        sa.Column("id", _BIGINT, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("started_at_ms", _BIGINT, nullable=False),
        sa.Column("announced_at_ms", _BIGINT, nullable=True),
        sa.Column("ended_at_ms", _BIGINT, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alert")),
        sqlite_strict=True,
    )
    is_open = dict.fromkeys(("sqlite_where", "postgresql_where"), sa.text("ended_at_ms IS NULL"))
    op.create_index("uq_alert_open", "alert", ["kind", "subject"], unique=True, **is_open)
    key = ["alert_id", "event", "route", "account_id"]
    op.create_table(
        "alert_notice",
        sa.Column("alert_id", _BIGINT, nullable=False),
        sa.Column("event", sa.Text(), nullable=False),
        sa.Column("route", sa.Text(), nullable=False),
        sa.Column("account_id", _BIGINT, nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("due_at_ms", _BIGINT, nullable=True),
        sa.Column("sent_at_ms", _BIGINT, nullable=True),
        sa.Column("problem", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["alert_id"], ["alert.id"], name=op.f("fk_alert_notice_alert_id")),
        sa.PrimaryKeyConstraint(*key, name=op.f("pk_alert_notice")),
        sqlite_strict=True,
    )
    is_due = dict.fromkeys(("sqlite_where", "postgresql_where"), sa.text("due_at_ms IS NOT NULL"))
    op.create_index("ix_alert_notice_due", "alert_notice", ["due_at_ms"], **is_due)


def _drop_alerts() -> None:
    op.drop_table("alert_notice")
    op.drop_table("alert")


def _create_statistic_cache() -> None:
    op.create_table(
        "statistic_cache",
        sa.Column("zone", sa.Text(), nullable=False),
        sa.Column("day", sa.Text(), nullable=False),
        sa.Column("computed_at_ms", _BIGINT, nullable=False),
        sa.Column("used_at_ms", _BIGINT, nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("zone", name=op.f("pk_statistic_cache")),
        sqlite_strict=True,
    )
