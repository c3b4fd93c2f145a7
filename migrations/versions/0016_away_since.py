"""Since when the provider does not answer, or cannot be reached, from one of our numbers: administrators must see it."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("sender", sa.Column("away_since_ms", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True))


def downgrade() -> None:
    op.drop_column("sender", "away_since_ms")
