"""Totals of deliveries; search; exports; proof of notice; retention; alerts."""

revision = "release_6"
down_revision = "release_5"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Filled by the parts below."""


def downgrade() -> None:
    """Undoes `upgrade`."""
