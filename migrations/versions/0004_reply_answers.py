"""Replies to review: who answers them, the answer, and notes."""

import sqlalchemy as sa
from alembic import op

revision = "release_4"
down_revision = "release_3"
branch_labels = None
depends_on = None

_BIGINT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column("inbound_message", sa.Column("assigned_to_id", _BIGINT, nullable=True))
    op.add_column("inbound_message", sa.Column("answer_id", _BIGINT, nullable=True))
    op.create_table(
        "reply_note",
        sa.Column("id", _BIGINT, nullable=False),
        sa.Column("message_id", _BIGINT, nullable=False),
        sa.Column("author_id", _BIGINT, nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("created_at_ms", _BIGINT, nullable=False),
        sa.ForeignKeyConstraint(["message_id"], ["inbound_message.id"], name=op.f("fk_reply_note_message_id")),
        sa.ForeignKeyConstraint(["author_id"], ["account.id"], name=op.f("fk_reply_note_author_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reply_note")),
        sqlite_strict=True,
    )
    op.create_index("ix_reply_note_message", "reply_note", ["message_id", "id"])


def downgrade() -> None:
    op.drop_table("reply_note")
    op.drop_column("inbound_message", "answer_id")
    op.drop_column("inbound_message", "assigned_to_id")
