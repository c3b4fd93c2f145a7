"""`portal consent`: verify the ledger, invite, opt a number out, import opt-outs, export evidence."""

import sys
from collections.abc import Iterable
from pathlib import Path

import click

from portal.accounts.tables.accounts import find_by_external_id
from portal.accounts.tables.phone_numbers import PhoneNumber, phones_of
from portal.cli.account_commands import print_row_errors, print_warnings
from portal.cli.app_context import IDENTIFIER, exit_with_error, with_app_context
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
from portal.core.rules.csv_input import decode_csv
from portal.core.rules.phone import PhoneError, is_e164, parse_search_phone, to_e164, unlisted_number_warning
from portal.core.rules.time_format import start_of_day_ms


@click.group(name="consent")
def group() -> None:
    """Opt-ins, opt-outs, and the ledger that proves them."""


@group.command(name="verify")
@click.option("--head", metavar="DIGEST", default="", help="A digest noted earlier, which must be in the chain.")
@with_app_context
def verify_ledger(head: str) -> None:
    """Verify the whole chain. Exit code 1 if an event does not fit."""
    result = verify_chain(head)
    if result.first_break:
        exit_with_error(f"Event {result.first_break.event_id} does not fit: {result.first_break.reason}.")
    if result.known_event_id is None:
        exit_with_error(
            "The ledger is unbroken, but the digest you noted is not in it: it was rewritten or cut off since."
        )
    events = f"{result.event_count:,} {'event' if result.event_count == 1 else 'events'}"
    click.echo(f"{events}, unbroken. Last digest {result.last_digest}")
    if result.known_event_id:
        click.echo(f"The digest you noted is that of event {result.known_event_id}.")


@group.command(name="opt-out")
@click.argument("number")
@click.option(
    "--how", type=click.Choice(list(OPT_OUT_CHANNELS)), required=True, help="How the person asked to be opted out."
)
@click.option("--reason", required=True, help="What was said or written, by whom and when. It is kept as evidence.")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@with_app_context
def opt_out(number: str, how: str, reason: str, yes: bool) -> None:
    """Opt a number out for somebody who asked by phone, by email or in another way, even while texts are off.

    Prints whose number it is and what ends, and asks for confirmation on a terminal. A number that is not in the list
    of valid numbers is accepted if it is written in full, such as +14362345678.
    """
    try:
        valid = manual_consent.check_opt_out(number, how, reason, confirmed_phone=number)
        if warning := unlisted_number_warning(valid.number):
            print_warnings([warning])
        for sentence in opt_out_effects(load_number_overview(valid.number, now_ms())):
            click.echo(sentence, err=True)
        question = f"Opt out {valid.number}? This cannot be undone"
        if not yes and sys.stdin.isatty() and not click.confirm(question, err=True):
            exit_with_error("Nothing was done.")
        manual_consent.opt_out(valid.number, valid.channel, valid.reason, SHELL_ACTOR, now_ms(), valid.number)
    except NumberUnconfirmed as error:
        exit_with_error(f"{error.message} If they are right, write it in full: {error.phone_number}")
    except InvalidInput as error:
        exit_with_error(error.message)
    click.echo(f"{valid.number} is opted out. Only START from that phone turns texts on again.")


@group.command()
@click.argument("external_id", type=IDENTIFIER)
@click.argument("number", type=IDENTIFIER)
@click.option("--yes", is_flag=True, help="The person has read this text and agrees.")
@with_app_context
def invite(external_id: str, number: str, yes: bool) -> None:
    """Ask for texts at a number of an account. The phone gets an invitation, and START turns texts on.

    Prints the text that the person agrees to. If the number is opted out, no invitation is sent: the request is kept,
    and the command says what to text from that phone.
    """
    phone = _require_phone(external_id, number)
    phone_id, prompt = phone.id, invitations.opt_in_prompt(phone.number)
    click.echo(prompt.text, err=True)
    if name := invitations.displaced_account_of(phone, viewer_is_admin=True).name:
        click.echo(f"START moves the texts from {name}, which then gets notifications by email only.", err=True)
    if not yes and not (sys.stdin.isatty() and click.confirm("Has the person read this and agreed?", err=True)):
        exit_with_error("Nothing was done. Add --yes if the person has read this text and agrees.")
    try:
        invitations.invite(phone_id, Actor(is_admin=True), prompt.version, now_ms())
    except RequestRecorded as recorded:
        click.echo(f"{recorded.message} The request is kept for 30 days.")
    else:
        click.echo(f"The invitation is on its way to {number}. Texts begin when that phone replies START.")


@group.command(name="import-opt-outs")
@click.argument("file", type=click.Path(path_type=Path))
@with_app_context
def import_opt_outs_command(file: Path) -> None:
    """Import opt-outs, all of them or none: one number a line, or a CSV.

    \b
    Columns: phone,stopped_at,reason (only phone is required). - reads from stdin.
    """
    try:
        raw = sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
    except OSError as error:
        exit_with_error(f"{file} cannot be read: {error.strerror}.")
    try:
        decoded = decode_csv(raw)
        result = opt_out_import.import_opt_outs(decoded.text, SHELL_ACTOR, now_ms())
    except ImportRejected as error:
        print_row_errors(error)
        exit_with_error(error.message)
    print_warnings([*decoded.warnings, *map(str, result.warnings)])
    click.echo(result.summary)


@group.command()
@click.option("--number", type=IDENTIFIER, default="", help="One number, such as +12025550100.")
@click.option(
    "--account", type=IDENTIFIER, default="", metavar="EXTERNAL_ID", help="One account, by its account number."
)
@click.option(
    "--from", "since", type=IDENTIFIER, default="", metavar="DAY", help="The first day, such as 2026-03-01, in UTC."
)
@click.option("--to", "until", type=IDENTIFIER, default="", metavar="DAY", help="The last day.")
@click.option("--format", "file_format", type=click.Choice(["csv", "json"]), default="csv", show_default=True)
@with_app_context
def export(number: str, account: str, since: str, until: str, file_format: str) -> None:
    """Write consent evidence to stdout: for a number, an account, a period, or the whole ledger."""
    if number and not is_e164(number):
        exit_with_error(f"Write the number with + and its country code, not {number!r}.")
    ledger_filter = LedgerFilter(
        number=number,
        account_id=_require_account_id(account) if account else None,
        since_ms=_parse_day(since),
        until_ms=_parse_day(until, days_later=1),
        since_day=since,
        until_day=until,
    )
    parts = [number, account, f"from {since}" if since else "", f"to {until}" if until else ""]
    subject = " ".join(filter(None, parts)) or "the whole ledger"
    consent_export = build_export(ledger_filter, subject, file_format, "the command line", "UTC", now_ms())
    write = consent_export_files.export_csv if file_format == "csv" else consent_export_files.export_json
    _write_lines(write(consent_export))


def _require_phone(external_id: str, number: str) -> PhoneNumber:
    e164 = _parse_number(number)
    phones = [phone for phone in phones_of(_require_account_id(external_id)) if phone.number == e164]
    return phones[0] if phones else exit_with_error(f"{number} is not on account {external_id}. Add it there first.")


def _parse_number(typed: str) -> str:
    try:
        return parse_search_phone(typed, settings().region) or to_e164(typed, settings().region)
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


def _write_lines(lines: Iterable[str]) -> None:
    for line in lines:
        sys.stdout.buffer.write(line.encode())
    sys.stdout.flush()
