"""`portal schedules`: create, list, pause, resume and run schedules."""

import json

import click

from portal.cli.app_context import IDENTIFIER, exit_with_error, with_app_context
from portal.cli.send_commands import parse_data
from portal.core.clock import now_ms
from portal.core.extensions import db
from portal.core.rules.time_format import format_utc
from portal.schedules import occasion_changes, schedule_changes
from portal.schedules.rules.schedule_states import ScheduleState
from portal.schedules.rules.timing import ScheduleKind
from portal.schedules.schedule_validation import ScheduleDraft
from portal.schedules.tables.runs import ScheduleRun
from portal.schedules.tables.schedules import Schedule, schedules_in_state
from portal.schedules.upcoming import UpcomingRun, upcoming_runs


@click.group(name="schedules")
def group() -> None:
    """Create, list and control schedules."""


@group.command()
@click.argument("template_key", type=IDENTIFIER)
@click.option("--name", help="Default: the key of the template.")
@click.option("--account-type", type=IDENTIFIER, help="Send to the accounts of one type. Default: to everyone.")
@click.option("--include-staff", is_flag=True, help="Administrators are left out otherwise.")
@click.option("--data", "pairs", multiple=True, metavar="NAME=VALUE", help="The value of data.NAME in the template.")
@click.option("--on", "starts_on", help="The day, such as 2027-01-31; with --rrule, the first day.")
@click.option("--rrule", default="", help="Repeat by a recurrence rule, such as FREQ=MONTHLY;BYDAY=2TU.")
@click.option("--attribute", type=IDENTIFIER, help="Send before the date that each account has in this attribute.")
@click.option("--days", "offsets", default="60, 30, 7", show_default=True, help="Days before that date.")
@click.option("--time", default="09:00", show_default=True, help="The local time of day.")
@click.option("--zone", default="UTC", show_default=True, help="With --attribute, each account’s own is used.")
@click.option("--late-hours", type=int, default=24, show_default=True, help="0 skips late runs.")
@with_app_context
def create(
    template_key: str,
    name: str | None,
    account_type: str | None,
    include_staff: bool,
    pairs: tuple[str, ...],
    late_hours: int,
    **timing: str,
) -> None:
    """Schedule a template and print the id of the schedule."""
    audience: dict[str, object] = {"account_type": account_type} if account_type else {"all": True}
    if not include_staff:
        audience["staff"] = False
    draft = ScheduleDraft(
        name=name or template_key,
        template_key=template_key,
        audience=audience,
        data=parse_data(pairs),
        kind=_kind(timing),
        timing={**timing, "repeat": "custom"},
        late_hours=late_hours,
    )
    click.echo(schedule_changes.create_schedule(draft, None, now_ms()))


def _kind(timing: dict[str, str]) -> ScheduleKind:
    if timing["attribute"]:
        return ScheduleKind.RELATIVE
    return ScheduleKind.RECURRING if timing["rrule"] else ScheduleKind.ONCE


@group.command(name="list")
@click.option("--all", "with_ended", is_flag=True, help="Also list schedules that have ended.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts.")
@with_app_context
def list_schedules(with_ended: bool, as_json: bool) -> None:
    """List schedules with the time of their next run in UTC."""
    states = list(ScheduleState) if with_ended else [ScheduleState.ACTIVE, ScheduleState.PAUSED]
    rows = [_as_json(schedule) for schedule in schedules_in_state(*states)]
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    for row in rows:
        next_run = f"next {row['next_run']} ({row['next_key']})" if row["next_run"] else "no next run"
        click.echo(f"{row['id']}  {row['state']}  {row['kind']}  {next_run}  {row['name']}")


@group.command()
@click.argument("schedule_id", type=int)
@with_app_context
def pause(schedule_id: int) -> None:
    """Pause a schedule. What comes due until it is resumed is listed as missed."""
    schedule_changes.pause_schedule(schedule_id, None, now_ms())
    click.echo(f"Schedule {schedule_id} is paused.")


@group.command()
@click.argument("schedule_id", type=int)
@with_app_context
def resume(schedule_id: int) -> None:
    """Resume a paused schedule."""
    schedule_changes.resume_schedule(schedule_id, None, now_ms())
    click.echo(f"Schedule {schedule_id} is active.")


@group.command()
@click.argument("schedule_id", type=int)
@click.option("--occasion", type=IDENTIFIER, help="The day of the run, as `list` prints it. Default: the next.")
@with_app_context
def run(schedule_id: int, occasion: str | None) -> None:
    """Send a run now, in place of its time, and print the id of the send."""
    key = occasion or _next_key(schedule_id)
    run_id = occasion_changes.run_occasion_now(schedule_id, None, now_ms(), key)
    row = db.session.get_one(ScheduleRun, run_id)
    if row.send_id is None:
        exit_with_error(row.reason or "The scheduler makes the send in a moment.")
    click.echo(row.send_id)


def _next_key(schedule_id: int) -> str:
    schedule = db.session.get(Schedule, schedule_id)
    next_run = _next_run(schedule) if schedule else None
    if next_run is None:
        exit_with_error(f"Schedule {schedule_id} has no next run.")
    return next_run.key


def _next_run(schedule: Schedule) -> UpcomingRun | None:
    """Also of a paused schedule: when it would run if it were resumed."""
    if schedule.state == ScheduleState.ENDED:
        return None
    return next(iter(upcoming_runs(schedule, now_ms(), 1, "UTC")), None)


def _as_json(schedule: Schedule) -> dict[str, object]:
    next_run = _next_run(schedule) if schedule.state == ScheduleState.ACTIVE else None
    return {
        "id": schedule.id,
        "name": schedule.name,
        "state": schedule.state,
        "kind": schedule.kind,
        "next_run": f"{format_utc(next_run.due_at_ms)[:16]}Z" if next_run else None,
        "next_key": next_run.key if next_run else None,
    }
