"""`portal sends`: create, show, wait for, pause, resume and cancel sends."""

import json
import time
from pathlib import Path
from typing import Any

import click

from portal.cli.account_commands import print_warnings
from portal.cli.app_context import IDENTIFIER, exit_with_error, read_file, with_app_context
from portal.core.clock import now_ms
from portal.core.extensions import db
from portal.core.rules import csv_input
from portal.core.rules.csv_input import CsvError, DecodedFile
from portal.core.rules.delivery_status import group_labels
from portal.core.rules.time_format import format_utc
from portal.messages.rules import message_modes
from portal.sends import progress, send_control, send_creation
from portal.sends.forecast import Forecast
from portal.sends.progress import SendReport
from portal.sends.rules.send_state import SendState
from portal.sends.tables.saved_audiences import find_saved_audience
from portal.settings import app_settings

_POLL_SECONDS = 0.5


@click.group(name="sends")
def group() -> None:
    """Create and control sends."""


@group.command()
@click.argument("template_key", type=IDENTIFIER)
@click.option("--all", "everyone", is_flag=True, help="Send to everyone.")
@click.option("--account-type", type=IDENTIFIER, help="Send to the accounts of one type.")
@click.option(
    "--external-ids", "ids_file", type=click.Path(path_type=Path), help="Send to the account numbers in a file."
)
@click.option("--saved-audience", metavar="NAME", help="Send to the people of a saved audience.")
@click.option("--include-staff", is_flag=True, help="Include administrators with --all and --account-type.")
@click.option("--data", "pairs", multiple=True, metavar="NAME=VALUE", help="The value of data.NAME in the template.")
@with_app_context
def create(
    template_key: str,
    everyone: bool,
    account_type: str | None,
    ids_file: Path | None,
    saved_audience: str | None,
    include_staff: bool,
    pairs: tuple[str, ...],
) -> None:
    """Send a template and print the id of the send.

    The --external-ids file has one account number per line, or is a CSV file with an external_id column.
    """
    audience = _parse_audience(everyone, account_type, ids_file, saved_audience)
    if not include_staff and (everyone or account_type is not None):
        audience["staff"] = False
    send_id = send_creation.create_send(template_key, audience, parse_data(pairs), None, now_ms())
    click.echo(send_id)
    if progress.send_report(send_id, now_ms()).state == SendState.AWAITING_APPROVAL:
        click.echo(f"Send {send_id} waits until an administrator approves it.", err=True)
    mode, route = app_settings.resolve_current_gateway().switches.mode, app_settings.email_route(now_ms())
    if message_modes.is_redirected_or_simulated(mode, route):  # on stderr, because scripts read the id from stdout
        click.echo(message_modes.describe_mode_effect(mode, route), err=True)


@group.command()
@click.argument("send_id", type=int)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts.")
@with_app_context
def show(send_id: int, as_json: bool) -> None:
    """Show counts by channel and state, and when the last text leaves."""
    send_report = progress.send_report(send_id, now_ms())
    click.echo(json.dumps(_as_json(send_report), indent=2) if as_json else _as_text(send_report))


@group.command()
@click.argument("send_id", type=int)
@click.option("--timeout", type=float, default=3600, show_default=True, help="Maximum seconds to wait.")
@with_app_context
def wait(send_id: int, timeout: float) -> None:
    """Wait until every message of a send has left. Exits with 1 on timeout or if the send is canceled."""
    deadline = time.monotonic() + timeout
    while (send_report := progress.send_report(send_id, now_ms())).state != SendState.DONE:
        if send_report.state == SendState.CANCELED:
            exit_with_error(f"Send {send_id} was canceled.")
        db.session.rollback()
        if time.monotonic() > deadline:
            exit_with_error(f"Send {send_id} is not done after {timeout:g} seconds: it is {send_report.state}.")
        time.sleep(_POLL_SECONDS)
    click.echo(_as_text(send_report))


@group.command()
@click.argument("send_id", type=int)
@with_app_context
def pause(send_id: int) -> None:
    """Pause a send. Its remaining messages wait until it is resumed."""
    send_control.pause_send(send_id, None, now_ms())
    click.echo(f"Send {send_id} is paused.")


@group.command()
@click.argument("send_id", type=int)
@with_app_context
def resume(send_id: int) -> None:
    """Resume a paused send."""
    send_control.resume_send(send_id, None, now_ms())
    click.echo(f"Send {send_id} is resumed.")


