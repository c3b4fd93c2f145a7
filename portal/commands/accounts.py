"""`portal accounts`: create one, import many."""

import sys
from collections.abc import Sequence
from pathlib import Path
from secrets import token_hex

import click

from portal.actions import accounts
from portal.actions.accounts import Imported, ImportRefused, NewAccount
from portal.clock import now_ms
from portal.commands.context import CODE, refuse, with_app
from portal.domain.roster import ROLES

_MOST_SHOWN = 50


@click.group(name="accounts")
def group() -> None:
    """Who can sign in."""


@group.command()
@click.option("--email", required=True, help="Where notifications go, and what one signs in with.")
@click.option("--name", help="Full name; by default what stands before the @.")
@click.option("--external-id", type=CODE, help="Account number; by default one is made up.")
@click.option("--account-type", "--type", "account_type", default="Staff", show_default=True)
@click.option("--role", type=click.Choice(ROLES), default="user", show_default=True)
@click.option("--timezone", default="UTC", show_default=True, help="Such as America/New_York.")
@click.option("--password", help="Asked for on a terminal when left out; the person can set one by mail.")
@with_app
def create(
    email: str,
    name: str | None,
    external_id: str | None,
    account_type: str,
    role: str,
    timezone: str,
    password: str | None,
) -> None:
    """Create an account; prints its account number."""
    if password is None and sys.stdin.isatty():
        password = click.prompt("Password", hide_input=True, confirmation_prompt=True)
    number = external_id or f"A-{token_hex(4)}"
    new = NewAccount(number, name or email.partition("@")[0], email, account_type, role, timezone, password)
    accounts.create_account(new, now_ms())
    click.echo(number)


@group.command(name="import")
@click.argument("file", type=click.Path(path_type=Path))
@with_app
def import_file(file: Path) -> None:
    """Import accounts from a CSV, all of them or none.

    \b
    Columns: external_id,name,email,account_type,role,timezone,phone,
             sms_opted_in_at,sms_consent_source (the first four must be there)
    """
    try:
        raw = file.read_bytes()
    except OSError as error:
        refuse(f"{file} cannot be read: {error.strerror}.")
    try:
        done = _import(raw)
    except ImportRefused as error:
        list_mistakes(error)
        refuse(error.sentence)
    list_warnings(done.warnings)
    click.echo(f"{done.count:,} {'account' if done.count == 1 else 'accounts'} imported.")


def _import(raw: bytes) -> Imported:
    """With a bar that goes through checking and writing, where somebody watches."""
    bars: dict[str, int] = {}
    if not sys.stderr.isatty():
        return accounts.import_accounts(raw, now_ms())
    with click.progressbar(length=200, label="Importing", file=sys.stderr) as bar:

        def show(what: str, done: int, total: int) -> None:
            share = 100 * done // max(total, 1) + (100 if what == "Importing" else 0)
            bar.update(max(0, share - bars.get("at", 0)))
            bars["at"] = max(share, bars.get("at", 0))

        return accounts.import_accounts(raw, now_ms(), show)


def list_mistakes(error: ImportRefused) -> None:
    _list([str(mistake) for mistake in error.mistakes])


def list_warnings(warnings: Sequence[str]) -> None:
    """What was imported all the same, and should be looked at."""
    _list([f"Warning. {warning}" for warning in warnings])


def _list(sentences: Sequence[str]) -> None:
    for sentence in sentences[:_MOST_SHOWN]:
        click.echo(sentence, err=True)
    more = len(sentences) - _MOST_SHOWN
    if more > 0:
        click.echo(f"… and {more:,} more.", err=True)
