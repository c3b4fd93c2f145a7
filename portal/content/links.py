"""Short links to a communication, and the tokens in them."""

import secrets
import string
from array import array

from portal.core.context import settings

TOKEN_LENGTH = 8
_TOKEN_ALPHABET = string.ascii_letters + string.digits
_TOKEN_PAIRS = tuple(first + second for first in _TOKEN_ALPHABET for second in _TOKEN_ALPHABET)
_UNBIASED_LIMIT = 65_536 // len(_TOKEN_PAIRS) * len(_TOKEN_PAIRS)


def new_link_token() -> str:
    return new_link_tokens(1)[0]


def new_link_tokens(count: int) -> list[str]:
    """Random tokens out of 62^8. They are not secrets: whoever follows a link must still sign in."""
    pairs: list[str] = []
    pair_count = count * TOKEN_LENGTH // 2
    while len(pairs) < pair_count:
        drawn = array("H", secrets.token_bytes(2 * pair_count))
        # numbers above the last whole multiple would make the first pairs more likely than the others
        pairs += [_TOKEN_PAIRS[number % len(_TOKEN_PAIRS)] for number in drawn if number < _UNBIASED_LIMIT]
    letters = "".join(pairs)
    return [letters[start : start + TOKEN_LENGTH] for start in range(0, count * TOKEN_LENGTH, TOKEN_LENGTH)]


def communication_url(token: str) -> str:
    """A link on the portal's own host, because carriers filter public link shorteners (docs/twilio.md#links)."""
    return f"{settings().public_url}/c/{token}"
