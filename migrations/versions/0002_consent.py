"""The consent ledger in full: who, by what words, from where; chained, and closed to changes.

Texts from handsets get their place in time, communications the event of the ledger that they follow from, and
attempts at test texts the provider's answer.
"""

import json

import sqlalchemy as sa
from alembic import op

from portal.domain import ledger

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_NEW_EVENT = (
    ("actor_id", None),
    ("words", ""),
    ("wording", ""),
    ("wording_version", None),
    ("message_sid", ""),
    ("ip", ""),
    ("user_agent", ""),
)


def upgrade() -> None:
    _widen_ledger()
    _widen_inbound()
    op.add_column("attempt", sa.Column("answer", sa.Text(), nullable=True))
    op.add_column("communication", sa.Column("consent_event_id", _KEY, nullable=True))
    op.create_index(
        "uq_communication_consent", "communication", ["consent_event_id", "kind", "account_id"], unique=True
    )
    op.create_table(
        "bookmark",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("at_ms", _KEY, nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_bookmark")),
        sqlite_strict=True,
    )
    _close_ledger()


def downgrade() -> None:
    _open_ledger()
    op.drop_table("bookmark")
    op.drop_index("uq_communication_consent", "communication")
    op.drop_column("communication", "consent_event_id")
    op.drop_column("attempt", "answer")
    _narrow_inbound()
    _narrow_ledger()


def _widen_ledger() -> None:
    """Events so far are written anew, in their order, as the beginning of the chain."""
    connection = op.get_bind()
    rows = [dict(row) for row in connection.execute(sa.text("SELECT * FROM consent_event ORDER BY id")).mappings()]
    held = connection.execute(sa.text("SELECT number, account_id FROM phone_number WHERE holds_sms = 1"))
    holders = {row.number: row.account_id for row in held}
    op.drop_index("ix_consent_event_number", "consent_event")
    op.drop_table("consent_event")
    op.create_table(
        "consent_event",
        sa.Column("id", _KEY, autoincrement=False, nullable=False),
        sa.Column("number", sa.Text(), nullable=False),
        sa.Column("account_id", _KEY, nullable=True),
        sa.Column("actor_id", _KEY, nullable=True),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("words", sa.Text(), nullable=False),
        sa.Column("wording", sa.Text(), nullable=False),
        sa.Column("wording_version", sa.Integer(), nullable=True),
        sa.Column("message_sid", sa.Text(), nullable=False),
        sa.Column("ip", sa.Text(), nullable=False),
        sa.Column("user_agent", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("occurred_at_ms", _KEY, nullable=False),
        sa.Column("recorded_at_ms", _KEY, nullable=False),
        sa.Column("previous", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_consent_event")),
        sqlite_strict=True,
    )
    op.create_index("ix_consent_event_number", "consent_event", ["number", "id"])
    op.create_index("ix_consent_event_account", "consent_event", ["account_id", "id"])
    op.create_index("ix_consent_event_kind", "consent_event", ["kind", "occurred_at_ms"])
    op.create_index(
        "uq_consent_event_message",
        "consent_event",
        ["message_sid"],
        unique=True,
        sqlite_where=sa.text("message_sid <> ''"),
        postgresql_where=sa.text("message_sid <> ''"),
    )
    op.create_table(
        "consent_head",
        sa.Column("id", _KEY, nullable=False),
        sa.Column("last_id", _KEY, nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_consent_head")),
        sqlite_strict=True,
    )
    last_id, last_digest = _chain(connection, rows, holders)
    connection.execute(
        sa.text("INSERT INTO consent_head (id, last_id, digest) VALUES (1, :last_id, :digest)"),
        {"last_id": last_id, "digest": last_digest},
    )


def _chain(connection: sa.Connection, rows: list[dict], holders: dict[str, int]) -> tuple[int, str]:
    last_id, last_digest, seen, written = 0, ledger.FIRST, set(), []
    for row in rows:
        detail = json.loads(row["detail"])
        event = {**dict(_NEW_EVENT), **row, "detail": detail, "previous": last_digest}
        event["words"] = detail.pop("words", "")
        sid = detail.get("message", "")
        event["message_sid"] = "" if sid in seen else detail.pop("message", "")
        event["actor_id"] = detail.pop("by", None)
        seen.add(sid)
        if event["kind"] == "opt_in" and holders.get(row["number"], row["account_id"]) != row["account_id"]:
            event["kind"] = "evidence"
        event["digest"] = ledger.digest(last_digest, event)
        last_id, last_digest = event["id"], event["digest"]
        written.append({**event, "detail": json.dumps(detail, sort_keys=True, ensure_ascii=False)})
    if written:
        names = list(written[0])
        connection.execute(
            sa.text(f"INSERT INTO consent_event ({', '.join(names)}) VALUES ({', '.join(':' + n for n in names)})"),
            written,
        )
    return last_id, last_digest


def _narrow_ledger() -> None:
    connection = op.get_bind()
    rows = [dict(row) for row in connection.execute(sa.text("SELECT * FROM consent_event ORDER BY id")).mappings()]
    op.drop_table("consent_head")
    op.drop_table("consent_event")
    op.create_table(
        "consent_event",
        sa.Column("id", _KEY, nullable=False),
        sa.Column("number", sa.Text(), nullable=False),
        sa.Column("account_id", _KEY, nullable=True),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("occurred_at_ms", _KEY, nullable=False),
        sa.Column("recorded_at_ms", _KEY, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_consent_event")),
        sqlite_strict=True,
    )
    op.create_index("ix_consent_event_number", "consent_event", ["number", "id"])
    for row in rows:
        detail = json.loads(row["detail"])
        kept = {"words": row["words"], "message": row["message_sid"], "by": row["actor_id"]}
        row["detail"] = json.dumps(detail | {name: value for name, value in kept.items() if value}, sort_keys=True)
    if rows:
        connection.execute(
            sa.text(
                "INSERT INTO consent_event (id, number, account_id, kind, source, detail, occurred_at_ms, recorded_at_ms)"
                " VALUES (:id, :number, :account_id, :kind, :source, :detail, :occurred_at_ms, :recorded_at_ms)"
            ),
            rows,
        )
    _count_on("consent_event")


_INBOUND = (
    sa.Column("id", _KEY, nullable=False),
    sa.Column("provider_id", sa.Text(), nullable=False),
    sa.Column("sender", sa.Text(), nullable=False),
    sa.Column("recipient", sa.Text(), nullable=False),
    sa.Column("body", sa.Text(), nullable=False),
    sa.Column("raw", sa.Text(), nullable=False),
    sa.Column("received_at_ms", _KEY, nullable=False),
)
_INBOUND_NEW = (
    sa.Column("heard", sa.Text(), nullable=False),
    sa.Column("reading", sa.Text(), nullable=False),
    sa.Column("exact", sa.Integer(), nullable=False),
    sa.Column("order_at_ms", _KEY, nullable=False),
    sa.Column("order_rank", sa.Integer(), nullable=False),
    sa.Column("sure", sa.Integer(), nullable=False),
    sa.Column("asks", sa.Integer(), nullable=False),
    sa.Column("decision", sa.Text(), nullable=False),
    sa.Column("decided_by_id", _KEY, nullable=True),
    sa.Column("decided_at_ms", _KEY, nullable=True),
)


def _widen_inbound() -> None:
    """What was heard before had its effect as it came."""
    _rebuild_inbound(
        (*_INBOUND, *_INBOUND_NEW),
        ", 'webhook', COALESCE((SELECT kind FROM consent_event WHERE message_sid = provider_id), 'unclear'),"
        " 1, received_at_ms, 0, 1, 0, '', NULL, NULL",
    )
    op.create_index("ix_inbound_message_open", "inbound_message", ["asks", "decision", "id"])
    op.create_index("ix_inbound_message_sure", "inbound_message", ["sure", "id"])


def _narrow_inbound() -> None:
    op.drop_index("ix_inbound_message_sure", "inbound_message")
    op.drop_index("ix_inbound_message_open", "inbound_message")
    _rebuild_inbound(_INBOUND, "")


def _rebuild_inbound(columns: tuple[sa.Column, ...], more: str) -> None:
    kept = ", ".join(column.name for column in _INBOUND)
    op.execute(f"CREATE TEMPORARY TABLE kept_inbound AS SELECT {kept} FROM inbound_message")
    op.drop_index("ix_inbound_message_sender", "inbound_message")
    op.drop_table("inbound_message")
    op.create_table(
        "inbound_message",
        *(column._copy() for column in columns),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_inbound_message")),
        sa.UniqueConstraint("provider_id", name=op.f("uq_inbound_message_provider_id")),
        sqlite_strict=True,
    )
    names = ", ".join(column.name for column in columns)
    op.execute(f"INSERT INTO inbound_message ({names}) SELECT {kept}{more} FROM kept_inbound")
    op.execute("DROP TABLE kept_inbound")
    op.create_index("ix_inbound_message_sender", "inbound_message", ["sender", "id"])
    _count_on("inbound_message")


def _count_on(table: str) -> None:
    """PostgreSQL counts ids beside the table, and rows that bring their own do not move the counter."""
    if op.get_bind().dialect.name == "postgresql":
        op.execute(
            f"SELECT setval(pg_get_serial_sequence('{table}', 'id'),"
            f" (SELECT COALESCE(MAX(id), 0) + 1 FROM {table}), false)"
        )


_SQLITE = (
    """CREATE TRIGGER consent_event_no_update BEFORE UPDATE ON consent_event
       BEGIN SELECT RAISE(ABORT, 'the consent ledger is append-only: nothing in it may be changed'); END""",
    """CREATE TRIGGER consent_event_no_delete BEFORE DELETE ON consent_event
       BEGIN SELECT RAISE(ABORT, 'the consent ledger is append-only: nothing in it may be removed'); END""",
    # INSERT OR REPLACE removes the old row without asking the trigger above
    """CREATE TRIGGER consent_event_no_replace BEFORE INSERT ON consent_event
       WHEN EXISTS (SELECT 1 FROM consent_event WHERE id = NEW.id)
         OR (NEW.message_sid <> '' AND EXISTS
             (SELECT 1 FROM consent_event WHERE message_sid = NEW.message_sid AND message_sid <> ''))
       BEGIN SELECT RAISE(ABORT, 'the consent ledger is append-only: this event is there already'); END""",
)
_POSTGRES = (
    """CREATE FUNCTION consent_event_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
       BEGIN RAISE EXCEPTION 'the consent ledger is append-only: nothing in it may be changed or removed'; END $$""",
    """CREATE TRIGGER consent_event_no_change BEFORE UPDATE OR DELETE ON consent_event
       FOR EACH ROW EXECUTE FUNCTION consent_event_refuse()""",
    """CREATE TRIGGER consent_event_no_truncate BEFORE TRUNCATE ON consent_event
       FOR EACH STATEMENT EXECUTE FUNCTION consent_event_refuse()""",
)


def _close_ledger() -> None:
    for statement in _SQLITE if op.get_bind().dialect.name == "sqlite" else _POSTGRES:
        op.execute(statement)


def _open_ledger() -> None:
    if op.get_bind().dialect.name == "sqlite":
        for name in ("no_update", "no_delete", "no_replace"):
            op.execute(f"DROP TRIGGER consent_event_{name}")
        return
    op.execute("DROP TRIGGER consent_event_no_truncate ON consent_event")
    op.execute("DROP TRIGGER consent_event_no_change ON consent_event")
    op.execute("DROP FUNCTION consent_event_refuse()")
