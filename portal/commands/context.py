"""What every command shares: the app around it, the clock, and one line on stderr when it is refused."""

import contextlib
import functools
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import click
from sqlalchemy.exc import DBAPIError

from portal.actions.errors import Refused
from portal.causes import Cause, database_cause
from portal.commands import pooler
from portal.config import ConfigError, load_settings
from portal.domain import text_input
from portal.domain.sealing import SealError
from portal.processes import Refused as StartRefused
from portal.processes import hosts


class _Code(click.ParamType[str]):
    name = "text"

    def convert(self, value: Any, _param: click.Parameter | None, _context: click.Context | None) -> str:
        return text_input.code(str(value))


CODE = _Code()
"""An argument such as a key, a number or a name of a setting, without what nobody sees."""


def refuse(sentence: str) -> NoReturn:
    click.echo(sentence, err=True)
    sys.exit(1)


def with_app(command: Callable[..., Any]) -> Callable[..., Any]:
    """Run inside the app; what is refused ends with one sentence and exit code 1."""

    @functools.wraps(command)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        from portal import create_app

        try:
            found = load_settings()
            hosts.check(found.database_url)
            with contextlib.suppress(DBAPIError):  # the command meets it too: the doctor reports it among other things
                pooler.check(found.database_url)
            with create_app(found).app_context():
                return command(*args, **kwargs)
        except Refused as error:
            refuse(" ".join(error.sentence.split()))
        except (ConfigError, StartRefused, SealError) as error:
            refuse(str(error))
        except DBAPIError as error:
            refuse(str(trouble_of(error, found.database_url)))

    return wrapped


def trouble_of(error: DBAPIError, database_url: str) -> Cause:
    """Why the database cannot be used, and the way out."""
    database = hosts.database_file(database_url)
    if database is not None and "unable to open" in str(error.orig):
        return _unopened(database)
    return database_cause(str(error.orig))


def _unopened(database: Path) -> Cause:
    """SQLite has one sentence for all that keeps it from opening a file."""
    folder = database.parent
    if not folder.is_dir():
        return Cause(f"The folder of the database, {folder}, is not there.", "Make it, or correct PORTAL_DATABASE_URL.")
    if database.is_dir():
        return Cause(f"{database} is a folder, and no database.", "Name a file in PORTAL_DATABASE_URL.")
    return Cause(
        f"The database {database} cannot be opened.", "Give this user the right to read and write it and its folder."
    )
