"""The first schema: every table, in the order of the packages."""

import sqlalchemy as sa
from alembic import op

revision = "release_1"
down_revision = None
branch_labels = None
depends_on = None

_BIGINT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_APPEND_ONLY = (
    ("consent_event", "the consent ledger is append-only"),
    ("setting_change", "the history of settings is append-only"),
)
"""Append-only tables, and the error that their triggers raise."""


def upgrade() -> None:
    _create_core()
    _create_accounts()
    _create_settings()
    _create_content()
    _create_sends()
    _create_messages()
    _create_consent()
    _create_delivery()
    _create_operations()
    for table, rule in _APPEND_ONLY:
        _forbid_changes(table, rule)


def downgrade() -> None:
    for table in reversed(_TABLES):
        op.drop_table(table)
    if op.get_bind().dialect.name == "postgresql":
        for table, _rule in _APPEND_ONLY:
            op.execute(f"DROP FUNCTION {table}_refuse()")


_TABLES = (
    "heartbeat",
    "lease",
    "sync_cursor",
    "audit_entry",
    "account",
    "known_address",
    "throttle_counter",
    "phone_number",
    "phone_state",
    "app_setting",
    "setting_change",
    "sending_number",
    "template",
    "template_version",
    "content_version",
    "send",
    "communication",
    "delivery",
    "attempt",
    "receipt",
    "lane",
    "inbound_message",
    "consent_event",
    "consent_head",
    "mail_server",
    "rejected_webhook",
)


