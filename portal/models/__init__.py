"""Tables and queries, a file a noun. Importing this package registers every table."""

from portal.models import account, communication, consent, content, gateway, inbound, phone, send, template, throttle

__all__ = [
    "account",
    "communication",
    "consent",
    "content",
    "gateway",
    "inbound",
    "phone",
    "send",
    "template",
    "throttle",
]
