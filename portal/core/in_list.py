"""`column IN (…)` for lists of any length: the list is one parameter, because databases limit their count."""

import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import ARRAY, ColumnElement, Text, any_, bindparam, func, select
from sqlalchemy.orm import InstrumentedAttribute

from portal.core.extensions import db


def in_list(column: InstrumentedAttribute[Any], values: Sequence[str]) -> ColumnElement[bool]:
    """`column` is a text column."""
    if db.session.get_bind().dialect.name == "sqlite":
        rows: Any = func.json_each(json.dumps(list(values))).table_valued("value")
        return column.in_(select(rows.c.value))
    return column == any_(bindparam(None, list(values), type_=ARRAY(Text)))
