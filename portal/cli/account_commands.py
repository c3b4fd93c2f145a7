"""`portal accounts`: create, change, deactivate and merge accounts, or import many."""

import sys
from collections.abc import Sequence
from pathlib import Path
from secrets import token_hex
from typing import NoReturn

import click

from portal.accounts import account_management
from portal.accounts.account_attributes import set_attributes
from portal.accounts.account_editing import edit_account
from portal.accounts.account_language import recipient_language
from portal.accounts.account_management import NewAccount
from portal.accounts.rules.roles import ROLES
from portal.accounts.tables.accounts import Account, find_by_external_id
from portal.accounts.tables.attributes import values_of
from portal.authentication.identity_connections import connect_identity, disconnect_identities
from portal.authentication.second_factors import reset_second_factor
from portal.authentication.session_management import revoke_all_sessions
from portal.cli.app_context import IDENTIFIER, exit_with_error, read_file, with_app_context
from portal.consent import account_import
from portal.consent.account_import import ImportRejected, ImportResult
from portal.core.actor import SHELL_ACTOR
from portal.core.clock import now_ms
from portal.core.context import settings
from portal.core.extensions import db
from portal.core.translation import LANGUAGES
from portal.people.deactivation import deactivate_account, reactivate_account
from portal.people.merging import LEAVING, STAYING, MergePlan, merge_accounts, plan_merge
from portal.web.authentication.security_emails import SECOND_FACTOR_REMOVED, security_email

_MAX_LISTED = 50


@click.group(name="accounts")
def group() -> None:
    """Create, import, change, deactivate and merge accounts."""


@group.command()
@click.option("--email", required=True, help="Address for notifications and for signing in.")
@click.option("--name", help="Full name. By default, the part of the email address before the @.")
@click.option("--external-id", type=IDENTIFIER, help="Account number. By default, a new one is generated.")
@click.option("--account-type", "--type", "account_type", default="Staff", show_default=True)
@click.option("--role", type=click.Choice(ROLES), default="user", show_default=True)
@click.option("--timezone", "zone", help="For example America/New_York. By default, that of the organization.")
@click.option("--language", type=click.Choice(list(LANGUAGES)), help="By default, that of the portal.")
@click.option(
    "--password", help="If omitted, you are asked for it on a terminal. The person can also set one by email."
)
@with_app_context
def create(
    email: str,
    name: str | None,
    external_id: str | None,
    account_type: str,
    role: str,
    zone: str | None,
    language: str | None,
    password: str | None,
) -> None:
    """Create an account and print its account number."""
    if password is None and sys.stdin.isatty():
        password = click.prompt("Password", hide_input=True, confirmation_prompt=True)
    external_id = external_id or f"A-{token_hex(4)}"
    person = (external_id, name or email.partition("@")[0], email, account_type, role)
    new = NewAccount(*person, zone or settings().time_zone, password, language or "")
    account_management.create_account(new, now_ms())
    click.echo(external_id)


@group.command(name="import")
@click.argument("file", type=click.Path(path_type=Path))
@with_app_context
def import_file(file: Path) -> None:
    """Import the accounts in a CSV file. If a row has an error, none is imported.

    \b
    Columns: external_id,name,email,account_type,role,timezone,phone,
             sms_opted_in_at,sms_consent_source,language (the first four are
             required), and the keys of attributes
    """
    try:
        result = _import_with_progress(read_file(file))
    except ImportRejected as error:
        exit_with_row_errors(error)
    print_warnings(result.warnings)
    click.echo(f"{result.count:,} {'account' if result.count == 1 else 'accounts'} imported.")


@group.command(name="set-attribute")
@click.argument("external_id", type=IDENTIFIER)
@click.argument("key", type=IDENTIFIER)
@click.argument("value")
@with_app_context
def set_attribute(external_id: str, key: str, value: str) -> None:
    """Set an attribute of the account with this account number. An empty VALUE removes it."""
    account_id = _account_id(external_id)
    set_attributes(account_id, {key: value}, None, now_ms())
    stored = values_of([account_id], [key]).get(account_id, {}).get(key)
    click.echo(f"{key} = {stored}" if stored else f"{key} has no value")


@group.command(name="set-language")
@click.argument("external_id", type=IDENTIFIER)
@click.argument("code", type=click.Choice(["", *LANGUAGES]))
@with_app_context
def set_language(external_id: str, code: str) -> None:
    """Set the language of the account with this account number. An empty CODE is that of the portal."""
    account = find_by_external_id(external_id)
    if account is None:
        exit_with_error(f"There is no account {external_id}.")
    edit_account(account.id, {"language": code}, {}, {"language": account.language}, None, now_ms())
    click.echo(f"{external_id} reads {LANGUAGES[recipient_language(code).code]}")


@group.command()
@click.argument("external_id", type=IDENTIFIER)
@with_app_context
def deactivate(external_id: str) -> None:
    """Deactivate an account: it gets no messages, and nobody signs in with it. What waits for it is ended."""
    ended = deactivate_account(_account_id(external_id), None, now_ms())
    click.echo(f"{external_id} is deactivated. Messages ended: {ended:,}.")


@group.command(name="end-sessions")
@click.argument("external_id", type=IDENTIFIER)
@with_app_context
def end_sessions(external_id: str) -> None:
    """Sign an account out everywhere. Links that were emailed to it before no longer work either."""
    ended = revoke_all_sessions(_account_id(external_id), None, now_ms())
    click.echo(f"{external_id} is signed out everywhere. Sessions ended: {ended:,}.")


