"""What every command shares: the app around it, the clock, and one line on stderr when it is refused."""

import contextlib
import functools
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import click
from sqlalchemy.exc import DBAPIError

from portal.cli import pooler_check
from portal.core.config import ConfigError, load_settings
from portal.core.errors import ActionRefused
from portal.core.rules import text_input
from portal.core.rules.connection_errors import ErrorExplanation, explain_database_error
from portal.processes import StartupError as StartupError
from portal.processes import sqlite_host_lock
from portal.settings.rules.encryption import DecryptionError


class IdentifierParam(click.ParamType[str]):
    name = "text"

    def convert(self, value: Any, _param: click.Parameter | None, _context: click.Context | None) -> str:
        return text_input.clean_code(str(value))


IDENTIFIER = IdentifierParam()
"""An argument such as a key, a number or a name of a setting, without what nobody sees."""


def exit_with_error(sentence: str) -> NoReturn:
    click.echo(sentence, err=True)
    sys.exit(1)


def with_app_context(command: Callable[..., Any]) -> Callable[..., Any]:
    """Run inside the app; what is refused ends with one sentence and exit code 1."""

    @functools.wraps(command)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        from portal import create_app

        try:
            found = load_settings()
            sqlite_host_lock.ensure_single_host(found.database_url)
            with contextlib.suppress(DBAPIError):  # the command meets it too: the doctor reports it among other things
                pooler_check.check_pooler(found.database_url)
            with create_app(found).app_context():
                return command(*args, **kwargs)
        except ActionRefused as error:
            exit_with_error(" ".join(error.message.split()))
        except (ConfigError, StartupError, DecryptionError) as error:
            exit_with_error(str(error))
        except DBAPIError as error:
            exit_with_error(str(explain_connection_error(error, found.database_url)))

    return wrapped


def explain_connection_error(error: DBAPIError, database_url: str) -> ErrorExplanation:
    """Why the database cannot be used, and the way out."""
    database = sqlite_host_lock.database_file(database_url)
    if database is not None and "unable to open" in str(error.orig):
        return _explain_unopened_file(database)
    return explain_database_error(str(error.orig))


def _explain_unopened_file(database: Path) -> ErrorExplanation:
    """SQLite has one sentence for all that keeps it from opening a file."""
    folder = database.parent
    if not folder.is_dir():
        return ErrorExplanation(
            f"The folder of the database, {folder}, is not there.", "Make it, or correct PORTAL_DATABASE_URL."
        )
    if database.is_dir():
        return ErrorExplanation(f"{database} is a folder, and no database.", "Name a file in PORTAL_DATABASE_URL.")
    return ErrorExplanation(
        f"The database {database} cannot be opened.", "Give this user the right to read and write it and its folder."
    )
