"""What a board needs to put the portal into service by itself."""

revision = "release_7"
down_revision = "release_6"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
