"""`portal consent`: verify the ledger, invite, opt out, import opt-outs, export evidence."""

import sys
from pathlib import Path

import click

from portal.accounts.tables.accounts import find_by_external_id
from portal.accounts.tables.phone_numbers import PhoneNumber, phones_of
from portal.cli.account_commands import exit_with_row_errors, print_warnings
from portal.cli.app_context import IDENTIFIER, exit_with_error, read_file_or_stdin, with_app_context
from portal.consent import consent_export_files, invitations, manual_consent, opt_out_import
from portal.consent.account_import import ImportRejected
from portal.consent.consent_export import build_export
from portal.consent.invitations import RequestRecorded
from portal.consent.ledger_verification import verify_chain
from portal.consent.number_overview import load_number_overview, opt_out_effects
from portal.consent.rules.consent_labels import OPT_OUT_CHANNELS
from portal.consent.tables.ledger_search import LedgerFilter
from portal.core.actor import SHELL_ACTOR, Actor
from portal.core.clock import now_ms
from portal.core.context import settings
from portal.core.errors import InvalidInput, NumberUnconfirmed
from portal.core.rules.phone import PhoneError, is_e164, parse_search_phone, to_e164, unlisted_number_warning
from portal.core.rules.spreadsheets.spreadsheet_rows import decode_spreadsheet
from portal.core.rules.time_format import start_of_day_ms


@click.group(name="consent")
def group() -> None:
    """Record and export consent, and verify its ledger."""


@group.command(name="verify")
@click.option("--head", metavar="DIGEST", default="", help="A digest that you noted earlier; it must be in the chain.")
@with_app_context
def verify_ledger(head: str) -> None:
    """Verify the ledger's whole hash chain. Exits with 1 if it is broken."""
    result = verify_chain(head)
    if result.first_break:
        exit_with_error(f"Event {result.first_break.event_id} does not fit: {result.first_break.reason}.")
    if result.known_event_id is None:
        exit_with_error(
            "The ledger is unbroken, but does not contain your digest: it was rewritten or truncated since then."
        )
    events = f"{result.event_count:,} {'event' if result.event_count == 1 else 'events'}"
    click.echo(f"{events}, unbroken. Last digest {result.last_digest}")
    if result.known_event_id:
        click.echo(f"The digest you noted is that of event {result.known_event_id}.")


@group.command(name="opt-out")
@click.argument("number")
@click.option("--how", type=click.Choice(list(OPT_OUT_CHANNELS)), required=True, help="How the person asked for it.")
@click.option("--reason", required=True, help="Who said or wrote what, and when. It is kept as evidence.")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@with_app_context
def opt_out(number: str, how: str, reason: str, yes: bool) -> None:
    """Opt out a number for somebody who asked by phone, by email or in another way, even while texts are off.

    Prints whose number it is and which texts end, and asks for confirmation on a terminal. A number outside the known
    ranges is accepted if it is written in full, such as +14362345678.
    """
    try:
        valid = manual_consent.check_opt_out(number, how, reason, confirmed_phone=number)
        if warning := unlisted_number_warning(valid.number):
            print_warnings([warning])
        for sentence in opt_out_effects(load_number_overview(valid.number, now_ms())):
            click.echo(sentence, err=True)
        question = f"Opt out {valid.number}? This cannot be undone"
        if not yes and sys.stdin.isatty() and not click.confirm(question, err=True):
            exit_with_error("Nothing was changed.")
        manual_consent.opt_out(valid.number, valid.channel, valid.reason, SHELL_ACTOR, now_ms(), valid.number)
    except NumberUnconfirmed as error:
        exit_with_error(f"{error.message} If they are right, write it in full: {error.phone_number}")
    except InvalidInput as error:
        exit_with_error(error.message)
    click.echo(f"{valid.number} is opted out. Only START from that phone turns texts on again.")


