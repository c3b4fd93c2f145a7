"""Read a file that is kept in parts, each in a transaction of its own, because readers may be slow."""

from collections.abc import Iterator

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import InstrumentedAttribute

from portal.core.extensions import db


class PartMissing(Exception):
    """The file was deleted while it was read. A download breaks off, so that nobody takes a piece for the whole."""


def read_parts(
    content: InstrumentedAttribute[bytes],
    number: InstrumentedAttribute[int],
    is_of_file: ColumnElement[bool],
    count: int,
) -> Iterator[bytes]:
    """The parts from 1 to `count`. Raises `PartMissing`."""
    for index in range(1, count + 1):
        part = db.session.scalar(select(content).where(is_of_file, number == index))
        db.session.rollback()
        if part is None:
            raise PartMissing
        yield part
