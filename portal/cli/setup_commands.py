"""`portal setup`: put a new portal into service."""

import sys
from pathlib import Path

import click

from portal.accounts.tables.accounts import find_by_external_id
from portal.cli.app_context import IDENTIFIER, exit_with_error, read_file, with_app_context
from portal.core.clock import now_ms
from portal.core.rules.setting_schema import parse_json_object
from portal.core.translation import LANGUAGES
from portal.operations import test_messages
from portal.settings import organisation_changes
from portal.settings.rules.installation_settings import EMAIL_SERVER
from portal.setup import checklist, email_proof, first_sysadmin, twilio_connection
from portal.setup.email_proof import EmailTest
from portal.setup.organisation_step import OrganisationInput, save_organisation
from portal.setup.rules.steps import STEPS
from portal.setup.twilio_connection import TwilioInput


@click.group(name="setup")
def group() -> None:
    """Put a new portal into service: the steps of the checklist."""


@group.command()
@with_app_context
def link() -> None:
    """Print a link that makes the first system administrator. It works once, for an hour."""
    if address := first_sysadmin.issue_link(now_ms()):
        click.echo("Open this link within an hour to create the first account:")
        click.echo(address)


@group.command()
@with_app_context
def status() -> None:
    """List the steps and which of them are done. Exits with 1 if one is not."""
    states = checklist.step_states(now_ms())
    for state in states:
        click.echo("\t".join([state.step.key, "done" if state.is_done else "to do", state.detail]).rstrip())
    sys.exit(0 if all(state.is_done for state in states) else 1)


@group.command()
@click.option("--name", help="The name by which people know you.")
@click.option("--name-in-texts", help="A shorter name for texts to begin with: at most 20 characters.")
@click.option("--public-url", help="What people type to reach the portal: https:// and a name.")
@click.option("--region", help="The two letters of the country, such as US.")
@click.option("--time-zone", help="That of new accounts, such as America/New_York.")
@click.option("--language", type=click.Choice(list(LANGUAGES)), help="For people who have chosen none.")
@click.option("--logo", type=click.Path(path_type=Path), help="A PNG, JPEG or WebP file.")
@with_app_context
def organization(
    name: str | None,
    name_in_texts: str | None,
    public_url: str | None,
    region: str | None,
    time_zone: str | None,
    language: str | None,
    logo: Path | None,
) -> None:
    """Set who runs the portal, and where."""
    entered = OrganisationInput(name, name_in_texts, public_url, region, time_zone, language)
    save_organisation(entered, None, now_ms(), "cli")
    if logo is not None:
        organisation_changes.save_logo(read_file(logo), None, now_ms())


@group.command()
@click.option("--to", "external_id", required=True, type=IDENTIFIER, help="The number of the account that gets it.")
@click.option("--server", help='The mail server to save first, as JSON: {"Host": ..., "From": ...}; - reads stdin.')
@with_app_context
def email(external_id: str, server: str | None) -> None:
    """Send a test email with a code, and print where it went. Then run: portal setup confirm-email CODE."""
    account = find_by_external_id(external_id)
    if account is None:
        exit_with_error(f"There is no account {external_id}.")
    text = sys.stdin.read() if server == "-" else server
    values = parse_json_object(EMAIL_SERVER, text) if text else None
    click.echo(email_proof.test_email(EmailTest(account.id, values, "cli"), now_ms()))


@group.command()
@click.argument("code", type=IDENTIFIER)
@with_app_context
def confirm_email(code: str) -> None:
    """Confirm with its code that the test email has arrived."""
    email_proof.confirm_arrival(code, now_ms())


@group.command()
@click.option("--account-sid", required=True, type=IDENTIFIER)
@click.option("--number", required=True, type=IDENTIFIER, help="The number of the account that texts come from.")
@click.option("--number-type", default="", type=click.Choice(["", "long_code", "toll_free", "short_code"]))
@with_app_context
def twilio(account_sid: str, number: str, number_type: str) -> None:
    """Connect Twilio, and set the addresses that it calls. The auth token is read from stdin."""
    entered = TwilioInput(account_sid, sys.stdin.read().strip(), number, number_type)
    twilio_connection.connect(entered, None, now_ms(), "cli")
    click.echo(twilio_connection.set_webhooks(None, now_ms()))


@group.command()
@click.argument("number", type=IDENTIFIER)
@click.option("--from", "external_id", required=True, type=IDENTIFIER, help="The number of the account that sends it.")
@with_app_context
def test_text(number: str, external_id: str) -> None:
    """Send a test text."""
    account = find_by_external_id(external_id)
    if account is None:
        exit_with_error(f"There is no account {external_id}.")
    test_messages.send_test_text(number, test_messages.default_body(), account.id, now_ms())


@group.command()
@click.argument("step", type=click.Choice([step.key for step in STEPS if step.confirmation]))
@with_app_context
def confirm(step: str) -> None:
    """Confirm a step that the portal cannot judge by itself."""
    checklist.confirm_step(step, now_ms())


@group.command()
@with_app_context
def close() -> None:
    """Take the checklist out of the menu."""
    checklist.close(now_ms())
