"""`portal sends`: create, look at, wait for, pause, resume, cancel."""

import json
import time
from pathlib import Path
from typing import Any

import click

from portal.cli.account_commands import print_warnings
from portal.cli.app_context import IDENTIFIER, exit_with_error, with_app_context
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
from portal.settings import app_settings

_POLL_SECONDS = 0.5


@click.group(name="sends")
def group() -> None:
    """Templates going to people."""


@group.command()
@click.argument("template_key", type=IDENTIFIER)
@click.option("--all", "everyone", is_flag=True, help="To everyone.")
@click.option("--account-type", type=IDENTIFIER, help="To the accounts of one type.")
@click.option(
    "--external-ids",
    type=click.Path(path_type=Path),
    help="To the account numbers in a file: one a line, or a column external_id.",
)
@click.option("--data", "pairs", multiple=True, metavar="NAME=VALUE", help="A value for the template's data.NAME.")
@with_app_context
def create(
    template_key: str, everyone: bool, account_type: str | None, external_ids: Path | None, pairs: tuple[str, ...]
) -> None:
    """Send a template; prints the send's id."""
    audience = _parse_audience(everyone, account_type, external_ids)
    click.echo(send_creation.create_send(template_key, audience, _parse_data(pairs), None, now_ms()))
    _print_mode_warning()


@group.command()
@click.argument("send_id", type=int)
@click.option("--json", "as_json", is_flag=True, help="As JSON, for scripts.")
@with_app_context
def show(send_id: int, as_json: bool) -> None:
    """Counts by channel and state, and when the last text leaves."""
    send_report = progress.send_report(send_id, now_ms())
    click.echo(json.dumps(_as_json(send_report), indent=2) if as_json else _as_text(send_report))


@group.command()
@click.argument("send_id", type=int)
@click.option("--timeout", type=float, default=3600, show_default=True, help="Seconds to wait at most.")
@with_app_context
def wait(send_id: int, timeout: float) -> None:
    """Wait until every message of a send has left; exit code 1 when it takes longer or the send is cancelled."""
    ends = time.monotonic() + timeout
    while (send_report := progress.send_report(send_id, now_ms())).state != SendState.DONE:
        if send_report.state == SendState.CANCELED:
            exit_with_error(f"Send {send_id} was cancelled.")
        db.session.rollback()
        if time.monotonic() > ends:
            exit_with_error(f"Send {send_id} is not done after {timeout:g} seconds: it is {send_report.state}.")
        time.sleep(_POLL_SECONDS)
    click.echo(_as_text(send_report))


@group.command()
@click.argument("send_id", type=int)
@with_app_context
def pause(send_id: int) -> None:
    """Let nothing more of a send leave until it is resumed."""
    send_control.pause_send(send_id, None, now_ms())
    click.echo(f"Send {send_id} is paused.")


@group.command()
@click.argument("send_id", type=int)
@with_app_context
def resume(send_id: int) -> None:
    """Let a paused send go on."""
    send_control.resume_send(send_id, None, now_ms())
    click.echo(f"Send {send_id} goes on.")


@group.command()
@click.argument("send_id", type=int)
@with_app_context
def cancel(send_id: int) -> None:
    """Cancel all of a send that still waits, for good. What has left has left."""
    send_control.cancel_send(send_id, None, now_ms())
    click.echo(f"Send {send_id} is cancelled. What has left has left.")


def _print_mode_warning() -> None:
    """On stderr: the id stays alone on stdout for scripts."""
    mode, route = app_settings.resolve_current_gateway().switches.mode, app_settings.email_route(now_ms())
    if message_modes.is_redirected_or_simulated(mode, route):
        click.echo(message_modes.describe_mode_effect(mode, route), err=True)


def _parse_audience(everyone: bool, account_type: str | None, external_ids: Path | None) -> dict[str, Any]:
    if sum([everyone, account_type is not None, external_ids is not None]) != 1:
        exit_with_error("Choose one of --all, --account-type T or --external-ids FILE.")
    if everyone:
        return {"all": True}
    if account_type is not None:
        return {"account_type": account_type}
    return {"external_ids": _read_external_ids(external_ids or Path())}


def _read_external_ids(path: Path) -> list[str]:
    try:
        raw = path.read_bytes()
        found = csv_input.decode_csv(raw) if raw.strip() else DecodedFile("")
        numbers = csv_input.read_values(found.text, "external_id")
    except OSError as error:
        exit_with_error(f"{path} cannot be read: {error.strerror}.")
    except CsvError as error:
        exit_with_error(str(error))
    print_warnings(found.warnings)
    return numbers


def _parse_data(pairs: tuple[str, ...]) -> dict[str, str]:
    for pair in pairs:
        if "=" not in pair:
            exit_with_error(f"Write --data as NAME=VALUE, not {pair!r}.")
    return {name: value for name, _, value in (pair.partition("=") for pair in pairs)}


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
    """`block_reason` says why there is no time, in a word; both are null when no text has still to leave."""
    found = report.forecast
    return {
        "last_text_at_ms": report.last_text_at_ms,
        "block_reason": found.block_reason if found else None,
        "texts": found.texts if found else 0,
        "segments": found.segments if found else 0,
        "segments_per_second": found.segments_per_second if found else None,
        "is_late": bool(found and found.is_late and not found.expired_count),
        "deferred": found.deferred if found else 0,
        "sms_expires_at_ms": found.sms_expires_at_ms if found else None,
        "expired": found.expired_count if found else 0,
    }


def _as_text(report: SendReport) -> str:
    state = "paused" if report.is_paused else report.state
    lines = [f"Send {report.id}: {state}, {report.recipients:,} recipients"]
    for channel, words in (("email", "Emails"), ("sms", "Texts")):
        parts = [
            f"{number:,} {group_labels(channel)[group].lower()}" for group, number in report.groups[channel].items()
        ]
        lines.append(f"{words}: {', '.join(parts) or 'none'}")
    if report.forecast:
        lines.append(_format_forecast(report.forecast))
    return "\n".join(lines)


def _format_forecast(forecast: Forecast) -> str:
    if forecast.last_text_at_ms is None:
        return f"{forecast.block_reason.label if forecast.block_reason else ''}."
    late = ", more than ten hours from now" if forecast.is_late and not forecast.expired_count else ""
    if forecast.expired_count:
        late = f"; about {forecast.expired_count:,} would leave when they are of no use any more, and are not sent"
    if forecast.deferred:
        late += f"; {forecast.deferred:,} wait for the end of quiet hours"
    if forecast.exhausted_limit:
        limit = forecast.exhausted_limit
        late += f"; {limit.sentence[0].lower()}{limit.sentence[1:-1]} (code {limit.code})"
    return f"The last text leaves about {format_utc(forecast.last_text_at_ms)[:16].replace('T', ' ')} UTC{late}."