def _create_core() -> None:
    """Processes and the audit log."""
    op.create_table(
        "heartbeat",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("at_ms", _BIGINT, nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_heartbeat")),
        sqlite_strict=True,
    )
    op.create_table(
        "lease",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("holder", sa.Text(), nullable=False),
        sa.Column("expires_at_ms", _BIGINT, nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_lease")),
        sqlite_strict=True,
    )
    op.create_table(
        "sync_cursor",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("at_ms", _BIGINT, nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_sync_cursor")),
        sqlite_strict=True,
    )
    op.create_table(
        "audit_entry",
        sa.Column("id", _BIGINT, nullable=False),
        sa.Column("at_ms", _BIGINT, nullable=False),
        sa.Column("actor_id", _BIGINT, nullable=True),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_entry")),
        sqlite_strict=True,
    )
    op.create_index("ix_audit_entry_action", "audit_entry", ["action", "id"])
    op.create_index("ix_audit_entry_subject", "audit_entry", ["subject", "id"])


def _create_accounts() -> None:
    """Accounts, sign-in and phone numbers."""
    op.create_table(
        "account",
        sa.Column("id", _BIGINT, nullable=False),
        sa.Column("external_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column("account_type", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("timezone", sa.Text(), nullable=False),
        sa.Column("active", sa.Integer(), nullable=False),
        sa.Column("password", sa.Text(), nullable=True),
        sa.Column("fs_uniquifier", sa.Text(), nullable=False),
        sa.Column("created_at_ms", _BIGINT, nullable=False),
        sa.Column("external_id_folded", sa.Text(), nullable=False),
        sa.Column("email_folded", sa.Text(), nullable=False),
        sa.Column("search_folded", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_account")),
        sa.UniqueConstraint("external_id", name=op.f("uq_account_external_id")),
        sa.UniqueConstraint("fs_uniquifier", name=op.f("uq_account_fs_uniquifier")),
        sqlite_strict=True,
    )
    op.create_index("ix_account_email_folded", "account", ["email_folded"])
    op.create_index("ix_account_type", "account", ["account_type", "id"])
    op.create_index("uq_account_external_id_folded", "account", ["external_id_folded"], unique=True)
    op.create_table(
        "known_address",
        sa.Column("account_id", _BIGINT, nullable=False),
        sa.Column("address_hash", sa.Text(), nullable=False),
        sa.Column("last_sign_in_at_ms", _BIGINT, nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name=op.f("fk_known_address_account_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("account_id", "address_hash", name=op.f("pk_known_address")),
        sqlite_strict=True,
    )
    op.create_table(
        "throttle_counter",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("last_attempt_at_ms", _BIGINT, nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_throttle_counter")),
        sqlite_strict=True,
    )
    op.create_index("ix_throttle_counter_last_attempt", "throttle_counter", ["last_attempt_at_ms"])
    op.create_table(
        "phone_number",
        sa.Column("id", _BIGINT, nullable=False),
        sa.Column("account_id", _BIGINT, nullable=False),
        sa.Column("number", sa.Text(), nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("receives_sms", sa.Integer(), nullable=False),
        sa.Column("receives_sms_since_ms", _BIGINT, nullable=True),
        sa.Column("created_at_ms", _BIGINT, nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name=op.f("fk_phone_number_account_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_phone_number")),
        sa.UniqueConstraint("account_id", "number", name=op.f("uq_phone_number_account_id_number")),
        sqlite_strict=True,
    )
    op.create_index("ix_phone_number_number", "phone_number", ["number"])
    op.create_index(
        "uq_phone_number_receives_sms",
        "phone_number",
        ["number"],
        unique=True,
        sqlite_where=sa.text("receives_sms = 1"),
        postgresql_where=sa.text("receives_sms = 1"),
    )
    op.create_table(
        "phone_state",
        sa.Column("number", sa.Text(), nullable=False),
        sa.Column("stopped_at_ms", _BIGINT, nullable=True),
        sa.Column("unreachable_at_ms", _BIGINT, nullable=True),
        sa.Column("unreachable_code", sa.Text(), nullable=True),
        sa.Column("preferred_sender", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_phone_state")),
        sqlite_strict=True,
    )


def _create_settings() -> None:
    """AppConfig settings and sending numbers."""
    op.create_table(
        "app_setting",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("changed_at_ms", _BIGINT, nullable=False),
        sa.Column("changed_by_id", _BIGINT, nullable=True),
        sa.Column("expires_at_ms", _BIGINT, nullable=True),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_app_setting")),
        sqlite_strict=True,
    )
    op.create_table(
        "setting_change",
        sa.Column("id", _BIGINT, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("old_value", sa.Text(), nullable=False),
        sa.Column("new_value", sa.Text(), nullable=False),
        sa.Column("expires_at_ms", _BIGINT, nullable=True),
        sa.Column("at_ms", _BIGINT, nullable=False),
        sa.Column("changed_by_id", _BIGINT, nullable=True),
        sa.ForeignKeyConstraint(["changed_by_id"], ["account.id"], name=op.f("fk_setting_change_changed_by_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_setting_change")),
        sqlite_strict=True,
    )
    op.create_index("ix_setting_change_name", "setting_change", ["name", "id"])
    op.create_table(
        "sending_number",
        sa.Column("number", sa.Text(), nullable=False),
        sa.Column("next_free_at_us", _BIGINT, nullable=False),
        sa.Column("paused_reason", sa.Text(), nullable=False),
        sa.Column("paused_at_ms", _BIGINT, nullable=True),
        sa.Column("resumed_at_ms", _BIGINT, nullable=True),
        sa.Column("consecutive_failures", sa.Integer(), server_default="0", nullable=False),
        sa.Column("retry_at_us", _BIGINT, server_default="0", nullable=False),
        sa.Column("down_since_ms", _BIGINT, nullable=True),
        sa.Column("limit_resets_at_ms", _BIGINT, server_default="0", nullable=False),
        sa.Column("limit_code", sa.Text(), server_default=sa.text("('')"), nullable=False),
        sa.Column("unrecognized_rejections", sa.Text(), server_default=sa.text("('')"), nullable=False),
        sa.Column("unrecognized_failures", sa.Text(), server_default=sa.text("('')"), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_sending_number")),
        sqlite_strict=True,
    )


def _create_content() -> None:
    """Templates and content blocks."""
    op.create_table(
        "template",
        sa.Column("id", _BIGINT, nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("current_version", sa.Integer(), nullable=False),
        sa.Column("created_at_ms", _BIGINT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_template")),
        sa.UniqueConstraint("key", name=op.f("uq_template_key")),
        sqlite_strict=True,
    )
    op.create_table(
        "template_version",
        sa.Column("id", _BIGINT, nullable=False),
        sa.Column("template_id", _BIGINT, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("urgent", sa.Integer(), nullable=False),
        sa.Column("sms_enabled", sa.Integer(), nullable=False),
        sa.Column("sms_expiry_hours", sa.Integer(), nullable=True),
        sa.Column("created_at_ms", _BIGINT, nullable=False),
        sa.Column("created_by_id", _BIGINT, nullable=True),
        sa.ForeignKeyConstraint(["created_by_id"], ["account.id"], name=op.f("fk_template_version_created_by_id")),
        sa.ForeignKeyConstraint(["template_id"], ["template.id"], name=op.f("fk_template_version_template_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_template_version")),
        sa.UniqueConstraint("template_id", "number", name=op.f("uq_template_version_template_id_number")),
        sqlite_strict=True,
    )
    op.create_table(
        "content_version",
        sa.Column("id", _BIGINT, nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("restored_from", sa.Integer(), nullable=True),
        sa.Column("created_at_ms", _BIGINT, nullable=False),
        sa.Column("created_by_id", _BIGINT, nullable=True),
        sa.ForeignKeyConstraint(["created_by_id"], ["account.id"], name=op.f("fk_content_version_created_by_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_content_version")),
        sa.UniqueConstraint("key", "number", name=op.f("uq_content_version_key_number")),
        sqlite_strict=True,
    )


def _create_sends() -> None:
    """Sends."""
    op.create_table(
        "send",
        sa.Column("id", _BIGINT, nullable=False),
        sa.Column("template_version_id", _BIGINT, nullable=False),
        sa.Column("audience", sa.Text(), nullable=False),
        sa.Column("data", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("request_key", sa.Text(), nullable=True),
        sa.Column("fan_out_cursor", _BIGINT, nullable=False),
        sa.Column("recipients", sa.Integer(), nullable=False),
        sa.Column("planned_texts", sa.Integer(), nullable=True),
        sa.Column("created_at_ms", _BIGINT, nullable=False),
        sa.Column("created_by_id", _BIGINT, nullable=True),
        sa.Column("fanned_out_at_ms", _BIGINT, nullable=True),
        sa.Column("finished_at_ms", _BIGINT, nullable=True),
        sa.Column("next_email_position", _BIGINT, nullable=True),
        sa.Column("next_sms_position", _BIGINT, nullable=True),
        sa.Column("paused_at_ms", _BIGINT, nullable=True),
        sa.Column("cancel_applied_at_ms", _BIGINT, nullable=True),
        sa.ForeignKeyConstraint(["created_by_id"], ["account.id"], name=op.f("fk_send_created_by_id")),
        sa.ForeignKeyConstraint(
            ["template_version_id"], ["template_version.id"], name=op.f("fk_send_template_version_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_send")),
        sa.UniqueConstraint("request_key", name=op.f("uq_send_request_key")),
        sqlite_strict=True,
    )
    op.create_index("ix_send_state", "send", ["state", "id"])


def _create_messages() -> None:
    """Communications, deliveries, attempts, receipts and lanes."""
    op.create_table(
        "communication",
        sa.Column("id", _BIGINT, nullable=False),
        sa.Column("send_id", _BIGINT, nullable=True),
        sa.Column("account_id", _BIGINT, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("consent_event_id", _BIGINT, nullable=True),
        sa.Column("requested_mode", sa.Text(), nullable=True),
        sa.Column("requested_sender", sa.Text(), nullable=True),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("content_block", sa.Text(), nullable=True),
        sa.Column("content_block_version", sa.Integer(), nullable=True),
        sa.Column("token", sa.Text(), nullable=False),
        sa.Column("created_at_ms", _BIGINT, nullable=False),
        sa.Column("read_at_ms", _BIGINT, nullable=True),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_communication_account_id")),
        sa.ForeignKeyConstraint(["send_id"], ["send.id"], name=op.f("fk_communication_send_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_communication")),
        sa.UniqueConstraint("send_id", "account_id", name=op.f("uq_communication_send_id_account_id")),
        sa.UniqueConstraint("token", name=op.f("uq_communication_token")),
        sqlite_strict=True,
    )
    op.create_index("ix_communication_account", "communication", ["account_id", "id"])
    op.create_index(
        "uq_communication_consent", "communication", ["consent_event_id", "kind", "account_id"], unique=True
    )
    op.create_table(
        "delivery",
        sa.Column("id", _BIGINT, nullable=False),
        sa.Column("communication_id", _BIGINT, nullable=False),
        sa.Column("send_id", _BIGINT, nullable=True),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("lane", sa.Integer(), nullable=False),
        sa.Column("queue_position", _BIGINT, server_default="0", nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("segments", sa.Integer(), nullable=False),
        sa.Column("due_at_ms", _BIGINT, nullable=False),
        sa.Column("sms_expires_at_ms", _BIGINT, nullable=True),
        sa.Column("attempt_count", sa.Integer(), nullable=False),
        sa.Column("attempt_id", sa.Text(), nullable=True),
        sa.Column("lease_until_ms", _BIGINT, nullable=True),
        sa.Column("provider_id", sa.Text(), nullable=True),
        sa.Column("error_code", sa.Text(), nullable=False),
        sa.Column("state_changed_at_ms", _BIGINT, nullable=False),
        sa.Column("created_at_ms", _BIGINT, nullable=False),
        sa.ForeignKeyConstraint(["communication_id"], ["communication.id"], name=op.f("fk_delivery_communication_id")),
        sa.ForeignKeyConstraint(["send_id"], ["send.id"], name=op.f("fk_delivery_send_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_delivery")),
        sa.UniqueConstraint("communication_id", "channel", name=op.f("uq_delivery_communication_id_channel")),
        sqlite_strict=True,
    )
    op.create_index("ix_delivery_claim", "delivery", ["channel", "state", "lane", "due_at_ms", "id"])
    op.create_index("ix_delivery_provider_id", "delivery", ["provider_id"])
    op.create_index(
        "ix_delivery_queue_position",
        "delivery",
        ["channel", "lane", "queue_position", "id"],
        sqlite_where=sa.text("state = 'ready'"),
        postgresql_where=sa.text("state = 'ready'"),
    )
    op.create_index("ix_delivery_send", "delivery", ["send_id", "channel", "state"])
    op.create_table(
        "attempt",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("delivery_id", _BIGINT, nullable=False),
        sa.Column("mode", sa.Text(), nullable=False),
        sa.Column("account_sid", sa.Text(), nullable=False),
        sa.Column("sender", sa.Text(), nullable=False),
        sa.Column("destination", sa.Text(), nullable=False),
        sa.Column("started_at_ms", _BIGINT, nullable=False),
        sa.Column("slot_at_ms", _BIGINT, nullable=False),
        sa.Column("lease_until_ms", _BIGINT, nullable=False),
        sa.Column("finished_at_ms", _BIGINT, nullable=True),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("provider_id", sa.Text(), nullable=True),
        sa.Column("http_status", sa.Integer(), nullable=True),
        sa.Column("error_code", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("provider_response", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["delivery_id"], ["delivery.id"], name=op.f("fk_attempt_delivery_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_attempt")),
        sqlite_strict=True,
    )
    op.create_index("ix_attempt_delivery", "attempt", ["delivery_id"])
    op.create_index("ix_attempt_provider_id", "attempt", ["provider_id"])
    op.create_index("ix_attempt_slot", "attempt", ["slot_at_ms"])
    op.create_table(
        "receipt",
        sa.Column("id", _BIGINT, nullable=False),
        sa.Column("provider_id", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("error_code", sa.Text(), nullable=False),
        sa.Column("attempt_id", sa.Text(), nullable=False),
        sa.Column("delivery_id", _BIGINT, nullable=True),
        sa.Column("raw", sa.Text(), nullable=False),
        sa.Column("received_at_ms", _BIGINT, nullable=False),
        sa.Column("applied", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["delivery_id"], ["delivery.id"], name=op.f("fk_receipt_delivery_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_receipt")),
        sa.UniqueConstraint(
            "provider_id", "status", "error_code", name=op.f("uq_receipt_provider_id_status_error_code")
        ),
        sqlite_strict=True,
    )
    op.create_index("ix_receipt_applied", "receipt", ["applied", "id"])
    op.create_index("ix_receipt_delivery", "receipt", ["delivery_id"])
    op.create_table(
        "lane",
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("lane", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("queue_position", _BIGINT, nullable=False),
        sa.Column("paused_at_ms", _BIGINT, nullable=True),
        sa.Column("paused_by_id", _BIGINT, nullable=True),
        sa.PrimaryKeyConstraint("channel", "lane", name=op.f("pk_lane")),
        sqlite_strict=True,
    )
    for channel in ("sms", "email"):
        for lane in (0, 1):
            op.execute(f"INSERT INTO lane (channel, lane, queue_position) VALUES ('{channel}', {lane}, 0)")  # noqa: S608


def _create_consent() -> None:
    """The consent ledger and texts from handsets."""
    op.create_table(
        "inbound_message",
        sa.Column("id", _BIGINT, nullable=False),
        sa.Column("provider_id", sa.Text(), nullable=False),
        sa.Column("from_number", sa.Text(), nullable=False),
        sa.Column("to_number", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("raw", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("classification", sa.Text(), nullable=False),
        sa.Column("is_keyword", sa.Integer(), nullable=False),
        sa.Column("received_at_ms", _BIGINT, nullable=False),
        sa.Column("order_at_ms", _BIGINT, nullable=False),
        sa.Column("order_rank", sa.Integer(), nullable=False),
        sa.Column("order_confirmed", sa.Integer(), nullable=False),
        sa.Column("needs_review", sa.Integer(), nullable=False),
        sa.Column("decision", sa.Text(), nullable=False),
        sa.Column("decided_by_id", _BIGINT, nullable=True),
        sa.Column("decided_at_ms", _BIGINT, nullable=True),
        sa.Column("auto_reply", sa.Text(), nullable=True),
        sa.Column("auto_reply_content_block", sa.Text(), nullable=True),
        sa.Column("auto_reply_content_block_version", sa.Integer(), nullable=True),
        sa.Column("no_reply_reason", sa.Text(), server_default=sa.text("('')"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_inbound_message")),
        sa.UniqueConstraint("provider_id", name=op.f("uq_inbound_message_provider_id")),
        sqlite_strict=True,
    )
    op.create_index("ix_inbound_message_from_number", "inbound_message", ["from_number", "id"])
    op.create_index("ix_inbound_message_order", "inbound_message", ["order_confirmed", "id"])
    op.create_index("ix_inbound_message_review", "inbound_message", ["needs_review", "decision", "id"])
    op.create_table(
        "consent_event",
        sa.Column("id", _BIGINT, autoincrement=False, nullable=False),
        sa.Column("number", sa.Text(), nullable=False),
        sa.Column("account_id", _BIGINT, nullable=True),
        sa.Column("actor_id", _BIGINT, nullable=True),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("content_block", sa.Text(), nullable=False),
        sa.Column("content_block_version", sa.Integer(), nullable=True),
        sa.Column("message_sid", sa.Text(), nullable=False),
        sa.Column("ip", sa.Text(), nullable=False),
        sa.Column("user_agent", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("occurred_at_ms", _BIGINT, nullable=False),
        sa.Column("recorded_at_ms", _BIGINT, nullable=False),
        sa.Column("previous_digest", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_consent_event")),
        sqlite_strict=True,
    )
    op.create_index("ix_consent_event_account", "consent_event", ["account_id", "id"])
    op.create_index("ix_consent_event_kind", "consent_event", ["kind", "occurred_at_ms"])
    op.create_index("ix_consent_event_number", "consent_event", ["number", "id"])
    op.create_index(
        "uq_consent_event_message",
        "consent_event",
        ["message_sid"],
        unique=True,
        sqlite_where=sa.text("message_sid <> ''"),
        postgresql_where=sa.text("message_sid <> ''"),
    )
    op.create_table(
        "consent_head",
        sa.Column("id", _BIGINT, nullable=False),
        sa.Column("last_id", _BIGINT, nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_consent_head")),
        sqlite_strict=True,
    )
    op.execute(f"INSERT INTO consent_head (id, last_id, digest) VALUES (1, 0, '{'0' * 64}')")


def _create_delivery() -> None:
    """The state of the mail server."""
    op.create_table(
        "mail_server",
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("consecutive_failures", sa.Integer(), server_default="0", nullable=False),
        sa.Column("retry_at_ms", _BIGINT, server_default="0", nullable=False),
        sa.Column("down_since_ms", _BIGINT, nullable=True),
        sa.Column("last_error", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("address", name=op.f("pk_mail_server")),
        sqlite_strict=True,
    )


def _create_operations() -> None:
    """Webhook calls that were rejected."""
    op.create_table(
        "rejected_webhook",
        sa.Column("webhook", sa.Text(), nullable=False),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.Column("identifies_us", sa.Integer(), nullable=False),
        sa.Column("request_count", _BIGINT, nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("last_seen_at_ms", _BIGINT, nullable=False),
        sa.PrimaryKeyConstraint("webhook", "cause", "identifies_us", name=op.f("pk_rejected_webhook")),
        sqlite_strict=True,
    )


def _forbid_changes(table: str, rule: str) -> None:
    if op.get_bind().dialect.name == "sqlite":
        _forbid_changes_on_sqlite(table, rule)
    else:
        _forbid_changes_on_postgresql(table, rule)


def _forbid_changes_on_sqlite(table: str, rule: str) -> None:
    """INSERT OR REPLACE does not fire the trigger on deletes, so it has its own trigger."""
    known = f"EXISTS (SELECT 1 FROM {table} WHERE id = NEW.id)"
    if table == "consent_event":
        same_message = "message_sid = NEW.message_sid AND message_sid <> ''"
        known += f" OR (NEW.message_sid <> '' AND EXISTS (SELECT 1 FROM {table} WHERE {same_message}))"
    for name, event, condition, what in (
        ("no_update", "UPDATE", "", "nothing in it may be changed"),
        ("no_delete", "DELETE", "", "nothing in it may be removed"),
        ("no_replace", "INSERT", f"WHEN {known} ", "this row is there already"),
    ):
        op.execute(
            f"CREATE TRIGGER {table}_{name} BEFORE {event} ON {table} {condition}"
            f"BEGIN SELECT RAISE(ABORT, '{rule}: {what}'); END"
        )


def _forbid_changes_on_postgresql(table: str, rule: str) -> None:
    op.execute(
        f"CREATE FUNCTION {table}_refuse() RETURNS trigger LANGUAGE plpgsql AS $$"
        f" BEGIN RAISE EXCEPTION '{rule}: nothing in it may be changed or removed'; END $$"
    )
    for name, event, each in (("no_change", "UPDATE OR DELETE", "ROW"), ("no_truncate", "TRUNCATE", "STATEMENT")):
        op.execute(
            f"CREATE TRIGGER {table}_{name} BEFORE {event} ON {table} FOR EACH {each} EXECUTE FUNCTION {table}_refuse()"
        )
