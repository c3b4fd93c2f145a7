"""Column types that behave alike on SQLite (STRICT tables) and PostgreSQL."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import BigInteger, Dialect, Integer, Text, TypeDecorator
from sqlalchemy.types import TypeEngine

BigIntKey: TypeEngine[int] = BigInteger().with_variant(Integer(), "sqlite")
Millis: TypeEngine[int] = BigInteger().with_variant(Integer(), "sqlite")
"""Whole milliseconds since 1970, UTC."""

STRICT = {"sqlite_strict": True}


class Flag(TypeDecorator[bool]):
    """A boolean stored as 1 or 0, because STRICT tables have no BOOLEAN type."""

    impl = Integer
    cache_ok = True

    def process_bind_param(self, value: bool | None, _dialect: Dialect) -> int | None:
        return None if value is None else int(value)

    def process_result_value(self, value: int | None, _dialect: Dialect) -> bool | None:
        return None if value is None else bool(value)


def to_json(value: Any) -> str:
    """As a column of the type `Json` holds it."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


class Json(TypeDecorator[Any]):
    """JSON stored as text with sorted keys, so that equal values have equal text."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, _dialect: Dialect) -> str | None:
        return None if value is None else to_json(value)

    def process_result_value(self, value: str | None, _dialect: Dialect) -> Any:
        return None if value is None else json.loads(value)


ENCRYPTED = "encrypted"


def encrypted_as(secret_name: Callable[[Mapping[str, Any]], str]) -> dict[str, Any]:
    """The `info` of each column that holds ciphertexts of `settings.rules.encryption`.

    `secret_name` of a row is what its ciphertext is bound to. Key rotation and `portal keys status` find the columns
    by this, so a column without it would be unreadable once the old key is gone.
    """
    return {ENCRYPTED: secret_name}
