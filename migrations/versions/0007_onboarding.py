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


def downgrade() -> None:
    op.drop_column("alert", "passed_at_ms")


def _add_alert_passing() -> None:
    op.add_column("alert", sa.Column("passed_at_ms", _BIGINT, nullable=True))
