"""What was noted about a text is looked up with its story, and counted for the metrics: not by reading the whole log."""

from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_audit_entry_subject", "audit_entry", ["subject", "id"])
    op.create_index("ix_audit_entry_action", "audit_entry", ["action", "id"])


def downgrade() -> None:
    op.drop_index("ix_audit_entry_action", "audit_entry")
    op.drop_index("ix_audit_entry_subject", "audit_entry")
