"""What an organization says in its own name and in the languages of its people."""

import sqlalchemy as sa
from alembic import op

revision = "release_8"
down_revision = "release_7"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _add_name_in_texts()
    _forget_languages()


def downgrade() -> None:
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
