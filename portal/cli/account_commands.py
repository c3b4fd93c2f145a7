"""`portal accounts`: create one, import many."""

import sys
from collections.abc import Sequence
from pathlib import Path
from secrets import token_hex

import click

from portal.accounts import account_management
from portal.accounts.account_management import NewAccount
from portal.accounts.rules.account_csv import ROLES
from portal.cli.app_context import IDENTIFIER, exit_with_error, with_app_context
from portal.consent import account_import
from portal.consent.account_import import ImportRejected, ImportResult
from portal.core.clock import now_ms

_MAX_LISTED = 50


@click.group(name="accounts")
def group() -> None:
    """Who can sign in."""


@group.command()
@click.option("--email", required=True, help="Where notifications go, and what one signs in with.")
@click.option("--name", help="Full name; by default what stands before the @.")
@click.option("--external-id", type=IDENTIFIER, help="Account number; by default one is made up.")
@click.option("--account-type", "--type", "account_type", default="Staff", show_default=True)
@click.option("--role", type=click.Choice(ROLES), default="user", show_default=True)
@click.option("--timezone", default="UTC", show_default=True, help="Such as America/New_York.")
@click.option("--password", help="Asked for on a terminal when left out; the person can set one by mail.")
@with_app_context
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
    account_management.create_account(new, now_ms())
    click.echo(number)


@group.command(name="import")
@click.argument("file", type=click.Path(path_type=Path))
@with_app_context
def import_file(file: Path) -> None:
    """Import accounts from a CSV, all of them or none.

    \b
    Columns: external_id,name,email,account_type,role,timezone,phone,
             sms_opted_in_at,sms_consent_source (the first four must be there)
    """
    try:
        raw = file.read_bytes()
    except OSError as error:
        exit_with_error(f"{file} cannot be read: {error.strerror}.")
    try:
        done = _import_with_progress(raw)
    except ImportRejected as error:
        print_row_errors(error)
        exit_with_error(error.message)
    print_warnings(done.warnings)
    click.echo(f"{done.count:,} {'account' if done.count == 1 else 'accounts'} imported.")


def _import_with_progress(raw: bytes) -> ImportResult:
    """With a bar that goes through checking and writing, where somebody watches."""
    bars: dict[str, int] = {}
    if not sys.stderr.isatty():
        return account_import.import_accounts(raw, now_ms())
    with click.progressbar(length=200, label="Importing", file=sys.stderr) as bar:

        def show(what: str, done: int, total: int) -> None:
            share = 100 * done // max(total, 1) + (100 if what == "Importing" else 0)
            bar.update(max(0, share - bars.get("at", 0)))
            bars["at"] = max(share, bars.get("at", 0))

        return account_import.import_accounts(raw, now_ms(), show)


def print_row_errors(error: ImportRejected) -> None:
    _print_limited([str(row_error) for row_error in error.row_errors])


def print_warnings(warnings: Sequence[str]) -> None:
    """What was imported all the same, and should be looked at."""
    _print_limited([f"Warning. {warning}" for warning in warnings])


def _print_limited(sentences: Sequence[str]) -> None:
    for sentence in sentences[:_MAX_LISTED]:
        click.echo(sentence, err=True)
    more = len(sentences) - _MAX_LISTED
    if more > 0:
        click.echo(f"… and {more:,} more.", err=True)
