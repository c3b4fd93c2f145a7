"""Short links to a communication, and the tokens in them."""

import hashlib
import hmac
import string
from secrets import token_bytes

from portal.core.context import settings

TOKEN_LENGTH = 8
_ALPHABET = string.ascii_letters + string.digits
_TOKEN_COUNT, _NUMBER_BYTES = len(_ALPHABET) ** TOKEN_LENGTH, 6
"""Six bytes hold a little more numbers than there are tokens; the others are thrown away."""
_PAIRS = [first + second for first in _ALPHABET for second in _ALPHABET]


def new_link_token() -> str:
    """One out of 62^8. It is not a secret: whoever follows a link must still sign in."""
    return new_link_tokens(1)[0]


def new_link_tokens(count: int) -> list[str]:
    """For many links at once, which takes a third of the time of each."""
    tokens: list[str] = []
    while len(tokens) < count:
        random_bytes = token_bytes(_NUMBER_BYTES * (count - len(tokens)))
        starts = range(0, len(random_bytes), _NUMBER_BYTES)
        numbers = [int.from_bytes(random_bytes[start : start + _NUMBER_BYTES], "big") for start in starts]
        tokens += [_token(number) for number in numbers if number < _TOKEN_COUNT]
    return tokens


def link_tokens_of(request_key: str) -> list[str]:
    """The same token for the same request: as tokens are unique, a repeated request makes no second communication.

    The first is for a new one; the others are what it was under older keys.
    """
    text = f"link token {request_key}".encode()
    digests = (hmac.new(key.encode(), text, hashlib.sha256).digest() for key in settings().secret_keys)
    return [_token(int.from_bytes(digest, "big") % _TOKEN_COUNT) for digest in digests]


def _token(number: int) -> str:
    rest, first = divmod(number, len(_PAIRS))
    rest, second = divmod(rest, len(_PAIRS))
    fourth, third = divmod(rest, len(_PAIRS))
    return _PAIRS[first] + _PAIRS[second] + _PAIRS[third] + _PAIRS[fourth]


def communication_url(token: str) -> str:
    """A link on the portal's own host, because carriers filter public link shorteners (docs/twilio.md#links)."""
    return f"{settings().public_url}/c/{token}"


def history_url() -> str:
    """Everything that the account was told, in as few characters as a text needs."""
    return f"{settings().public_url}/h"


def logo_url(digest: str) -> str:
    """The logo as emails refer to it."""
    return f"{settings().public_url}/organization/logo/{digest}"
