"""What a forecast needs: how many texts a send is to make, and attempts by the time of their slot."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("send", sa.Column("planned_texts", sa.Integer(), nullable=True))
    op.create_index("ix_attempt_slot", "attempt", ["slot_at_ms"])


def downgrade() -> None:
    op.drop_index("ix_attempt_slot", "attempt")
    op.drop_column("send", "planned_texts")
