"""What commands share: the app context, input, and errors as one line on stderr."""

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
from portal.processes import StartupError, sqlite_host_lock


class IdentifierParam(click.ParamType[str]):
    name = "text"

    def convert(self, value: Any, _param: click.Parameter | None, _context: click.Context | None) -> str:
        return text_input.clean_code(str(value))


IDENTIFIER = IdentifierParam()
"""An argument such as a key, a phone number or the name of a setting, without invisible characters."""


def exit_with_error(sentence: str) -> NoReturn:
    click.echo(sentence, err=True)
    sys.exit(1)


def read_file(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        exit_with_error(f"{path} cannot be read: {error.strerror}.")


def read_file_or_stdin(path: Path) -> bytes:
    """The file's content; `-` stands for stdin."""
    return sys.stdin.buffer.read() if str(path) == "-" else read_file(path)


def with_app_context(command: Callable[..., Any]) -> Callable[..., Any]:
    """Run the command in the app context. Expected errors end it with one sentence and exit code 1."""

    @functools.wraps(command)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        from portal import create_app

        try:
            settings = load_settings()
            sqlite_host_lock.ensure_single_host(settings.database_url)
            with contextlib.suppress(DBAPIError):  # the command fails with it too, and the doctor reports it
                pooler_check.check_pooler(settings.database_url)
            with create_app(settings).app_context():
                return command(*args, **kwargs)
        except ActionRefused as error:
            exit_with_error(" ".join(error.message.split()))
        except (ConfigError, StartupError) as error:
            exit_with_error(str(error))
        except DBAPIError as error:
            exit_with_error(str(explain_connection_error(error, settings.database_url)))

    return wrapped


def explain_connection_error(error: DBAPIError, database_url: str) -> ErrorExplanation:
    database = sqlite_host_lock.database_file(database_url)
    if database is not None and "unable to open" in str(error.orig):
        return _explain_unopened_file(database)
    return explain_database_error(str(error.orig))


def _explain_unopened_file(database: Path) -> ErrorExplanation:
    """SQLite has a single message for every cause."""
    if not database.parent.is_dir():
        cause, fix = (
            f"The database folder {database.parent} does not exist.",
            "Create it, or correct PORTAL_DATABASE_URL.",
        )
    elif database.is_dir():
        cause, fix = f"{database} is a folder, not a database.", "Name a file in PORTAL_DATABASE_URL."
    else:
        cause = f"The database {database} cannot be opened."
        fix = "Give this user permission to read and write it and its folder."
    return ErrorExplanation(cause, fix)
