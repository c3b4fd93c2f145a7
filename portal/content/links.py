"""Links to a communication, and the tokens in them."""

import secrets
import string
from array import array

from portal.core.context import settings

_TOKEN_ALPHABET = string.ascii_letters + string.digits


_TOKEN_PAIRS = tuple(first + second for first in _TOKEN_ALPHABET for second in _TOKEN_ALPHABET)


_UNBIASED_LIMIT = 65_536 // len(_TOKEN_PAIRS) * len(_TOKEN_PAIRS)


def new_link_token() -> str:
    return new_link_tokens(1)[0]


def new_link_tokens(count: int) -> list[str]:
    """Keys of short links: 62^8 of them, and whoever follows one must still sign in."""
    pairs: list[str] = []
    wanted = count * TOKEN_LENGTH // 2
    while len(pairs) < wanted:
        drawn = array("H", secrets.token_bytes(2 * wanted))
        # what is above the last whole multiple would make the first pairs likelier than the others
        pairs += [_TOKEN_PAIRS[number % len(_TOKEN_PAIRS)] for number in drawn if number < _UNBIASED_LIMIT]
    letters = "".join(pairs)
    return [letters[place : place + TOKEN_LENGTH] for place in range(0, count * TOKEN_LENGTH, TOKEN_LENGTH)]


def communication_url(token: str) -> str:
    """The short link, on the portal's own host: carriers filter public shorteners (docs/twilio.md#links)."""
    return f"{settings().public_url}/c/{token}"


TOKEN_LENGTH = 8
