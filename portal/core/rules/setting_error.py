"""The error for an invalid setting."""

import json
from collections.abc import Mapping

from portal.core.errors import InvalidInput

_MAX_QUOTE_LENGTH = 40


class SettingError(InvalidInput):
    """`errors_by_key` has a sentence for each invalid key; the key "" stands for the setting as a whole.

    `errors` is keyed by the setting's name.
    """

    def __init__(self, name: str, errors_by_key: Mapping[str, str]) -> None:
        super().__init__({name: " ".join(errors_by_key.values())})
        self.errors_by_key = dict(errors_by_key)

    @classmethod
    def for_key(cls, name: str, message: str, key: str = "") -> "SettingError":
        return cls(name, {key: message})


def key_label(name: str, key: str) -> str:
    """How a message names a key of the setting: SmsGatewaySettings: "FromNumber"."""
    return f'{name}: "{key}"'


def quote_input(text: str) -> str:
    """Quote input for an error message: shortened, on one line, with unprintable characters escaped."""
    short = text if len(text) <= _MAX_QUOTE_LENGTH else f"{text[:_MAX_QUOTE_LENGTH]}…"
    return json.dumps(short) if not short.isprintable() else f'"{short}"'
