"""How long a text is of use: of a template, and of each text that waits."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_MILLIS = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column("template_version", sa.Column("useful_hours", sa.Integer(), nullable=True))
    op.add_column("delivery", sa.Column("useful_until_ms", _MILLIS, nullable=True))


def downgrade() -> None:
    op.execute("UPDATE delivery SET state = 'ready' WHERE state = 'quiet'")
    op.drop_column("delivery", "useful_until_ms")
    op.drop_column("template_version", "useful_hours")
