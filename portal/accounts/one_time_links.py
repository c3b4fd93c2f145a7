"""Signed values for links in emails. What they name changes when the link is used, so that it works once."""

from typing import Any

from itsdangerous import BadSignature, URLSafeTimedSerializer

from portal.core.context import settings
from portal.core.rules.integrity.signed_values import timed_serializer

_MAX_TOKEN_LENGTH = 2_000


def make_token(purpose: str, values: dict[str, Any]) -> str:
    return str(_serializer(purpose).dumps(values))


def read_token(purpose: str, token: str, max_age_seconds: int) -> dict[str, Any] | None:
    """None for a token that is too old, of another purpose or not ours."""
    try:
        values = _serializer(purpose).loads(token[:_MAX_TOKEN_LENGTH], max_age=max_age_seconds)
    except BadSignature:
        return None
    return values if isinstance(values, dict) else None


def _serializer(purpose: str) -> URLSafeTimedSerializer:
    return timed_serializer(settings().secret_keys, f"portal {purpose}")
