"""Make a template fail if it names an attribute that its object does not have."""

from typing import Any

from flask import Flask
from jinja2 import Undefined, UndefinedError
from jinja2.utils import missing


class MissingAttribute(Undefined):
    """An optional variable and a missing key of a mapping stay empty; a missing attribute is a misspelling."""

    def __init__(self, hint: str | None = None, obj: Any = missing, name: str | None = None, **options: Any) -> None:
        super().__init__(hint, obj, name, **options)
        if obj is not missing and not isinstance(obj, dict | str | list | tuple):
            raise UndefinedError(self._undefined_message)


def fail_on_missing_attributes(app: Flask) -> None:
    app.jinja_env.undefined = MissingAttribute