@group.command()
@click.argument("external_id", type=IDENTIFIER)
@with_app_context
def reactivate(external_id: str) -> None:
    """Reactivate an account. It gets what is sent from now on."""
    reactivate_account(_account_id(external_id), None, now_ms())
    click.echo(f"{external_id} is active again.")


@group.command(name="reset-second-factor")
@click.argument("external_id", type=IDENTIFIER)
@with_app_context
def remove_second_factor(external_id: str) -> None:
    """Remove the second factor of somebody who lost it. They sign in with the password, and set up a new one."""
    account_id = _account_id(external_id)
    reset_second_factor(account_id, None, now_ms())
    account = db.session.get_one(Account, account_id)
    security_email(account, SECOND_FACTOR_REMOVED, now_ms())()
    click.echo(f"The second factor of {external_id} is removed, and every session of the account has ended.")


@group.command()
@click.argument("leaving", type=IDENTIFIER)
@click.option("--into", "staying", required=True, type=IDENTIFIER, help="The number of the account that stays.")
@click.option(
    "--keep",
    multiple=True,
    metavar="WHAT=SIDE",
    help="Whose value is kept where both have one, such as attribute:region=staying. SIDE is staying or leaving.",
)
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@with_app_context
def merge(leaving: str, staying: str, keep: tuple[str, ...], yes: bool) -> None:
    """Merge the account LEAVING into another one of the same person, and deactivate it. This cannot be undone.

    Prints what moves, and asks for confirmation on a terminal.
    """
    plan = plan_merge(_account_id(staying), _account_id(leaving), None)
    chosen = {name: side for name, _equals, side in (choice.rpartition("=") for choice in keep)}
    for sentence in _merge_effects(plan):
        click.echo(sentence, err=True)
    missing = [name for name in plan.choices if chosen.get(name) not in (STAYING, LEAVING)]
    if missing:
        exit_with_error("Say whose is kept: " + " ".join(f"--keep {name}=staying|leaving" for name in missing))
    question = f"Merge {leaving} into {staying}? This cannot be undone"
    if not yes and sys.stdin.isatty() and not click.confirm(question, err=True):
        exit_with_error("Nothing was changed.")
    merge_accounts(plan.staying.id, plan.leaving.id, chosen, plan.fingerprint, SHELL_ACTOR, now_ms())
    click.echo(f"{leaving} is merged into {staying}.")


@group.command(name="connect-identity")
@click.argument("external_id", type=IDENTIFIER)
@click.argument("subject", type=IDENTIFIER)
@with_app_context
def connect_to_identity(external_id: str, subject: str) -> None:
    """Connect an account with SUBJECT at the provider of the single sign-on, where an address cannot tell."""
    if (config := settings().single_sign_on) is None:
        exit_with_error("There is no single sign-on: set PORTAL_OIDC_ISSUER.")
    connect_identity(external_id, config.issuer, subject, now_ms())
    click.echo(f"{external_id} belongs to {subject} at {config.issuer}.")


@group.command(name="disconnect-identity")
@click.argument("external_id", type=IDENTIFIER)
@with_app_context
def disconnect_from_identity(external_id: str) -> None:
    """Disconnect an account from the single sign-on, and end its sessions."""
    if not disconnect_identities(external_id, now_ms()):
        exit_with_error(f"{external_id} is connected with no identity.")
    click.echo(f"{external_id} is disconnected. The next single sign-on with its verified address connects it again.")


def _merge_effects(plan: MergePlan) -> list[str]:
    """What moves, and where both have something."""
    numbers = [f"Phone number {move.leaving.number}{_in_both(move.choice)}" for move in plan.numbers]
    attributes = [
        f"{move.label}: {move.before or '–'} → {move.after}{_in_both(move.choice)}" for move in plan.attributes
    ]
    stay = f", and {plan.shared_communications:,} stay" if plan.shared_communications else ""
    return [f"Communications: {plan.communications:,} move{stay}.", *numbers, *attributes]


def _in_both(choice: str) -> str:
    return f" (both have one: {choice})" if choice else ""


def _account_id(external_id: str) -> int:
    account = find_by_external_id(external_id)
    if account is None:
        exit_with_error(f"There is no account {external_id}.")
    return account.id


def _import_with_progress(raw: bytes) -> ImportResult:
    """On a terminal, show a progress bar: its first half for checking the rows, its second for importing them."""
    if not sys.stderr.isatty():
        return account_import.import_accounts(raw, now_ms())
    with click.progressbar(length=200, label="Importing", file=sys.stderr) as bar:

        def show(step: str, done: int, total: int) -> None:
            position = 100 * done // max(total, 1) + (100 if step == "Importing" else 0)
            bar.update(max(0, position - bar.pos))

        return account_import.import_accounts(raw, now_ms(), show)


def exit_with_row_errors(error: ImportRejected) -> NoReturn:
    _print_limited([str(row_error) for row_error in error.row_errors])
    exit_with_error(error.message)


def print_warnings(warnings: Sequence[str]) -> None:
    _print_limited([f"Warning: {warning}" for warning in warnings])


def _print_limited(sentences: Sequence[str]) -> None:
    for sentence in sentences[:_MAX_LISTED]:
        click.echo(sentence, err=True)
    if len(sentences) > _MAX_LISTED:
        click.echo(f"… and {len(sentences) - _MAX_LISTED:,} more.", err=True)
