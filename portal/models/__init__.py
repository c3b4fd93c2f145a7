"""Tables and queries, a file a noun. Importing this package registers every table."""

from portal.models import (
    account,
    audit_log,
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

__all__ = [
    "account",
    "audit_log",
    "communication",
    "consent",
    "content",
    "gateway",
    "inbound",
    "known_address",
    "lane",
    "mail_server",
    "phone",
    "send",
    "template",
    "throttle",
    "webhook_refusal",
]
