"""Refused webhooks as counters; of a sending number what nobody can explain, and until when a quota keeps it."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

_TEXTS = ("limit_code", "refused_in_a_row", "failed_in_a_row")
_MILLIS = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "webhook_refusal",
        sa.Column("door", sa.Text(), nullable=False),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.Column("ours", sa.Integer(), nullable=False),
        sa.Column("calls", _MILLIS, nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("last_at_ms", _MILLIS, nullable=False),
        sa.PrimaryKeyConstraint("door", "cause", "ours", name=op.f("pk_webhook_refusal")),
        sqlite_strict=True,
    )
    op.add_column("sender", sa.Column("limit_until_ms", _MILLIS, server_default="0", nullable=False))
    for name in _TEXTS:
        op.add_column("sender", sa.Column(name, sa.Text(), server_default=sa.text("''"), nullable=False))


def downgrade() -> None:
    for name in ("limit_until_ms", *_TEXTS):
        op.drop_column("sender", name)
    op.drop_table("webhook_refusal")