@group.command()
@click.argument("send_id", type=int)
@with_app_context
def cancel(send_id: int) -> None:
    """Cancel a send for good. Messages that have left are not affected."""
    send_control.cancel_send(send_id, None, now_ms())
    click.echo(f"Send {send_id} is canceled. Messages that had left are not affected.")


def _parse_audience(
    everyone: bool, account_type: str | None, ids_file: Path | None, saved_audience: str | None
) -> dict[str, Any]:
    if sum([everyone, account_type is not None, ids_file is not None, saved_audience is not None]) != 1:
        exit_with_error("Choose one of --all, --account-type T, --external-ids FILE or --saved-audience NAME.")
    if everyone:
        return {"all": True}
    if account_type is not None:
        return {"account_type": account_type}
    if saved_audience is not None:
        return {"saved_audience": _saved_audience_id(saved_audience)}
    return {"external_ids": _read_external_ids(ids_file or Path())}


def _saved_audience_id(name: str) -> int:
    audience = find_saved_audience(name)
    if audience is None:
        exit_with_error(f"There is no saved audience “{name}”. They are listed at /Admin/Audiences.")
    return audience.id


def _read_external_ids(path: Path) -> list[str]:
    raw = read_file(path)
    try:
        decoded = csv_input.decode_csv(raw) if raw.strip() else DecodedFile("")
        external_ids = csv_input.read_values(decoded.text, "external_id")
    except CsvError as error:
        exit_with_error(str(error))
    print_warnings(decoded.warnings)
    return external_ids


def parse_data(pairs: tuple[str, ...]) -> dict[str, str]:
    for pair in pairs:
        if "=" not in pair:
            exit_with_error(f"Write --data as NAME=VALUE, not {pair!r}.")
    return dict(pair.split("=", 1) for pair in pairs)


def _as_json(report: SendReport) -> dict[str, Any]:
    return {
        "id": report.id,
        "state": report.state,
        "paused": report.is_paused,
        "recipients": report.recipients,
        "counts": report.counts,
        "groups": report.groups,
        "forecast": _forecast_json(report),
        "created_at_ms": report.created_at_ms,
        "finished_at_ms": report.finished_at_ms,
    }


def _forecast_json(report: SendReport) -> dict[str, Any]:
    """The time is null if there is a `block_reason`; both are null if no text is left to send."""
    forecast = report.forecast
    return {
        "last_text_at_ms": report.last_text_at_ms,
        "block_reason": forecast.block_reason if forecast else None,
        "texts": forecast.texts if forecast else 0,
        "segments": forecast.segments if forecast else 0,
        "segments_per_second": forecast.segments_per_second if forecast else None,
        "is_late": bool(forecast and forecast.is_late and not forecast.expired_count),
        "deferred": forecast.deferred if forecast else 0,
        "sms_expires_at_ms": forecast.sms_expires_at_ms if forecast else None,
        "expired": forecast.expired_count if forecast else 0,
    }


def _as_text(report: SendReport) -> str:
    state = "paused" if report.is_paused else report.state
    lines = [f"Send {report.id}: {state}, {report.recipients:,} recipients"]
    for channel, heading in (("email", "Emails"), ("sms", "Texts")):
        labels = group_labels(channel)
        counts = [f"{count:,} {labels[group].lower()}" for group, count in report.groups[channel].items()]
        lines.append(f"{heading}: {', '.join(counts) or 'none'}")
    if report.forecast:
        lines.append(_format_forecast(report.forecast))
    return "\n".join(lines)


def _format_forecast(forecast: Forecast) -> str:
    if forecast.last_text_at_ms is None:
        return f"{forecast.block_reason.label if forecast.block_reason else ''}."
    notes = ", more than ten hours from now" if forecast.is_late and not forecast.expired_count else ""
    if forecast.expired_count:
        notes = f"; about {forecast.expired_count:,} would leave too late and are not sent"
    if forecast.deferred:
        notes += f"; {forecast.deferred:,} wait for the end of quiet hours"
    if limit := forecast.exhausted_limit:
        notes += f"; {limit.sentence[0].lower()}{limit.sentence[1:-1]} (code {limit.code})"
    return f"The last text leaves at about {format_utc(forecast.last_text_at_ms)[:16].replace('T', ' ')} UTC{notes}."
