"""What a board needs to put the portal into service by itself."""

import sqlalchemy as sa
from alembic import op

revision = "release_7"
down_revision = "release_6"
branch_labels = None
depends_on = None

_BIGINT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    _add_alert_passing()
    _add_account_states()


def downgrade() -> None:
    _drop_account_states()
    op.drop_column("alert", "passed_at_ms")


def _add_alert_passing() -> None:
    op.add_column("alert", sa.Column("passed_at_ms", _BIGINT, nullable=True))


def _add_account_states() -> None:
    """Deactivation, merging and the language of an account."""
    for name in ("deactivated_at_ms", "merged_into_id"):
        op.add_column("account", sa.Column(name, _BIGINT, nullable=True))
    op.add_column("account", sa.Column("language", sa.Text(), nullable=False, server_default="en"))
    is_deactivated = sa.text("deactivated_at_ms IS NOT NULL")
    options = {"sqlite_where": is_deactivated, "postgresql_where": is_deactivated}
    op.create_index("ix_account_deactivated", "account", ["id"], **options)


def _drop_account_states() -> None:
    op.drop_index("ix_account_deactivated", "account")
    for name in ("language", "merged_into_id", "deactivated_at_ms"):
        op.drop_column("account", name)
