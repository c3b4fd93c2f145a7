"""Who signs in, from where and how, and what was done: sessions, second factors, and logs with a key."""

import sqlalchemy as sa
from alembic import op

revision = "release_9"
down_revision = "release_8"
branch_labels = None
depends_on = None

_BIGINT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    _add_sign_in_sessions()
    _add_second_factors()
    _add_passkeys()
    _protect_logs()
    _collect_policy_reports()


def downgrade() -> None:
    _stop_collecting_policy_reports()
    _unprotect_logs()
    _drop_passkeys()
    _drop_second_factors()
    _drop_sign_in_sessions()


# Sign-in sessions


def _add_sign_in_sessions() -> None:
    """Each browser that is signed in. Sessions from before have no row, so that everybody signs in again, once."""
    op.create_table(
        "sign_in_session",
        sa.Column("id", _BIGINT, nullable=False),
        sa.Column("account_id", _BIGINT, nullable=False),
        sa.Column("token_hash", sa.Text(), nullable=False),
        sa.Column("identity", sa.Text(), nullable=False),
        sa.Column("browser", sa.Text(), nullable=False),
        sa.Column("system", sa.Text(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("methods", sa.Text(), nullable=False),
        sa.Column("created_at_ms", _BIGINT, nullable=False),
        sa.Column("last_seen_at_ms", _BIGINT, nullable=False),
        sa.Column("authenticated_at_ms", _BIGINT, nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name=op.f("fk_sign_in_session_account_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sign_in_session")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_sign_in_session_token_hash")),
        sqlite_strict=True,
    )
    op.create_index(op.f("ix_sign_in_session_account_id"), "sign_in_session", ["account_id"])


def _drop_sign_in_sessions() -> None:
    """Everybody signs in again."""
    op.drop_table("sign_in_session")


# Second factors


def _add_second_factors() -> None:
    """Authenticator apps, recovery codes, trusted devices, and when each account last signed in."""
    op.create_table(
        "totp_credential",
        sa.Column("account_id", _BIGINT, nullable=False),
        sa.Column("secret", sa.Text(), nullable=False),
        sa.Column("last_step", _BIGINT, nullable=False),
        sa.Column("created_at_ms", _BIGINT, nullable=False),
        _account_key("totp_credential"),
        sa.PrimaryKeyConstraint("account_id", name=op.f("pk_totp_credential")),
        sqlite_strict=True,
    )
    op.create_table(
        "recovery_code",
        sa.Column("account_id", _BIGINT, nullable=False),
        sa.Column("selector", sa.Text(), nullable=False),
        sa.Column("code_hash", sa.Text(), nullable=False),
        _account_key("recovery_code"),
        sa.PrimaryKeyConstraint("account_id", "selector", name=op.f("pk_recovery_code")),
        sqlite_strict=True,
    )
    op.create_table(
        "trusted_device",
        sa.Column("account_id", _BIGINT, nullable=False),
        sa.Column("token_hash", sa.Text(), nullable=False),
        sa.Column("credentials_hash", sa.Text(), nullable=False),
        sa.Column("browser", sa.Text(), nullable=False),
        sa.Column("created_at_ms", _BIGINT, nullable=False),
        _account_key("trusted_device"),
        sa.PrimaryKeyConstraint("account_id", "token_hash", name=op.f("pk_trusted_device")),
        sqlite_strict=True,
    )
    op.add_column("account", sa.Column("signed_in_at_ms", _BIGINT, nullable=True))


def _account_key(table: str) -> sa.ForeignKeyConstraint:
    name = op.f(f"fk_{table}_account_id")
    return sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=name, ondelete="CASCADE")


def _drop_second_factors() -> None:
    """Passwords alone, as before."""
    op.drop_column("account", "signed_in_at_ms")
    for table in ("trusted_device", "recovery_code", "totp_credential"):
        op.drop_table(table)


# Passkeys, and identities of a single sign-on


def _add_passkeys() -> None:
    """Public keys only: the private ones stay with their owners."""
    op.create_table(
        "external_identity",
        sa.Column("issuer", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("account_id", _BIGINT, nullable=False),
        sa.Column("connected_at_ms", _BIGINT, nullable=False),
        sa.Column("last_used_at_ms", _BIGINT, nullable=True),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name=op.f("fk_external_identity_account_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("issuer", "subject", name=op.f("pk_external_identity")),
        sa.UniqueConstraint("account_id", "issuer", name=op.f("uq_external_identity_account_id_issuer")),
        sqlite_strict=True,
    )
    op.create_table(
        "passkey",
        sa.Column("id", _BIGINT, nullable=False),
        sa.Column("account_id", _BIGINT, nullable=False),
        sa.Column("credential_id", sa.Text(), nullable=False),
        sa.Column("public_key", sa.Text(), nullable=False),
        sa.Column("sign_count", _BIGINT, nullable=False),
        sa.Column("user_handle", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("created_at_ms", _BIGINT, nullable=False),
        sa.Column("last_used_at_ms", _BIGINT, nullable=True),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_passkey_account_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_passkey")),
        sa.UniqueConstraint("credential_id", name=op.f("uq_passkey_credential_id")),
        sqlite_strict=True,
    )
    op.create_index("ix_passkey_account_id", "passkey", ["account_id"])
    op.create_table(
        "spent_challenge",
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("expires_at_ms", _BIGINT, nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_spent_challenge")),
        sqlite_strict=True,
    )


def _drop_passkeys() -> None:
    """Their owners sign in with their passwords."""
    op.drop_table("spent_challenge")
    op.drop_table("passkey")
    op.drop_table("external_identity")


# Logs that only grow


def _protect_logs() -> None:
    """Rows have their MACs beside them: the digests of consent cover its columns, and MACs stay when rows expire.

    The portal itself may empty or delete an entry once it has amended its mac. Rows that have no mac, because the
    previous release wrote them, are free until they have them.
    """
    _create_macs()
    op.create_index("ix_audit_entry_actor_id", "audit_entry", ["actor_id", "id"])
    op.create_index("ix_audit_entry_at_ms", "audit_entry", ["at_ms"])
    if op.get_bind().dialect.name == "sqlite":
        _protect_logs_on_sqlite()
    else:
        _protect_logs_on_postgresql()


def _create_macs() -> None:
    op.create_table(
        "log_key",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("secret", sa.Text(), nullable=False),
        sa.Column("created_at_ms", _BIGINT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_log_key")),
        sqlite_strict=True,
    )
    op.create_table(
        "log_head",
        sa.Column("log", sa.Text(), nullable=False),
        sa.Column("position", _BIGINT, nullable=False),
        sa.Column("mac", sa.Text(), nullable=False),
        sa.Column("key_id", sa.Text(), nullable=False),
        sa.Column("head_mac", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("log", name=op.f("pk_log_head")),
        sqlite_strict=True,
    )
    op.create_table(
        "log_mac",
        sa.Column("log", sa.Text(), nullable=False),
        sa.Column("position", _BIGINT, nullable=False),
        sa.Column("row_id", _BIGINT, nullable=False),
        sa.Column("key_id", sa.Text(), nullable=False),
        sa.Column("mac", sa.Text(), nullable=False),
        sa.Column("amendment", sa.Text(), nullable=False, server_default=""),
        sa.PrimaryKeyConstraint("log", "position", name=op.f("pk_log_mac")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_index("uq_log_mac_row", "log_mac", ["log", "row_id"], unique=True)
    op.create_table(
        "failed_sign_in",
        sa.Column("account_id", _BIGINT, nullable=False),
        sa.Column("since_ms", _BIGINT, nullable=False),
        sa.Column("tries", _BIGINT, nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("account_id", name=op.f("pk_failed_sign_in")),
        sqlite_strict=True,
    )
    op.create_table(
        "log_verification",
        sa.Column("log", sa.Text(), nullable=False),
        sa.Column("at_ms", _BIGINT, nullable=False),
        sa.Column("row_count", _BIGINT, nullable=False),
        sa.Column("row_id", _BIGINT, nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("log", name=op.f("pk_log_verification")),
        sqlite_strict=True,
    )


_RULE = "the audit log is append-only: nothing in it may be changed or removed"
_MAC_RULE = "the MACs of the logs are append-only: nothing in them may be changed or removed"
_IS_PROTECTED = "EXISTS (SELECT 1 FROM log_mac WHERE log = 'audit' AND row_id = OLD.id AND amendment = '')"
_MAC_COLUMNS = "log, position, row_id, key_id, mac"


def _protect_logs_on_sqlite() -> None:
    """INSERT OR REPLACE does not fire the trigger on deletes, so it has its own trigger."""
    is_known = "EXISTS (SELECT 1 FROM audit_entry WHERE id = NEW.id)"
    for table, name, event, condition, rule in (
        ("audit_entry", "no_update", "UPDATE", f"WHEN {_IS_PROTECTED}", _RULE),
        ("audit_entry", "no_delete", "DELETE", f"WHEN {_IS_PROTECTED}", _RULE),
        ("audit_entry", "no_replace", "INSERT", f"WHEN {is_known}", _RULE),
        ("log_mac", "no_update", f"UPDATE OF {_MAC_COLUMNS}", "", _MAC_RULE),
        ("log_mac", "no_delete", "DELETE", "", _MAC_RULE),
    ):
        op.execute(
            f"CREATE TRIGGER {table}_{name} BEFORE {event} ON {table} {condition} BEGIN SELECT RAISE(ABORT, '{rule}'); END"
        )


def _protect_logs_on_postgresql() -> None:
    op.execute(
        "CREATE FUNCTION audit_entry_refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        f" IF TG_OP = 'TRUNCATE' THEN RAISE EXCEPTION '{_RULE}'; END IF;"
        f" IF {_IS_PROTECTED} THEN RAISE EXCEPTION '{_RULE}'; END IF;"
        " IF TG_OP = 'DELETE' THEN RETURN OLD; END IF; RETURN NEW; END $$"
    )
    op.execute(
        "CREATE FUNCTION log_mac_refuse() RETURNS trigger LANGUAGE plpgsql AS $$"
        f" BEGIN RAISE EXCEPTION '{_MAC_RULE}'; END $$"
    )
    for table, name, event, each in (
        ("audit_entry", "no_change", "UPDATE OR DELETE", "ROW"),
        ("audit_entry", "no_truncate", "TRUNCATE", "STATEMENT"),
        ("log_mac", "no_change", f"UPDATE OF {_MAC_COLUMNS} OR DELETE", "ROW"),
        ("log_mac", "no_truncate", "TRUNCATE", "STATEMENT"),
    ):
        op.execute(
            f"CREATE TRIGGER {table}_{name} BEFORE {event} ON {table} FOR EACH {each} EXECUTE FUNCTION {table}_refuse()"
        )


def _unprotect_logs() -> None:
    """The rows stay, without their MACs."""
    if op.get_bind().dialect.name == "sqlite":
        for name in ("no_update", "no_delete", "no_replace"):
            op.execute(f"DROP TRIGGER audit_entry_{name}")
    else:
        for name in ("no_change", "no_truncate"):
            op.execute(f"DROP TRIGGER audit_entry_{name} ON audit_entry")
        op.execute("DROP FUNCTION audit_entry_refuse()")
    op.drop_index("ix_audit_entry_at_ms", "audit_entry")
    op.drop_index("ix_audit_entry_actor_id", "audit_entry")
    for table in ("log_verification", "failed_sign_in", "log_mac", "log_head", "log_key"):
        op.drop_table(table)
    if op.get_bind().dialect.name != "sqlite":
        op.execute("DROP FUNCTION log_mac_refuse()")


# Reports of browsers about the content security policy


def _collect_policy_reports() -> None:
    """What browsers refused to load."""
    op.create_table(
        "policy_violation_count",
        sa.Column("directive", sa.Text(), nullable=False),
        sa.Column("blocked", sa.Text(), nullable=False),
        sa.Column("page", sa.Text(), nullable=False),
        sa.Column("report_count", _BIGINT, nullable=False),
        sa.Column("first_seen_at_ms", _BIGINT, nullable=False),
        sa.Column("last_seen_at_ms", _BIGINT, nullable=False),
        sa.PrimaryKeyConstraint("directive", "blocked", "page", name=op.f("pk_policy_violation_count")),
        sqlite_strict=True,
    )


def _stop_collecting_policy_reports() -> None:
    """They are for operators, and no record."""
    op.drop_table("policy_violation_count")
