"""Whom the handsets of before know: apart from the new column, whose lock texts wait for on PostgreSQL."""

from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        "UPDATE handset SET knows = (SELECT recipient FROM inbound_message"
        " WHERE sender = handset.number AND reading = 'start' ORDER BY order_at_ms DESC, order_rank DESC, id DESC"
        " LIMIT 1) WHERE number IN (SELECT sender FROM inbound_message WHERE reading = 'start')"
    )


def downgrade() -> None:
    """The column goes with the migration before."""
