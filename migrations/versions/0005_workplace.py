"""Attributes of accounts; saved audiences; drafts, tags and the archive of templates; recipient files."""

import sqlalchemy as sa
from alembic import op

revision = "release_5"
down_revision = "release_4"
branch_labels = None
depends_on = None

_BIGINT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_NUMBER = sa.Double().with_variant(sa.REAL(), "sqlite")


def upgrade() -> None:
    _create_attributes()
    _create_saved_audience()
    _create_template_drafts()
    _create_recipient_files()
    _create_schedules()
    _add_send_columns()


def downgrade() -> None:
    for name in ("archived_at_ms", "approved_at_ms", "approved_by_id", "starts_at_ms"):
        op.drop_column("send", name)
    op.drop_table("schedule_recipient")
    op.drop_table("schedule_run")
    op.drop_table("schedule")
    op.drop_table("recipient_row_error")
    op.drop_table("recipient_row")
    op.drop_table("recipient_file")
    _drop_template_drafts()
    op.drop_table("saved_audience")
    op.drop_table("attribute_value")
    op.drop_table("attribute")


def _create_attributes() -> None:
    op.create_table(
        "attribute",
        sa.Column("id", _BIGINT, nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("choices", sa.Text(), nullable=False),
        sa.Column("created_at_ms", _BIGINT, nullable=False),
        sa.Column("created_by_id", _BIGINT, nullable=True),
        sa.ForeignKeyConstraint(["created_by_id"], ["account.id"], name=op.f("fk_attribute_created_by_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_attribute")),
        sa.UniqueConstraint("key", name=op.f("uq_attribute_key")),
        sqlite_strict=True,
    )
    op.create_table(
        "attribute_value",
        sa.Column("account_id", _BIGINT, nullable=False),
        sa.Column("attribute_id", _BIGINT, nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("comparable", sa.Text(), nullable=False),
        sa.Column("number", _NUMBER, nullable=True),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_attribute_value_account_id")),
        sa.ForeignKeyConstraint(["attribute_id"], ["attribute.id"], name=op.f("fk_attribute_value_attribute_id")),
        sa.PrimaryKeyConstraint("account_id", "attribute_id", name=op.f("pk_attribute_value")),
        sqlite_strict=True,
    )
    columns = ["attribute_id", "comparable", "account_id"]
    op.create_index("ix_attribute_value_comparable", "attribute_value", columns)
    op.create_index("ix_attribute_value_number", "attribute_value", ["attribute_id", "number", "account_id"])


def _create_saved_audience() -> None:
    op.create_table(
        "saved_audience",
        sa.Column("id", _BIGINT, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("name_folded", sa.Text(), nullable=False),
        sa.Column("definition", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_at_ms", _BIGINT, nullable=False),
        sa.Column("changed_at_ms", _BIGINT, nullable=False),
        sa.Column("changed_by_id", _BIGINT, nullable=True),
        sa.Column("archived_at_ms", _BIGINT, nullable=True),
        sa.ForeignKeyConstraint(["changed_by_id"], ["account.id"], name=op.f("fk_saved_audience_changed_by_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_saved_audience")),
        sqlite_strict=True,
    )
    in_use = dict.fromkeys(("sqlite_where", "postgresql_where"), sa.text("archived_at_ms IS NULL"))
    op.create_index("uq_saved_audience_name", "saved_audience", ["name_folded"], unique=True, **in_use)


def _create_template_drafts() -> None:
    op.add_column("template", sa.Column("tags", sa.Text(), nullable=False, server_default="[]"))
    op.add_column("template", sa.Column("archived_at_ms", _BIGINT, nullable=True))
    op.create_table(
        "template_draft",
        sa.Column("template_id", _BIGINT, nullable=False, autoincrement=False),
        sa.Column("base_version", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("urgent", sa.Integer(), nullable=False),
        sa.Column("sms_enabled", sa.Integer(), nullable=False),
        sa.Column("sms_expiry_hours", sa.Text(), nullable=False),
        sa.Column("tags", sa.Text(), nullable=False),
        sa.Column("saved_at_ms", _BIGINT, nullable=False),
        sa.Column("saved_by_id", _BIGINT, nullable=True),
        sa.ForeignKeyConstraint(["template_id"], ["template.id"], name=op.f("fk_template_draft_template_id")),
        sa.ForeignKeyConstraint(["saved_by_id"], ["account.id"], name=op.f("fk_template_draft_saved_by_id")),
        sa.PrimaryKeyConstraint("template_id", name=op.f("pk_template_draft")),
        sqlite_strict=True,
    )


def _drop_template_drafts() -> None:
    op.drop_table("template_draft")
    op.drop_column("template", "archived_at_ms")
    op.drop_column("template", "tags")


def _create_recipient_files() -> None:
    version, send, author = "template_version_id", "send_id", "created_by_id"
    op.create_table(
        "recipient_file",
        sa.Column("id", _BIGINT, nullable=False),
        sa.Column(version, _BIGINT, nullable=False),
        sa.Column("file_name", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=True),
        sa.Column("data", sa.Text(), nullable=False),
        sa.Column("fields", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("problem", sa.Text(), nullable=False),
        sa.Column("warnings", sa.Text(), nullable=False),
        sa.Column("good_rows", sa.Integer(), nullable=False),
        sa.Column("bad_rows", sa.Integer(), nullable=False),
        sa.Column("checked_through", sa.Integer(), nullable=False),
        sa.Column("run_number", sa.Integer(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("created_at_ms", _BIGINT, nullable=False),
        sa.Column(author, _BIGINT, nullable=True),
        sa.Column("started_at_ms", _BIGINT, nullable=True),
        sa.Column("finished_at_ms", _BIGINT, nullable=True),
        sa.Column("values_deleted_at_ms", _BIGINT, nullable=True),
        sa.Column(send, _BIGINT, nullable=True),
        sa.ForeignKeyConstraint([version], ["template_version.id"], name=op.f(f"fk_recipient_file_{version}")),
        sa.ForeignKeyConstraint([send], ["send.id"], name=op.f(f"fk_recipient_file_{send}")),
        sa.ForeignKeyConstraint([author], ["account.id"], name=op.f(f"fk_recipient_file_{author}")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_recipient_file")),
        sqlite_strict=True,
    )
    op.create_index("ix_recipient_file_state", "recipient_file", ["state", "id"])
    op.create_index("ix_recipient_file_digest", "recipient_file", ["digest", "id"])
    op.create_table(
        "recipient_row",
        sa.Column("file_id", _BIGINT, nullable=False),
        sa.Column("row_number", sa.Integer(), nullable=False),
        sa.Column("account_id", _BIGINT, nullable=True),
        sa.Column("is_good", sa.Integer(), nullable=False),
        sa.Column("external_id", sa.Text(), nullable=False),
        sa.Column("data", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["file_id"], ["recipient_file.id"], name=op.f("fk_recipient_row_file_id")),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_recipient_row_account_id")),
        sa.PrimaryKeyConstraint("file_id", "row_number", name=op.f("pk_recipient_row")),
        sqlite_strict=True,
    )
    op.create_index("uq_recipient_row_account", "recipient_row", ["file_id", "account_id"], unique=True)
    op.create_table(
        "recipient_row_error",
        sa.Column("file_id", _BIGINT, nullable=False),
        sa.Column("row_number", sa.Integer(), nullable=False),
        sa.Column("column_label", sa.Text(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["file_id"], ["recipient_file.id"], name=op.f("fk_recipient_row_error_file_id")),
        sa.PrimaryKeyConstraint("file_id", "row_number", "column_label", name=op.f("pk_recipient_row_error")),
        sqlite_strict=True,
    )


def _create_schedules() -> None:
    op.create_table(
        "schedule",
        sa.Column("id", _BIGINT, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("template_id", _BIGINT, nullable=False),
        sa.Column("audience", sa.Text(), nullable=False),
        sa.Column("data", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("timing", sa.Text(), nullable=False),
        sa.Column("late_hours", sa.Integer(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("request_key", sa.Text(), nullable=True),
        sa.Column("active_from_ms", _BIGINT, nullable=False),
        sa.Column("checked_through_ms", _BIGINT, nullable=False),
        sa.Column("next_check_at_ms", _BIGINT, nullable=True),
        sa.Column("created_at_ms", _BIGINT, nullable=False),
        sa.Column("created_by_id", _BIGINT, nullable=True),
        sa.Column("changed_by_id", _BIGINT, nullable=True),
        sa.ForeignKeyConstraint(["template_id"], ["template.id"], name=op.f("fk_schedule_template_id")),
        sa.ForeignKeyConstraint(["created_by_id"], ["account.id"], name=op.f("fk_schedule_created_by_id")),
        sa.ForeignKeyConstraint(["changed_by_id"], ["account.id"], name=op.f("fk_schedule_changed_by_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_schedule")),
        sa.UniqueConstraint("request_key", name=op.f("uq_schedule_request_key")),
        sqlite_strict=True,
    )
    op.create_index("ix_schedule_next_check", "schedule", ["state", "next_check_at_ms"])
    op.create_table(
        "schedule_run",
        sa.Column("id", _BIGINT, nullable=False),
        sa.Column("schedule_id", _BIGINT, nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("due_at_ms", _BIGINT, nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("recipients", sa.Integer(), nullable=True),
        sa.Column("send_id", _BIGINT, nullable=True),
        sa.Column("created_at_ms", _BIGINT, nullable=False),
        sa.Column("requested_by_id", _BIGINT, nullable=True),
        sa.ForeignKeyConstraint(["requested_by_id"], ["account.id"], name=op.f("fk_schedule_run_requested_by_id")),
        sa.ForeignKeyConstraint(["schedule_id"], ["schedule.id"], name=op.f("fk_schedule_run_schedule_id")),
        sa.ForeignKeyConstraint(["send_id"], ["send.id"], name=op.f("fk_schedule_run_send_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_schedule_run")),
        sa.UniqueConstraint("schedule_id", "key", name=op.f("uq_schedule_run_schedule_id_key")),
        sqlite_strict=True,
    )
    op.create_index("ix_schedule_run_due", "schedule_run", ["schedule_id", "due_at_ms"])
    op.create_index("ix_schedule_run_state", "schedule_run", ["state", "id"])
    op.create_index("ix_schedule_run_send", "schedule_run", ["send_id"])
    op.create_table(
        "schedule_recipient",
        sa.Column("schedule_id", _BIGINT, nullable=False),
        sa.Column("account_id", _BIGINT, nullable=False),
        sa.Column("offset_days", _BIGINT, nullable=False),
        sa.Column("date", sa.Text(), nullable=False),
        sa.Column("run_id", _BIGINT, nullable=False),
        sa.ForeignKeyConstraint(["schedule_id"], ["schedule.id"], name=op.f("fk_schedule_recipient_schedule_id")),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_schedule_recipient_account_id")),
        sa.ForeignKeyConstraint(["run_id"], ["schedule_run.id"], name=op.f("fk_schedule_recipient_run_id")),
        sa.PrimaryKeyConstraint("schedule_id", "account_id", "offset_days", "date", name=op.f("pk_schedule_recipient")),
        sqlite_strict=True,
    )
    op.create_index("ix_schedule_recipient_run", "schedule_recipient", ["run_id", "account_id"])


def _add_send_columns() -> None:
    """A send of the previous release starts at once."""
    op.add_column("send", sa.Column("starts_at_ms", _BIGINT, nullable=False, server_default="0"))
    for name in ("approved_by_id", "approved_at_ms", "archived_at_ms"):
        op.add_column("send", sa.Column(name, _BIGINT, nullable=True))
