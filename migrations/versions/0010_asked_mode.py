"""The mode that a test text was asked for in: a rehearsal that has not left when the mode changes must not be real."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_REHEARSED_BEFORE = """
    UPDATE communication SET asked_mode = 'test' WHERE kind = 'test' AND EXISTS (
        SELECT 1 FROM delivery JOIN attempt ON attempt.delivery_id = delivery.id
        WHERE delivery.communication_id = communication.id AND attempt.mode IN ('test', 'test_override'))
"""


def upgrade() -> None:
    op.add_column("communication", sa.Column("asked_mode", sa.Text(), nullable=True))
    op.execute(_REHEARSED_BEFORE)


def downgrade() -> None:
    op.drop_column("communication", "asked_mode")
