"""The fields that every account has, and the words that no attribute may have as its key."""

from portal.core.translation import N_

ACCOUNT_FIELDS: dict[str, str] = {
    "name": N_("Full name"),
    "first_name": N_("First name"),
    "email": N_("Email address"),
    "external_id": N_("Account number"),
    "account_type": N_("Account type"),
}
"""Merge fields of every account. Others are attributes, or come with the send as `data.…`."""
REQUIRED_COLUMNS = ("external_id", "name", "email", "account_type")
EDITABLE_FIELDS = ("name", "email", "account_type", "role", "timezone", "language")
"""What administrators can change of an account, besides its attributes."""
OPTIONAL_COLUMNS = ("role", "timezone", "phone", "sms_opted_in_at", "sms_consent_source", "language")
ACCOUNT_COLUMNS = (*REQUIRED_COLUMNS, *OPTIONAL_COLUMNS)
"""The columns of an import of accounts, besides one for each attribute."""
_LIQUID_WORDS = (
    *("and", "or", "not", "contains", "in", "true", "false", "nil", "null", "blank", "empty"),
    *("if", "unless", "else", "elsif", "case", "when", "for", "break", "continue", "assign", "echo", "liquid"),
    *("comment", "raw", "increment", "decrement", "ifchanged", "with", "limit", "offset", "reversed"),
    *("size", "first", "last", "forloop", "tablerowloop"),
)
_OTHER_WORDS = ("data", "id", "account", "account_number", "number", "active", "attributes", "sms_state", "time_zone")
"""What conditions, files of recipients and later merge fields are called."""
RESERVED_KEYS = frozenset({*ACCOUNT_FIELDS, *ACCOUNT_COLUMNS, *_LIQUID_WORDS, *_OTHER_WORDS})
