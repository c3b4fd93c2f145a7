"""From where people sign in, so that wrong tries from elsewhere do not lock them out; counters by age."""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

_INTEGER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "known_address",
        sa.Column("account_id", _INTEGER, nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("last_at_ms", _INTEGER, nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name=op.f("fk_known_address_account_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("account_id", "address", name=op.f("pk_known_address")),
        sqlite_strict=True,
    )
    op.create_index("ix_throttle_last_at_ms", "throttle", ["last_at_ms"])


def downgrade() -> None:
    op.drop_index("ix_throttle_last_at_ms", table_name="throttle")
    op.drop_table("known_address")
