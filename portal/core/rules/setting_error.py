"""The error for an invalid setting."""

import json
from collections.abc import Mapping

_MAX_QUOTE_LENGTH = 40


class SettingError(ValueError):
    """`errors_by_key` has a sentence for each invalid key; the key "" stands for the setting as a whole."""

    def __init__(self, errors_by_key: Mapping[str, str]) -> None:
        super().__init__(" ".join(errors_by_key.values()))
        self.errors_by_key = dict(errors_by_key)

    @classmethod
    def for_key(cls, message: str, key: str = "") -> "SettingError":
        return cls({key: message})


def quote_input(text: str) -> str:
    """Quote input for an error message: shortened, on one line, with unprintable characters escaped."""
    short = text if len(text) <= _MAX_QUOTE_LENGTH else f"{text[:_MAX_QUOTE_LENGTH]}…"
    return json.dumps(short) if not short.isprintable() else f'"{short}"'
