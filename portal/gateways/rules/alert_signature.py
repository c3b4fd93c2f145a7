"""The signature of an alert's webhook: HMAC-SHA256 of the time and the body, so that neither can be changed."""

import hashlib
import hmac

HEADER = "Portal-Signature"


def signature_header(secret: str, timestamp: int, body: bytes) -> str:
    """“t=1764384000,v1=<64 hexadecimal digits>”; `timestamp` is in seconds since 1970."""
    signed = f"{timestamp}.".encode() + body
    digest = hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()
    return f"t={timestamp},v1={digest}"
