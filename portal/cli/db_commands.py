"""`portal db`, and what every process waits for before it begins: tables that it can work with."""

import time
from collections.abc import Callable

import click
from sqlalchemy import create_engine
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.pool import NullPool

from portal.cli import pooler_check
from portal.cli.app_context import explain_connection_error, with_app_context
from portal.core import schema_version
from portal.core.config import Settings
from portal.core.extensions import db, engine_options
from portal.core.rules.connection_errors import SHARED_POOLER_SESSIONS
from portal.processes import StartupError, sqlite_host_lock

_POLL_SECONDS = 1.0
_MAX_ATTEMPTS = 12
_LOCK_NOT_AVAILABLE = "55P03"


@click.group("db")
def group() -> None:
    """The database's tables."""


@group.command()
@click.argument("revision", default="head")
@with_app_context
def upgrade(revision: str) -> None:
    """Bring the tables up to date."""
    from flask_migrate import upgrade as migrate_up

    found = _stored_revision()
    if revision == "head" and schema_version.is_newer_revision(found):
        click.echo(f"The tables are of a newer version ({found}) than this one, which runs on them as they are.")
        return
    _retry_while_locked(lambda: migrate_up(directory=str(schema_version.MIGRATIONS), revision=revision))


@group.command()
@click.argument("revision", default="-1")
@with_app_context
def downgrade(revision: str) -> None:
    """Take the tables back, one step or to a revision."""
    from flask_migrate import downgrade as migrate_down

    _stored_revision()
    _retry_while_locked(lambda: migrate_down(directory=str(schema_version.MIGRATIONS), revision=revision))


@group.command()
@with_app_context
def mark_restored() -> None:
    """Say that the database was put back from a copy: what waits in it is looked for before it leaves."""
    from portal.delivery.restore_guard import mark_restored

    mark_restored()
    click.echo("Noted. Before anything leaves, the scheduler looks for waiting texts in Twilio's list; mail and sends "
               "that were not expanded to their end wait until somebody resumes them.")  # fmt: skip


def _stored_revision() -> str:
    """Raises `StartupError` for a database from before the first release, before anything touches it."""
    with db.engine.connect() as connection:
        revision = schema_version.stored_revision(connection)
    if schema_version.is_prerelease(revision):
        raise StartupError(schema_version.PRERELEASE_DATABASE)
    return revision


def _retry_while_locked(migrate: Callable[[], None]) -> None:
    """A table in use is tried again soon: to wait for it longer would make everybody else wait behind us."""
    for left in reversed(range(_MAX_ATTEMPTS)):
        try:
            migrate()
            return
        except OperationalError as error:
            if not left or getattr(error.orig, "sqlstate", "") != _LOCK_NOT_AVAILABLE:
                raise
            click.echo("A table is in use; trying again.", err=True)


def wait_for_schema(settings: Settings) -> None:
    """Until the database answers and its tables do for this version; says once what it waits for.

    Raises `StartupError` where waiting helps nobody.
    """
    said = ""
    while lack := _schema_problem(settings):
        if lack in (str(SHARED_POOLER_SESSIONS), schema_version.PRERELEASE_DATABASE):
            raise StartupError(lack)
        if lack != said:
            click.echo(f"Waiting. {lack}", err=True)
            said = lack
        time.sleep(_POLL_SECONDS)


def _schema_problem(settings: Settings) -> str:
    database = sqlite_host_lock.database_file(settings.database_url)
    url = f"sqlite:///{database}" if database else settings.database_url
    options = engine_options(url)["connect_args"]
    engine = create_engine(url, poolclass=NullPool, connect_args=options, hide_parameters=True)
    try:
        pooler_check.check_pooler(url)
        with engine.connect() as connection:
            return schema_version.migration_problem(schema_version.stored_revision(connection))
    except DBAPIError as error:
        return str(explain_connection_error(error, url))
