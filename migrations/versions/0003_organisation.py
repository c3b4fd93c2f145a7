"""Name, accent color and logo of the organisation."""

import sqlalchemy as sa
from alembic import op

revision = "release_3"
down_revision = "release_2"
branch_labels = None
depends_on = None

_BIGINT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "organisation",
        sa.Column("id", _BIGINT, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("accent_color", sa.Text(), nullable=False),
        sa.Column("logo_digest", sa.Text(), nullable=True),
        sa.Column("changed_at_ms", _BIGINT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_organisation")),
        sqlite_strict=True,
    )
    op.create_table(
        "organisation_logo",
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("media_type", sa.Text(), nullable=False),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("height", sa.Integer(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("added_at_ms", _BIGINT, nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_organisation_logo")),
        sqlite_strict=True,
    )


def downgrade() -> None:
    op.drop_table("organisation_logo")
    op.drop_table("organisation")
