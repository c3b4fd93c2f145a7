"""`portal sends`: create, look at, wait for, pause, resume, cancel."""

import json
import time
from pathlib import Path
from typing import Any

import click

from portal.actions import progress, send_control, sends
from portal.actions import settings as app_settings
from portal.actions.forecast import Forecast
from portal.actions.progress import SendReport
from portal.clock import now_ms
from portal.commands.accounts import list_warnings
from portal.commands.context import CODE, refuse, with_app
from portal.domain import csv_input, rehearsal
from portal.domain.csv_input import CsvError, FileText
from portal.domain.moments import in_utc
from portal.domain.status import group_words
from portal.extensions import db

_POLL_SECONDS = 0.5


@click.group(name="sends")
def group() -> None:
    """Templates going to people."""


@group.command()
@click.argument("template_key", type=CODE)
@click.option("--all", "everyone", is_flag=True, help="To everyone.")
@click.option("--account-type", type=CODE, help="To the accounts of one type.")
@click.option(
    "--external-ids",
    type=click.Path(path_type=Path),
    help="To the account numbers in a file: one a line, or a column external_id.",
)
@click.option("--data", "pairs", multiple=True, metavar="NAME=VALUE", help="A value for the template's data.NAME.")
@with_app
def create(
    template_key: str, everyone: bool, account_type: str | None, external_ids: Path | None, pairs: tuple[str, ...]
) -> None:
    """Send a template; prints the send's id."""
    audience = _audience(everyone, account_type, external_ids)
    click.echo(sends.create_send(template_key, audience, _data(pairs), None, now_ms()))
    _tell_of_rehearsal()


@group.command()
@click.argument("send_id", type=int)
@click.option("--json", "as_json", is_flag=True, help="As JSON, for scripts.")
@with_app
def show(send_id: int, as_json: bool) -> None:
    """Counts by channel and state, and when the last text leaves."""
    report = progress.report(send_id, now_ms())
    click.echo(json.dumps(_as_json(report), indent=2) if as_json else _as_text(report))


@group.command()
@click.argument("send_id", type=int)
@click.option("--timeout", type=float, default=3600, show_default=True, help="Seconds to wait at most.")
@with_app
def wait(send_id: int, timeout: float) -> None:
    """Wait until every message of a send has left; exit code 1 when it takes longer or the send is cancelled."""
    ends = time.monotonic() + timeout
    while (report := progress.report(send_id, now_ms())).state != "done":
        if report.state == "canceled":
            refuse(f"Send {send_id} was cancelled.")
        db.session.rollback()
        if time.monotonic() > ends:
            refuse(f"Send {send_id} is not done after {timeout:g} seconds: it is {report.state}.")
        time.sleep(_POLL_SECONDS)
    click.echo(_as_text(report))


@group.command()
@click.argument("send_id", type=int)
@with_app
def pause(send_id: int) -> None:
    """Let nothing more of a send leave until it is resumed."""
    send_control.pause_send(send_id, None, now_ms())
    click.echo(f"Send {send_id} is paused.")


@group.command()
@click.argument("send_id", type=int)
@with_app
def resume(send_id: int) -> None:
    """Let a paused send go on."""
    send_control.resume_send(send_id, None, now_ms())
    click.echo(f"Send {send_id} goes on.")


@group.command()
@click.argument("send_id", type=int)
@with_app
def cancel(send_id: int) -> None:
    """Cancel all of a send that still waits, for good. What has left has left."""
    send_control.cancel_send(send_id, None, now_ms())
    click.echo(f"Send {send_id} is cancelled. What has left has left.")


def _tell_of_rehearsal() -> None:
    """On stderr: the id stays alone on stdout for scripts."""
    mode, route = app_settings.gateway().switches.mode, app_settings.email_route(now_ms())
    if rehearsal.is_rehearsed(mode, route):
        click.echo(rehearsal.sentence(mode, route), err=True)


def _audience(everyone: bool, account_type: str | None, external_ids: Path | None) -> dict[str, Any]:
    if sum([everyone, account_type is not None, external_ids is not None]) != 1:
        refuse("Choose one of --all, --account-type T or --external-ids FILE.")
    if everyone:
        return {"all": True}
    if account_type is not None:
        return {"account_type": account_type}
    return {"external_ids": _numbers(external_ids or Path())}


def _numbers(path: Path) -> list[str]:
    try:
        raw = path.read_bytes()
        found = csv_input.decode(raw) if raw.strip() else FileText("")
        numbers = csv_input.values(found.text, "external_id")
    except OSError as error:
        refuse(f"{path} cannot be read: {error.strerror}.")
    except CsvError as error:
        refuse(str(error))
    list_warnings(found.warnings)
    return numbers


def _data(pairs: tuple[str, ...]) -> dict[str, str]:
    for pair in pairs:
        if "=" not in pair:
            refuse(f"Write --data as NAME=VALUE, not {pair!r}.")
    return {name: value for name, _, value in (pair.partition("=") for pair in pairs)}


def _as_json(report: SendReport) -> dict[str, Any]:
    return {
        "id": report.id,
        "state": report.state,
        "paused": report.is_paused,
        "recipients": report.recipients,
        "counts": report.counts,
        "groups": report.groups,
        "forecast": _forecast(report),
        "created_at_ms": report.created_at_ms,
        "finished_at_ms": report.finished_at_ms,
    }


def _forecast(report: SendReport) -> dict[str, Any]:
    """`stands_still` says why there is no time, in a word; both are null when no text has still to leave."""
    found = report.forecast
    return {
        "last_text_at_ms": report.last_text_at_ms,
        "stands_still": found.stands if found else None,
        "texts": found.texts if found else 0,
        "segments": found.segments if found else 0,
        "segments_per_second": found.rate if found else None,
        "later_than_ten_hours": bool(found and found.is_too_late and not found.late),
        "waiting_for_quiet_hours_to_end": found.resting if found else 0,
        "useful_until_ms": found.useful_until_ms if found else None,
        "too_late_to_be_of_use": found.late if found else 0,
    }


def _as_text(report: SendReport) -> str:
    state = "paused" if report.is_paused else report.state
    lines = [f"Send {report.id}: {state}, {report.recipients:,} recipients"]
    for channel, words in (("email", "Emails"), ("sms", "Texts")):
        parts = [
            f"{number:,} {group_words(channel)[group].lower()}" for group, number in report.groups[channel].items()
        ]
        lines.append(f"{words}: {', '.join(parts) or 'none'}")
    if report.forecast:
        lines.append(_in_words(report.forecast))
    return "\n".join(lines)


def _in_words(forecast: Forecast) -> str:
    if forecast.last_text_ms is None:
        return f"{forecast.stands.words if forecast.stands else ''}."
    late = ", more than ten hours from now" if forecast.is_too_late and not forecast.late else ""
    if forecast.late:
        late = f"; about {forecast.late:,} would leave when they are of no use any more, and are not sent"
    if forecast.resting:
        late += f"; {forecast.resting:,} wait for the end of quiet hours"
    if forecast.limit:
        late += f"; {forecast.limit.sentence[0].lower()}{forecast.limit.sentence[1:-1]} (code {forecast.limit.code})"
    return f"The last text leaves about {in_utc(forecast.last_text_ms)[:16].replace('T', ' ')} UTC{late}."
