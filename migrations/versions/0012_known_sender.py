"""The number of ours that a handset texted START to: where several numbers send, its texts come from that one."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("handset", sa.Column("knows", sa.Text(), nullable=True))


def downgrade() -> None:
    op.drop_column("handset", "knows")
