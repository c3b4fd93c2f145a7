"""`portal db`, and waiting for a suitable schema, as every process does when it starts."""

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
_MAX_LISTED = 20


@click.group("db")
def group() -> None:
    """Upgrade or downgrade the database schema, and check the totals."""


@group.command()
@click.argument("revision", default="head")
@with_app_context
def upgrade(revision: str) -> None:
    """Upgrade the schema, by default to the newest revision."""
    from flask_migrate import upgrade as migrate_up

    stored = _stored_revision()
    if revision == "head" and schema_version.is_newer_revision(stored):
        click.echo(f"The tables are from a newer version ({stored}). This version runs on them as they are.")
        return
    _retry_while_locked(lambda: migrate_up(directory=str(schema_version.MIGRATIONS), revision=revision))


@group.command()
@click.argument("revision", default="-1")
@with_app_context
def downgrade(revision: str) -> None:
    """Downgrade the schema, by one step or to a given revision."""
    from flask_migrate import downgrade as migrate_down

    _stored_revision()
    _retry_while_locked(lambda: migrate_down(directory=str(schema_version.MIGRATIONS), revision=revision))


@group.command()
@with_app_context
def mark_restored() -> None:
    """Declare the database restored from a backup. Then nothing in it is sent twice."""
    from portal.delivery.restore_guard import mark_restored

    mark_restored()
    click.echo(
        "Recorded. Before anything is sent, the scheduler looks for waiting texts in Twilio's list. Emails, and sends "
        "whose fan-out had not finished, wait until somebody resumes them."
    )


@group.command()
@click.option("--repair", is_flag=True, help="Correct the totals that differ.")
@with_app_context
def check_totals(repair: bool) -> None:
    """Compare the totals of messages that pages show with a recount."""
    from portal.messages import total_maintenance

    differences = total_maintenance.wrong_totals()
    for row in differences[:_MAX_LISTED]:
        send = f"send {row.send_id}" if row.send_id else "no send"
        click.echo(f"{send}, {row.channel}, {row.state}: {row.count:+,} messages, {row.segments:+,} segments")
    if not differences:
        click.echo("The totals equal a recount.")
    elif repair:
        total_maintenance.repair_totals()
        click.echo(f"Totals corrected: {len(differences):,}.")
    else:
        raise click.ClickException(
            f"Totals that differ from a recount: {len(differences):,}. Run: portal db check-totals --repair"
        )


def _stored_revision() -> str:
    """Raises `StartupError` for a database from before the first release, before anything touches it."""
    with db.engine.connect() as connection:
        revision = schema_version.stored_revision(connection)
    if schema_version.is_prerelease(revision):
        raise StartupError(schema_version.PRERELEASE_DATABASE)
    return revision


def _retry_while_locked(migrate: Callable[[], None]) -> None:
    """Retry instead of waiting longer for a lock, because others would queue up behind us."""
    for remaining in reversed(range(_MAX_ATTEMPTS)):
        try:
            migrate()
            return
        except OperationalError as error:
            if not remaining or getattr(error.orig, "sqlstate", "") != _LOCK_NOT_AVAILABLE:
                raise
            click.echo("A table is in use; trying again.", err=True)


def wait_for_schema(settings: Settings) -> None:
    """Wait until the schema suits this version, printing each new problem once.

    Raises `StartupError` if waiting does not help.
    """
    last_problem = ""
    while problem := _schema_problem(settings):
        if problem in (str(SHARED_POOLER_SESSIONS), schema_version.PRERELEASE_DATABASE):
            raise StartupError(problem)
        if problem != last_problem:
            click.echo(f"Waiting. {problem}", err=True)
            last_problem = problem
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
