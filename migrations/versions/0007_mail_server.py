"""The mail server as it was last met."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_MILLIS = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "mail_server",
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("failures", sa.Integer(), server_default="0", nullable=False),
        sa.Column("rests_until_ms", _MILLIS, server_default="0", nullable=False),
        sa.Column("away_since_ms", _MILLIS, nullable=True),
        sa.Column("words", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("address", name=op.f("pk_mail_server")),
        sqlite_strict=True,
    )


def downgrade() -> None:
    op.drop_table("mail_server")
