"""The number of ours that a test text was asked for from: where several numbers send, each can be tried."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("communication", sa.Column("asked_sender", sa.Text(), nullable=True))


def downgrade() -> None:
    op.drop_column("communication", "asked_sender")
