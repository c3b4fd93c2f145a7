"""What an organization says in its own name and in the languages of its people."""

import sqlalchemy as sa
from alembic import op

revision = "release_8"
down_revision = "release_7"
branch_labels = None
depends_on = None

_BIGINT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_AUDIENCE_COLUMNS = ["id", "active", "role", "account_type", "timezone"]


def upgrade() -> None:
    _add_name_in_texts()
    _forget_languages()
    _add_template_variants()


def downgrade() -> None:
    _drop_template_variants()
    _choose_english()
    _drop_name_in_texts()


def _add_name_in_texts() -> None:
    op.add_column("organisation", sa.Column("text_name", sa.Text(), nullable=False, server_default=""))


def _drop_name_in_texts() -> None:
    op.drop_column("organisation", "text_name")


def _forget_languages() -> None:
    """English was the only language, so nobody has chosen it. Who has chosen none gets that of the portal."""
    op.execute("UPDATE account SET language = ''")


def _choose_english() -> None:
    op.execute("UPDATE account SET language = 'en'")


def _add_template_variants() -> None:
    """Audiences are counted by language, too."""
    op.create_table(
        "template_variant",
        sa.Column("template_version_id", _BIGINT, nullable=False),
        sa.Column("language", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["template_version_id"], ["template_version.id"], name=op.f("fk_template_variant_template_version_id")
        ),
        sa.PrimaryKeyConstraint("template_version_id", "language", name=op.f("pk_template_variant")),
        sqlite_strict=True,
    )
    op.add_column("template_draft", sa.Column("variants", sa.Text(), nullable=False, server_default="{}"))
    op.add_column("communication", sa.Column("language", sa.Text(), nullable=True))
    op.drop_index("ix_account_audience", "account")
    op.create_index("ix_account_audience", "account", [*_AUDIENCE_COLUMNS, "language"])


def _drop_template_variants() -> None:
    op.drop_index("ix_account_audience", "account")
    op.create_index("ix_account_audience", "account", _AUDIENCE_COLUMNS)
    op.drop_column("communication", "language")
    op.drop_column("template_draft", "variants")
    op.drop_table("template_variant")
