"""Lanes that can stand still, sends that take turns in them and can be paused or cancelled, and who did it."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_SEND_COLUMNS = ("email_turn", "sms_turn", "paused_at_ms", "steered_at_ms")


def upgrade() -> None:
    _make_tables()
    for name in _SEND_COLUMNS:
        op.add_column("send", sa.Column(name, _KEY, nullable=True))
    with op.batch_alter_table("delivery") as delivery:
        delivery.add_column(sa.Column("turn", _KEY, nullable=False, server_default="0"))
    op.execute("UPDATE delivery SET turn = id WHERE state = 'ready'")
    op.execute("UPDATE lane SET turn = (SELECT COALESCE(MIN(id), 1) - 1 FROM delivery WHERE state = 'ready')")
    for column in (
        sa.Column("failures", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("rests_until_us", _KEY, nullable=False, server_default="0"),
    ):
        op.add_column("sender", column)
    op.create_index(
        "ix_delivery_turn",
        "delivery",
        ["channel", "lane", "turn", "id"],
        sqlite_where=sa.text("state = 'ready'"),
        postgresql_where=sa.text("state = 'ready'"),
    )


def downgrade() -> None:
    op.drop_index("ix_delivery_turn", "delivery")
    op.drop_column("sender", "rests_until_us")
    op.drop_column("sender", "failures")
    op.drop_column("delivery", "turn")
    for name in reversed(_SEND_COLUMNS):
        op.drop_column("send", name)
    op.drop_table("audit_entry")
    op.drop_table("lane")


def _make_tables() -> None:
    op.create_table(
        "lane",
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("lane", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("turn", _KEY, nullable=False),
        sa.Column("paused_at_ms", _KEY, nullable=True),
        sa.Column("paused_by_id", _KEY, nullable=True),
        sa.PrimaryKeyConstraint("channel", "lane", name=op.f("pk_lane")),
        sqlite_strict=True,
    )
    for channel in ("sms", "email"):
        for lane in (0, 1):
            op.execute(f"INSERT INTO lane (channel, lane, turn) VALUES ('{channel}', {lane}, 0)")  # noqa: S608
    op.create_table(
        "audit_entry",
        sa.Column("id", _KEY, nullable=False),
        sa.Column("at_ms", _KEY, nullable=False),
        sa.Column("actor_id", _KEY, nullable=True),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_entry")),
        sqlite_strict=True,
    )
