"""People choose a language."""

from alembic import op

revision = "release_8"
down_revision = "release_7"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _forget_languages()


def downgrade() -> None:
    _choose_english()


def _forget_languages() -> None:
    """English was the only language, so nobody has chosen it. Who has chosen none gets that of the portal."""
    op.execute("UPDATE account SET language = ''")


def _choose_english() -> None:
    op.execute("UPDATE account SET language = 'en'")
