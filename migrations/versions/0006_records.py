"""Totals of deliveries; search; exports; proof of notice; retention; alerts."""

import sqlalchemy as sa
from alembic import op

revision = "release_6"
down_revision = "release_5"
branch_labels = None
depends_on = None

_BIGINT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    _add_send_deadline()


def downgrade() -> None:
    op.drop_column("send", "start_deadline_ms")


def _add_send_deadline() -> None:
    op.add_column("send", sa.Column("start_deadline_ms", _BIGINT, nullable=True))
