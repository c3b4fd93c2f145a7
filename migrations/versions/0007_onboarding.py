"""What a board needs to put the portal into service by itself."""

import sqlalchemy as sa
from alembic import op

revision = "release_7"
down_revision = "release_6"
branch_labels = None
depends_on = None

_BIGINT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    _add_alert_passing()
    _add_account_states()
    _add_import_progress()
    _speed_up_audiences()
    _add_read_mark()
    _create_earlier_total()
    _create_setup()
    _create_check_verdicts()
    _create_frequency_index()
    _create_consent_reports()
    _create_deactivation_days()
    _create_topics()


def downgrade() -> None:
    _drop_topics()
    op.drop_table("deactivation_day")
    op.drop_table("consent_report")
    _drop_frequency_index()
    op.drop_table("check_verdict")
    op.drop_table("setup_state")
    _drop_import_progress()
    _drop_account_states()
    op.drop_column("alert", "passed_at_ms")
    op.drop_column("communication", "is_only_marked_read")
    op.drop_table("earlier_total")
    _slow_down_audiences()


def _add_alert_passing() -> None:
    op.add_column("alert", sa.Column("passed_at_ms", _BIGINT, nullable=True))


def _add_account_states() -> None:
    """Deactivation, merging and the language of an account."""
    for name in ("deactivated_at_ms", "merged_into_id"):
        op.add_column("account", sa.Column(name, _BIGINT, nullable=True))
    op.add_column("account", sa.Column("language", sa.Text(), nullable=False, server_default="en"))
    is_deactivated = sa.text("deactivated_at_ms IS NOT NULL")
    options = {"sqlite_where": is_deactivated, "postgresql_where": is_deactivated}
    op.create_index("ix_account_deactivated", "account", ["id"], **options)


def _drop_account_states() -> None:
    op.drop_index("ix_account_deactivated", "account")
    for name in ("language", "merged_into_id", "deactivated_at_ms"):
        op.drop_column("account", name)


def _add_import_progress() -> None:
    """Imports that go on where they were interrupted, and do what their preview has said."""
    op.add_column("import_task", sa.Column("previewed_rows", sa.LargeBinary(), nullable=True))
    for name in ("options", "progress"):
        op.add_column("import_task", sa.Column(name, sa.Text(), nullable=False, server_default="{}"))


def _drop_import_progress() -> None:
    """Previous releases do not know imports of accounts."""
    op.execute("DELETE FROM import_task WHERE kind = 'import_accounts'")
    for name in ("progress", "options", "previewed_rows"):
        op.drop_column("import_task", name)


def _speed_up_audiences() -> None:
    """Phones without texts in order of their accounts. PostgreSQL counts the values of each attribute apart."""
    without_texts = dict.fromkeys(("sqlite_where", "postgresql_where"), sa.text("receives_sms = 0"))
    op.create_index("ix_phone_number_disabled", "phone_number", ["account_id", "number"], **without_texts)
    if op.get_bind().dialect.name == "postgresql":
        op.execute("CREATE STATISTICS st_attribute_value (mcv) ON attribute_id, comparable FROM attribute_value")
        op.execute("ANALYZE attribute_value")


def _slow_down_audiences() -> None:
    op.drop_index("ix_phone_number_disabled", "phone_number")
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP STATISTICS st_attribute_value")


def _add_read_mark() -> None:
    op.add_column("communication", sa.Column("is_only_marked_read", sa.Integer(), nullable=False, server_default="0"))


def _create_earlier_total() -> None:
    op.create_table(
        "earlier_total",
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("count", _BIGINT, nullable=False),
        sa.Column("until_hour", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("channel", "state", name=op.f("pk_earlier_total")),
        sqlite_strict=True,
    )


def _create_setup() -> None:
    """A portal that somebody administers already is set up."""
    op.create_table(
        "setup_state",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("at_ms", _BIGINT, nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_setup_state")),
        sqlite_strict=True,
    )
    op.execute(
        "INSERT INTO setup_state (name, value, at_ms)"
        " SELECT 'closed', '', min(created_at_ms) FROM account WHERE role = 'sysadmin' HAVING count(*) > 0"
    )


def _create_check_verdicts() -> None:
    op.create_table(
        "check_verdict",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("verdict", sa.Text(), nullable=False),
        sa.Column("checked_at_ms", _BIGINT, nullable=False),
        sa.Column("worse_since_ms", _BIGINT, nullable=True),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_check_verdict")),
        sqlite_strict=True,
    )


def _create_frequency_index() -> None:
    op.create_index("ix_attempt_destination", "attempt", ["destination", "slot_at_ms"])


def _drop_frequency_index() -> None:
    op.drop_index("ix_attempt_destination", "attempt")


def _create_consent_reports() -> None:
    """Earlier events are not reported: whether Twilio knows of them is not known."""
    op.create_table(
        "consent_report",
        sa.Column("event_id", _BIGINT, nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("next_try_at_ms", _BIGINT, nullable=False),
        sa.Column("created_at_ms", _BIGINT, nullable=False),
        sa.Column("ended_at_ms", _BIGINT, nullable=True),
        sa.Column("error", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["event_id"], ["consent_event.id"], name=op.f("fk_consent_report_event_id")),
        sa.PrimaryKeyConstraint("event_id", name=op.f("pk_consent_report")),
        sqlite_strict=True,
    )
    is_waiting = dict.fromkeys(("sqlite_where", "postgresql_where"), sa.text("state = 'waiting'"))
    op.create_index("ix_consent_report_waiting", "consent_report", ["next_try_at_ms", "event_id"], **is_waiting)
    op.create_index("ix_consent_report_state", "consent_report", ["state", "event_id"])


def _create_deactivation_days() -> None:
    op.create_table(
        "deactivation_day",
        sa.Column("day", sa.Text(), nullable=False),
        sa.Column("read_at_ms", _BIGINT, nullable=True),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("next_try_at_ms", _BIGINT, nullable=False),
        sa.Column("listed", sa.Integer(), nullable=False),
        sa.Column("found", sa.Integer(), nullable=False),
        sa.Column("error", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("day", name=op.f("pk_deactivation_day")),
        sqlite_strict=True,
    )


def _create_topics() -> None:
    op.create_table(
        "topic",
        sa.Column("id", _BIGINT, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("created_at_ms", _BIGINT, nullable=False),
        sa.Column("created_by_id", _BIGINT, nullable=True),
        sa.ForeignKeyConstraint(["created_by_id"], ["account.id"], name=op.f("fk_topic_created_by_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_topic")),
        sa.UniqueConstraint("name", name=op.f("uq_topic_name")),
        sqlite_strict=True,
    )
    op.create_table(
        "topic_opt_out",
        sa.Column("account_id", _BIGINT, nullable=False),
        sa.Column("topic_id", _BIGINT, nullable=False),
        sa.Column("switched_off_at_ms", _BIGINT, nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_topic_opt_out_account_id")),
        sa.ForeignKeyConstraint(["topic_id"], ["topic.id"], name=op.f("fk_topic_opt_out_topic_id")),
        sa.PrimaryKeyConstraint("account_id", "topic_id", name=op.f("pk_topic_opt_out")),
        sqlite_strict=True,
    )
    op.create_index("ix_topic_opt_out_topic", "topic_opt_out", ["topic_id", "account_id"])
    op.add_column("template", sa.Column("topic_id", _BIGINT, nullable=True))


def _drop_topics() -> None:
    op.drop_column("template", "topic_id")
    op.drop_table("topic_opt_out")
    op.drop_table("topic")
