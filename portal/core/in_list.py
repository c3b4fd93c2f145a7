"""`column IN (…)` for lists of any length: databases limit the number of parameters, so the list travels as one."""

import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import ARRAY, ColumnElement, Text, any_, bindparam, func, select
from sqlalchemy.orm import InstrumentedAttribute

from portal.core.extensions import db


def in_list(column: InstrumentedAttribute[Any], values: Sequence[str]) -> ColumnElement[bool]:
    """The value of a column of text is one of the values."""
    if db.session.get_bind().dialect.name == "sqlite":
        listed: Any = func.json_each(json.dumps(list(values))).table_valued("value")
        return column.in_(select(listed.c.value))
    return column == any_(bindparam(None, list(values), type_=ARRAY(Text)))
