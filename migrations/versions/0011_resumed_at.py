"""When a sending number was resumed: news of texts that had left before does not pause it again."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_MILLIS = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column("sender", sa.Column("resumed_at_ms", _MILLIS, nullable=True))


def downgrade() -> None:
    op.drop_column("sender", "resumed_at_ms")