@group.command()
@click.argument("external_id", type=IDENTIFIER)
@click.argument("number", type=IDENTIFIER)
@click.option("--yes", is_flag=True, help="Confirm that the person has read the printed text and agrees.")
@with_app_context
def invite(external_id: str, number: str, yes: bool) -> None:
    """Request texts for a phone number of an account. The phone gets an invitation, and START turns texts on.

    Prints the text that the person agrees to. If the number is opted out, no invitation is sent: the request is kept,
    and the command prints what to text from that phone.
    """
    phone = _require_phone(external_id, number)
    prompt = invitations.opt_in_prompt(phone.number)
    click.echo(prompt.text, err=True)
    if name := invitations.displaced_account_of(phone, viewer_is_admin=True):
        click.echo(f"START moves the texts from {name}, who then gets notifications by email only.", err=True)
    if not yes and not (sys.stdin.isatty() and click.confirm("Has the person read this and agreed?", err=True)):
        exit_with_error("Nothing was changed. Add --yes if the person has read this text and agrees.")
    try:
        invitations.invite(phone.id, Actor(is_admin=True), prompt.fingerprint, now_ms())
    except RequestRecorded as recorded:
        click.echo(f"{recorded.message} The request is kept for 30 days.")
    else:
        click.echo(f"The invitation is on its way to {number}. Texts begin when that phone replies START.")


@group.command(name="import-opt-outs")
@click.argument("file", type=click.Path(path_type=Path))
@with_app_context
def import_opt_outs_command(file: Path) -> None:
    """Import the opt-outs in a file. It has one number per line, or is a CSV. If a row has an error, none is imported.

    \b
    Columns: phone,stopped_at,reason (only phone is required). - reads from stdin.
    """
    try:
        decoded = decode_spreadsheet(read_file_or_stdin(file))
        result = opt_out_import.import_opt_outs(decoded.text, SHELL_ACTOR, now_ms())
    except ImportRejected as error:
        exit_with_row_errors(error)
    print_warnings([*decoded.warnings, *map(str, result.warnings)])
    click.echo(result.summary)


@group.command()
@click.option("--number", type=IDENTIFIER, default="", help="Only this phone number, such as +12025550100.")
@click.option("--account", type=IDENTIFIER, default="", metavar="EXTERNAL_ID", help="Only this account number.")
@click.option(
    "--from", "since", type=IDENTIFIER, default="", metavar="DAY", help="First day (UTC), such as 2026-03-01."
)
@click.option("--to", "until", type=IDENTIFIER, default="", metavar="DAY", help="Last day (UTC).")
@click.option("--format", "file_format", type=click.Choice(["csv", "json"]), default="csv", show_default=True)
@with_app_context
def export(number: str, account: str, since: str, until: str, file_format: str) -> None:
    """Write consent evidence to stdout: for a number, an account, a period, or the whole ledger."""
    if number and not is_e164(number):
        exit_with_error(f"Write the number with + and its country code, not {number!r}.")
    account_id = _require_account_id(account) if account else None
    since_ms, until_ms = _parse_day(since), _parse_day(until, days_later=1)
    ledger_filter = LedgerFilter(
        number=number, account_id=account_id, since_ms=since_ms, until_ms=until_ms, since_day=since, until_day=until
    )
    parts = [number, account, f"from {since}" if since else "", f"to {until}" if until else ""]
    subject = " ".join(filter(None, parts)) or "the whole ledger"
    consent_export = build_export(ledger_filter, subject, file_format, "the command line", "UTC", now_ms())
    write = consent_export_files.export_csv if file_format == "csv" else consent_export_files.export_json
    for line in write(consent_export):
        sys.stdout.buffer.write(line.encode())
    sys.stdout.flush()


def _require_phone(external_id: str, number: str) -> PhoneNumber:
    e164 = _parse_number(number)
    phones = phones_of(_require_account_id(external_id))
    return next((phone for phone in phones if phone.number == e164), None) or exit_with_error(
        f"{number} is not on account {external_id}. Add it there first."
    )


def _parse_number(number: str) -> str:
    try:
        return parse_search_phone(number, settings().region) or to_e164(number, settings().region)
    except PhoneError as error:
        exit_with_error(str(error))


def _require_account_id(external_id: str) -> int:
    account = find_by_external_id(external_id)
    return account.id if account else exit_with_error(f"There is no account with the number {external_id!r}.")


def _parse_day(text: str, days_later: int = 0) -> int | None:
    day_ms = start_of_day_ms(text, "UTC", days_later)
    if text and day_ms is None:
        exit_with_error(f"Write the day like 2026-03-01, not {text!r}.")
    return day_ms
