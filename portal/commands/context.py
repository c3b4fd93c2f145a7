"""What every command shares: the app around it, the clock, and one line on stderr when it is refused."""

import functools
import sys
from collections.abc import Callable
from typing import Any, NoReturn

import click
from sqlalchemy.exc import OperationalError, ProgrammingError

from portal.actions.errors import Refused
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
            with create_app(found).app_context():
                return command(*args, **kwargs)
        except Refused as error:
            refuse(" ".join(error.sentence.split()))
        except (ConfigError, StartRefused, SealError) as error:
            refuse(str(error))
        except (OperationalError, ProgrammingError) as error:
            refuse(database_trouble(str(error.orig)))

    return wrapped


def database_trouble(words: str) -> str:
    if "no such column" in words or words.startswith("column "):
        return "The tables are older than this version. Run: portal db upgrade"
    if "no such table" in words or "does not exist" in words:
        return "The database is not set up yet. Run: portal db upgrade"
    return f"The database does not answer as it should: {words.splitlines()[0]}"
