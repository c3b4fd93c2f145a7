"""How a setting that will not do is refused."""

import json
from collections.abc import Mapping

_MAX_QUOTE_LENGTH = 40


class SettingError(ValueError):
    """`errors_by_key` has a sentence for each key concerned, "" for the setting as a whole; each names setting and rule."""

    def __init__(self, errors_by_key: Mapping[str, str]) -> None:
        super().__init__(" ".join(errors_by_key.values()))
        self.errors_by_key = dict(errors_by_key)

    @classmethod
    def for_key(cls, sentence: str, key: str = "") -> "SettingError":
        return cls({key: sentence})


def quote_input(text: str) -> str:
    """What was typed, as a sentence may repeat it: short, in one line, and free of what no screen can show."""
    short = text if len(text) <= _MAX_QUOTE_LENGTH else f"{text[:_MAX_QUOTE_LENGTH]}…"
    return json.dumps(short) if not short.isprintable() else f'"{short}"'
