"""Twilio's magic sending numbers (docs/twilio.md#magic-numbers)."""

MAGIC_SENDER_CODES = {"+15005550006": "", "+15005550001": "21212", "+15005550007": "21606", "+15005550008": "21611"}
"""The error code that each one stands for; "" for the valid one."""
