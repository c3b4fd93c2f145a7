"""Import tasks: imports that a worker does for an administrator."""

import sqlalchemy as sa
from alembic import op

revision = "release_2"
down_revision = "release_1"
branch_labels = None
depends_on = None

_BIGINT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "import_task",
        sa.Column("id", _BIGINT, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("content", sa.Text(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("result", sa.Text(), nullable=False),
        sa.Column("ip", sa.Text(), nullable=False),
        sa.Column("user_agent", sa.Text(), nullable=False),
        sa.Column("created_at_ms", _BIGINT, nullable=False),
        sa.Column("created_by_id", _BIGINT, nullable=True),
        sa.Column("started_at_ms", _BIGINT, nullable=True),
        sa.Column("finished_at_ms", _BIGINT, nullable=True),
        sa.ForeignKeyConstraint(["created_by_id"], ["account.id"], name=op.f("fk_import_task_created_by_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_import_task")),
        sqlite_strict=True,
    )
    op.create_index("ix_import_task_state", "import_task", ["state", "id"])


def downgrade() -> None:
    op.drop_table("import_task")
