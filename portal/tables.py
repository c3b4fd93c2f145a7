# ruff: noqa: F401
"""Importing this module registers every table."""

from portal.accounts.tables import accounts, known_addresses, phone_numbers, throttle_counters
from portal.core import audit_log
from portal.models import (
    communication,
    consent,
    content,
    gateway,
    inbound,
    lane,
    mail_server,
    send,
    template,
    webhook_refusal,
)
