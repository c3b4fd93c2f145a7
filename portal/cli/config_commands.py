"""`portal config`: the AppConfig settings."""

import re
import sys
from datetime import UTC, datetime

import click

from portal.cli.app_context import IDENTIFIER, exit_with_error, with_app_context
from portal.core.clock import now_ms
from portal.messages.rules.message_modes import CHANNEL_LABELS
from portal.settings import app_settings, setting_changes, setting_history
from portal.settings.rules.app_config import DEFINITIONS, find_definition
from portal.settings.setting_changes import SettingUpdate
from portal.settings.tables.setting_values import history_entries

_DURATION = re.compile(r"([0-9]{1,6})([mhd])\Z")
_MILLISECONDS = {"m": 60_000, "h": 3_600_000, "d": 86_400_000}


@click.group(name="config")
def group() -> None:
    """Show and change the AppConfig settings, by their exact names."""


@group.command()
@click.argument("name", required=False, type=IDENTIFIER)
@with_app_context
def show(name: str | None) -> None:
    """Show all settings, or one. Only the last four characters of a secret are shown."""
    display_values, expiries = app_settings.display_values(), app_settings.configuration().expires_at_ms_by_name
    if name is not None:
        click.echo(display_values[find_definition(name).name])
        _print_derived_values(name)
        return
    for key, value in display_values.items():
        until = f" until {_iso(expiries[key])}" if expiries.get(key, 0) > now_ms() else ""
        click.echo(f"{key} = {value}{until}" if value else f"{key} is not set")
        _print_derived_values(key)


@group.command(name="set")
@click.argument("name", type=IDENTIFIER)
@click.argument("value")
@click.option(
    "--duration", metavar="TIME", help="Turn an override or test mode off again after, for example, 90m, 4h or 2d."
)
@with_app_context
def set_value(name: str, value: str, duration: str | None) -> None:
    """Change a setting; it takes effect within a second. With - as the value, it is read from stdin."""
    text, at_ms = sys.stdin.read() if value == "-" else value, now_ms()
    until_ms = at_ms + _duration_ms(duration) if duration is not None else None
    live_ms = setting_changes.change_setting(SettingUpdate(name, None, at_ms, expires_at_ms=until_ms), text)
    click.echo(f"{name} = {app_settings.display_values()[name]}")
    _print_derived_values(name)
    if live_ms is not None:
        labels = CHANNEL_LABELS[DEFINITIONS[name].channel]
        effect = labels.live_now if live_ms <= at_ms else labels.after_change_at % {"when": f"from {_iso(live_ms)} on"}
        click.echo(f"{effect} {setting_changes.waiting_message(name)}".replace("’", "'").strip(), err=True)


@group.command()
@click.argument("name", required=False, type=IDENTIFIER)
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True)
@with_app_context
def history(name: str | None, limit: int) -> None:
    """List changes, newest first. Each has its time, author, setting, and old and new value ("changed" for secrets)."""
    name = find_definition(name).name if name is not None else ""
    entries = [*setting_history.expired_switches(now_ms(), name), *history_entries(limit, (name,) if name else ())]
    for entry in sorted(entries, key=lambda entry: -entry.at_ms)[:limit]:
        until = f" until {_iso(entry.expires_at_ms)}" if entry.expires_at_ms else ""
        change = f"{entry.old_value or 'not set'} -> {entry.new_value}{until}"
        click.echo("\t".join([_iso(entry.at_ms), entry.changed_by, entry.name, change]))


def _print_derived_values(name: str) -> None:
    """Print the values of omitted keys to stderr, so that the output on stdout can be set again."""
    for key, value in app_settings.configuration().derived_values(name).items():
        click.echo(f"  {key}: {value}", err=True)


def _duration_ms(text: str) -> int:
    if (match := _DURATION.match(text)) is None:
        exit_with_error(f"--duration takes a time such as 90m, 4h or 2d, not {text!r}.")
    return int(match[1]) * _MILLISECONDS[match[2]]


def _iso(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
