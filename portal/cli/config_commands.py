"""`portal config`: the AppConfig settings."""

import re
import sys
from datetime import UTC, datetime

import click

from portal.cli.app_context import IDENTIFIER, exit_with_error, with_app_context
from portal.core.clock import now_ms
from portal.messages.rules.message_modes import CHANNEL_LABELS
from portal.settings import app_settings, setting_changes, setting_history
from portal.settings.rules.app_config import DEFINITIONS
from portal.settings.rules.configuration import channel_of_setting
from portal.settings.setting_changes import SettingUpdate

_DURATION = re.compile(r"([0-9]{1,6})([mhd])\Z")
_MILLISECONDS = {"m": 60_000, "h": 3_600_000, "d": 86_400_000}


@click.group(name="config")
def group() -> None:
    """The gateway's settings, by their exact names."""


@group.command()
@click.argument("name", required=False, type=IDENTIFIER)
@with_app_context
def show(name: str | None) -> None:
    """All settings, or one; secrets by their last four characters."""
    display_values, ends = app_settings.display_values(), app_settings.configuration().expires_at_ms_by_name
    if name is not None:
        click.echo(display_values[_known_setting(name)])
        _print_derived_values(name)
        return
    for key, value in display_values.items():
        until = f" until {_iso(ends[key])}" if ends.get(key, 0) > now_ms() else ""
        click.echo(f"{key} = {value}{until}" if value else f"{key} is not set")
        _print_derived_values(key)


@group.command(name="set")
@click.argument("name", type=IDENTIFIER)
@click.argument("value")
@click.option("--duration", "duration", metavar="TIME", help="Override and test mode: off again after 90m, 4h or 2d.")
@with_app_context
def set_value(name: str, value: str, duration: str | None) -> None:
    """Change a setting; it takes effect within a second. A value of - is read from stdin."""
    text, at_ms = sys.stdin.read() if value == "-" else value, now_ms()
    until_ms = at_ms + _duration_ms(duration) if duration is not None else None
    live_ms = setting_changes.change_setting(SettingUpdate(name, None, at_ms, expires_at_ms=until_ms), text)
    click.echo(f"{name} = {app_settings.display_values()[name]}")
    _print_derived_values(name)
    if live_ms is not None:
        when = "from now on" if live_ms <= at_ms else f"from {_iso(live_ms)} on"
        reached = CHANNEL_LABELS[channel_of_setting(name)].live_label.replace("’", "'")
        click.echo(f"{reached} {when}. {setting_changes.waiting_message(name)}".strip(), err=True)


@group.command()
@click.argument("name", required=False, type=IDENTIFIER)
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True)
@with_app_context
def history(name: str | None, limit: int) -> None:
    """Who changed what, the newest first: when, who, the setting, what it was and became (of a secret: "changed")."""
    wanted = _known_setting(name) if name is not None else ""
    history_entries = [
        *setting_history.expired_switches(now_ms(), wanted),
        *setting_history.history_entries(limit, wanted),
    ]
    for line in sorted(history_entries, key=lambda line: -line.at_ms)[:limit]:
        until = f" until {_iso(line.expires_at_ms)}" if line.expires_at_ms else ""
        change = f"{line.before or 'not set'} -> {line.after}{until}"
        click.echo("\t".join([_iso(line.at_ms), line.changed_by, line.name, change]))


def _print_derived_values(name: str) -> None:
    """What holds for keys that were left out: beside the setting, so that what is printed can be set again."""
    for key, words in app_settings.configuration().derived_values(name, now_ms()).items():
        click.echo(f"  {key}: {words}", err=True)


def _known_setting(name: str) -> str:
    if name not in DEFINITIONS:
        exit_with_error(f"There is no setting {name!r}. The settings are: {', '.join(DEFINITIONS)}.")
    return name


def _duration_ms(text: str) -> int:
    found = _DURATION.match(text)
    if found is None:
        exit_with_error(f"--duration takes a time such as 90m, 4h or 2d, not {text!r}.")
    return int(found[1]) * _MILLISECONDS[found[2]]


def _iso(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
