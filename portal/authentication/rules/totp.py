"""Codes of authenticator apps: TOTP of RFC 6238, with six digits for each 30 seconds."""

from passlib.exc import TokenError, UsedTokenError
from passlib.totp import TOTP

SECRET_BYTES = 20
"""As many as the hash in the codes has."""
_PERIOD_SECONDS = 30
_MAX_NAME_LENGTH = 60


class CodeUsed(ValueError):
    """The code was right once, and signed somebody in."""


def matching_step(secret: str, code: str, now_ms: int, last_step: int) -> int | None:
    """The time step of the code: this one, or its neighbours, since clocks differ. None for any other code.

    Raises `CodeUsed` for the code of `last_step`.
    """
    try:
        match = TOTP(secret, format="base32").match(code, now_ms // 1000, _PERIOD_SECONDS, last_counter=last_step)
    except UsedTokenError as error:
        raise CodeUsed from error
    except TokenError:
        return None
    return int(match.counter)


def new_secret(random: bytes) -> str:
    """As apps take it when somebody types it: base32."""
    return str(TOTP(random, format="raw").base32_key)


def app_uri(secret: str, account: str, issuer: str) -> str:
    """What the QR code says. Colons would separate names that are none, and no code holds a long text."""
    label, issuer = (name.replace(":", " ")[:_MAX_NAME_LENGTH] for name in (account, issuer))
    return str(TOTP(secret, format="base32").to_uri(label=label, issuer=issuer))
