"""Short links to a communication, and the tokens in them."""

import hashlib
import hmac
import string
from secrets import randbelow

from portal.core.context import settings

TOKEN_LENGTH = 8
_ALPHABET = string.ascii_letters + string.digits


def new_link_token() -> str:
    """One out of 62^8. It is not a secret: whoever follows a link must still sign in."""
    return _token(randbelow(len(_ALPHABET) ** TOKEN_LENGTH))


def link_token_of(request_key: str) -> str:
    """The same token for the same request: as tokens are unique, a repeated request makes no second communication."""
    digest = hmac.new(settings().secret_key.encode(), f"link token {request_key}".encode(), hashlib.sha256).digest()
    return _token(int.from_bytes(digest, "big") % len(_ALPHABET) ** TOKEN_LENGTH)


def _token(number: int) -> str:
    base = len(_ALPHABET)
    return "".join(_ALPHABET[number // base**place % base] for place in range(TOKEN_LENGTH))


def communication_url(token: str) -> str:
    """A link on the portal's own host, because carriers filter public link shorteners (docs/twilio.md#links)."""
    return f"{settings().public_url}/c/{token}"


def logo_url(digest: str) -> str:
    """The logo as emails refer to it."""
    return f"{settings().public_url}/organization/logo/{digest}"
