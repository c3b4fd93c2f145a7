"""Every column that holds ciphertexts, whichever table it is of (`core.column_types.encrypted_as`)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column, Row, func, select, tuple_, update

from portal.core.column_types import ENCRYPTED
from portal.core.extensions import Base, db
from portal.core.statements import updated_count

_FORMAT = "v1."
_KEY_ID_START, _KEY_ID_LENGTH = len(_FORMAT) + 1, 8


@dataclass(frozen=True)
class EncryptedColumn:
    """A row of another text, such as a setting that is no secret, has no ciphertext and is left out."""

    column: "Column[str]"

    @property
    def label(self) -> str:
        return f"{self.column.table.name}.{self.column.name}"

    def secret_name(self, row: Row[Any]) -> str:
        return str(self.column.info[ENCRYPTED](row._mapping))

    def counts_by_key_id(self) -> dict[str, int]:
        key_id = func.substr(self.column, _KEY_ID_START, _KEY_ID_LENGTH)
        query = select(key_id, func.count()).where(self.column.startswith(_FORMAT)).group_by(key_id)
        return {id: count for id, count in db.session.execute(query)}

    def rows_of_other_keys(self, key_id: str, after: Sequence[Any], limit: int) -> list[Row[Any]]:
        """Rows whose ciphertexts need another key, behind the one with the primary key `after`."""
        keys = list(self.column.table.primary_key)
        query = select(self.column.table).where(self.column.startswith(_FORMAT))
        query = query.where(self.column.not_like(f"{_FORMAT}{key_id}.%")).order_by(*keys).limit(limit)
        return list(db.session.execute(query.where(tuple_(*keys) > tuple_(*after)) if after else query))

    def primary_key(self, row: Row[Any]) -> tuple[Any, ...]:
        return tuple(row._mapping[key] for key in self.column.table.primary_key)

    def replace(self, row: Row[Any], ciphertext: str) -> bool:
        """False if somebody has changed the value since it was read. Inside a transaction."""
        keys = zip(self.column.table.primary_key, self.primary_key(row), strict=True)
        query = update(self.column.table).where(self.column == row._mapping[self.column])
        query = query.where(*(key == value for key, value in keys)).values({self.column: ciphertext})
        return updated_count(query) == 1


def encrypted_columns() -> Iterator[EncryptedColumn]:
    for table in Base.metadata.sorted_tables:
        yield from (EncryptedColumn(column) for column in table.columns if ENCRYPTED in column.info)
