"""The actions of the audit log in groups, for its filter."""

from collections.abc import Mapping, Sequence

from portal.core.translation import N_
from portal.operations.rules.audit_labels import ACTION_LABELS

_OTHER = "other"
_GROUPS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "sends": (N_("Sends and audiences"), ("send_", "unreached_", "audience_", "recipient_file_")),
    "schedules": (N_("Schedules"), ("schedule_",)),
    "delivery": (N_("Delivery of messages"), ("text_", "texts_reconciled", "lane_", "sender_", "job_", "database_")),
    "consent": (
        N_("Consent and replies"),
        ("reply_", "opted_", "opt_", "texts_", "topics_", "number_", "consent_"),
    ),
    "accounts": (N_("Accounts and attributes"), ("account_", "accounts_", "attribute", "timezone_", "first_sysadmin")),
    "access": (
        N_("Signing in, passwords and roles"),
        (
            "signed_",
            "sign_in_",
            "unknown_sign_in_",
            "password_",
            "second_factor_",
            "session",
            "passkey_",
            "access_",
            "identity_",
        ),
    ),
    "content": (N_("Templates and content"), ("template_", "topic_", "content_")),
    "exports": (N_("Exports and proofs"), ("communication", "export_", "proof_", "personal_data_", "audit_log_")),
    "settings": (N_("Settings and keys"), ("setting_", "webhooks_", "alert_", "log_key_", "key_", "signing_")),
    _OTHER: (N_("Other"), ()),
}
"""By key: the label, and what the names of its actions begin with. The first group that fits an action has it."""
GROUP_LABELS = {key: label for key, (label, _beginnings) in _GROUPS.items()}


def group_of(action: str) -> str:
    fits = (key for key, (_label, beginnings) in _GROUPS.items() if action.startswith(beginnings))
    return next(fits, _OTHER)


def actions_named(choice: str) -> Sequence[str]:
    """Of a group, or the one action with this name; none for anything else."""
    if choice in GROUP_LABELS:
        return [action for action in ACTION_LABELS if group_of(action) == choice]
    return [choice] if choice in ACTION_LABELS else []
