"""What recovery codes look like: ten letters and digits that are not mistaken for each other, such as K7M2P-XQ4RT.

The first two find the row, the other eight are the secret: 39 bits.
"""

import re
from collections.abc import Callable

CODE_COUNT = 10
_ALPHABET = "23456789ABCDEFGHJKMNPQRSTVWXYZ"
_LENGTH, _SELECTOR_LENGTH = 10, 2
_OTHERS = re.compile(rf"[^{_ALPHABET}]")


def new_codes(choose: Callable[[str], str]) -> list[str]:
    """Codes whose first two characters differ. Nobody may be able to predict which character `choose` takes."""
    selectors: dict[str, None] = {}
    while len(selectors) < CODE_COUNT:
        selectors.setdefault(_text(choose, _SELECTOR_LENGTH))
    return [selector + _text(choose, _LENGTH - _SELECTOR_LENGTH) for selector in selectors]


def selector_of(code: str) -> str:
    return code[:_SELECTOR_LENGTH]


def written_code(code: str) -> str:
    """In two halves, which are easier to read and to type."""
    return f"{code[: _LENGTH // 2]}-{code[_LENGTH // 2 :]}"


def typed_code(text: str) -> str:
    """As it was made, however it is typed."""
    return _OTHERS.sub("", text.upper())


def _text(choose: Callable[[str], str], length: int) -> str:
    return "".join(choose(_ALPHABET) for _ in range(length))
