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
from portal.core.rules.phone import PhoneError, is_e164, parse_search_phone, to_e164, unlisted_number_warning
from portal.core.rules.time_format import start_of_day_ms


@click.group(name="consent")
def group() -> None:
    """Who agreed to texts, who left, and the ledger that proves it."""


@group.command(name="verify")
@click.option("--head", metavar="DIGEST", default="", help="A digest noted earlier; it must be in the chain.")
@with_app_context
def verify_ledger(head: str) -> None:
    """Walk the whole chain; exit code 1 when an event does not fit."""
    verdict = verify_chain(head)
    if verdict.first_break:
        exit_with_error(f"Event {verdict.first_break.event_id} does not fit: {verdict.first_break.reason}.")
    if verdict.known_event_id is None:
        exit_with_error(
            "The ledger is unbroken, but the digest you noted is not in it: it was written anew since, or cut off."
        )
    events = f"{verdict.event_count:,} {'event' if verdict.event_count == 1 else 'events'}"
    click.echo(f"{events}, unbroken. Last digest {verdict.last_digest}")
    if verdict.known_event_id:
        click.echo(f"The digest you known_event_id is that of event {verdict.known_event_id}.")


@group.command(name="opt-out")
@click.argument("number")
@click.option("--how", type=click.Choice(list(OPT_OUT_CHANNELS)), required=True, help="How the person asked for it.")
@click.option("--reason", required=True, help="What was said or written, by whom and when: it is kept as the evidence.")
@click.option("--yes", is_flag=True, help="Do not ask on a terminal either.")
@with_app_context
def opt_out(number: str, how: str, reason: str, yes: bool) -> None:
    """Opt a number out for somebody who asked by phone, by email or in another way, also while texts are off.

    Says first whose number it is and what ends, and asks on a terminal. A script is not asked: no opt-out waits. A
    number that is in no list of numbers is taken when it is written in full, such as +14362345678.
    """
    try:
        found = manual_consent.check_opt_out(number, how, reason, confirmed_phone=number)
        if unsure := unlisted_number_warning(found.number):
            print_warnings([unsure])
        for sentence in opt_out_effects(load_number_overview(found.number, now_ms())):
            click.echo(sentence, err=True)
        if not yes and sys.stdin.isatty() and not click.confirm(f"Opt out {found.number}? Nothing undoes it", err=True):
            exit_with_error("Nothing was done.")
        done = manual_consent.opt_out(found.number, found.channel, found.reason, SHELL_ACTOR, now_ms(), found.number)
    except NumberUnconfirmed as error:
        exit_with_error(f"{error.message} If they are right, write it in full: {error.phone_number}")
    except InvalidInput as error:
        exit_with_error(error.message)
    click.echo(f"{done} is opted out. Only START from that phone turns texts on again.")


@group.command()
@click.argument("external_id", type=IDENTIFIER)
@click.argument("number", type=IDENTIFIER)
@click.option("--yes", is_flag=True, help="The person has read these words and agrees.")
@with_app_context
def invite(external_id: str, number: str, yes: bool) -> None:
    """Ask for texts for an account, at a number that is on it: the phone gets an invitation, and START turns texts on.

    Prints the words that the person agrees to. While the number is opted out no invitation leaves; the wish is kept,
    and the command says what to text from that phone.
    """
    phone = _require_phone(external_id, number)
    phone_id, words = phone.id, invitations.opt_in_prompt(phone.number)
    click.echo(words.text, err=True)
    if moves := invitations.displaced_account_of(phone, viewer_is_admin=True).name:
        click.echo(f"START moves the texts there from {moves}, whose notifications then come by email only.", err=True)
    if not yes and not (sys.stdin.isatty() and click.confirm("Has the person read this, and agrees?", err=True)):
        exit_with_error("Nothing was done. Add --yes when the person has read these words and agrees.")
    try:
        invitations.invite(phone_id, Actor(is_admin=True), words.version, now_ms())
    except RequestRecorded as kept:
        click.echo(f"{kept.message} The wish is kept for 30 days.")
    else:
        click.echo(f"The invitation is on its way to {number}. Texts begin when START comes from that phone.")


@group.command(name="import-opt-outs")
@click.argument("file", type=click.Path(path_type=Path))
@with_app_context
def import_opt_outs_command(file: Path) -> None:
    """Import opt-outs, all of them or none: a number a line, or a CSV.

    \b
    Columns: phone,stopped_at,reason (only phone must be there). - reads from stdin.
    """
    try:
        raw = sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
    except OSError as error:
        exit_with_error(f"{file} cannot be read: {error.strerror}.")
    try:
        found = opt_out_import.decode(raw)
        done = opt_out_import.import_opt_outs(found.text, SHELL_ACTOR, now_ms())
    except ImportRejected as error:
        print_row_errors(error)
        exit_with_error(error.message)
    print_warnings([*found.warnings, *map(str, done.warnings)])
    click.echo(done.summary)


@group.command()
@click.option("--number", type=IDENTIFIER, default="", help="Of one number, such as +12025550100.")
@click.option(
    "--account", type=IDENTIFIER, default="", metavar="EXTERNAL_ID", help="Of one account, by its account number."
)
@click.option("--from", "since", type=IDENTIFIER, default="", metavar="DAY", help="Such as 2026-03-01, in UTC.")
@click.option("--to", "until", type=IDENTIFIER, default="", metavar="DAY", help="The last day.")
@click.option("--format", "form", type=click.Choice(["csv", "json"]), default="csv", show_default=True)
@with_app_context
def export(number: str, account: str, since: str, until: str, form: str) -> None:
    """Write evidence to stdout: of a number, an account, a period, or the whole ledger."""
    if number and not is_e164(number):
        exit_with_error(f"Write the number with + and its country code, not {number!r}.")
    sought = LedgerFilter(
        number=number,
        account_id=_require_account_id(account) if account else None,
        since_ms=_parse_day(since),
        until_ms=_parse_day(until, days_later=1),
        since_day=since,
        until_day=until,
    )
    about = " ".join(filter(None, [number, account, f"from {since}" if since else "", f"to {until}" if until else ""]))
    found = build_export(sought, about or "the whole ledger", form, "the shell", "UTC", now_ms())
    _write_lines(consent_export_files.export_csv(found) if form == "csv" else consent_export_files.export_json(found))


def _require_phone(external_id: str, number: str) -> PhoneNumber:
    wanted = _parse_number(number)
    found = [phone for phone in phones_of(_require_account_id(external_id)) if phone.number == wanted]
    return found[0] if found else exit_with_error(f"{number} is not on the account {external_id}. Add it there first.")


def _parse_number(typed: str) -> str:
    """As it stands on an account; for what is none it is said why."""
    try:
        return parse_search_phone(typed, settings().region) or to_e164(typed, settings().region)
    except PhoneError as error:
        exit_with_error(str(error))


def _require_account_id(external_id: str) -> int:
    account = find_by_external_id(external_id)
    return account.id if account else exit_with_error(f"There is no account with the number {external_id!r}.")


def _parse_day(text: str, days_later: int = 0) -> int | None:
    found = start_of_day_ms(text, "UTC", days_later)
    if text and found is None:
        exit_with_error(f"Write the day like 2026-03-01, not {text!r}.")
    return found


def _write_lines(lines: Iterable[str]) -> None:
    for line in lines:
        sys.stdout.buffer.write(line.encode())
    sys.stdout.flush()
