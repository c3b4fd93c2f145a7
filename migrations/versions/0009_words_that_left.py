"""Which wording a text was made from, and what a text from a phone was answered."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("communication", sa.Column("wording", sa.Text(), nullable=True))
    op.add_column("communication", sa.Column("wording_version", sa.Integer(), nullable=True))
    op.add_column("inbound_message", sa.Column("answer", sa.Text(), nullable=True))
    op.add_column("inbound_message", sa.Column("answer_wording", sa.Text(), nullable=True))
    op.add_column("inbound_message", sa.Column("answer_version", sa.Integer(), nullable=True))


def downgrade() -> None:
    for column in ("answer_version", "answer_wording", "answer"):
        op.drop_column("inbound_message", column)
    for column in ("wording_version", "wording"):
        op.drop_column("communication", column)
