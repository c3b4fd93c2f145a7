# ruff: noqa: F401
"""Importing this module registers every table."""

from portal.core import audit_log
from portal.models import (
    account,
    communication,
    consent,
    content,
    gateway,
    inbound,
    known_address,
    lane,
    mail_server,
    phone,
    send,
    template,
    throttle,
    webhook_refusal,
)
