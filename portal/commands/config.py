"""`portal config`: the AppConfig settings."""

import sys

import click

from portal.actions import settings
from portal.clock import now_ms
from portal.commands.context import refuse, with_app


@click.group(name="config")
def group() -> None:
    """The gateway's settings, by their exact names."""


@group.command()
@click.argument("name", required=False)
@with_app
def show(name: str | None) -> None:
    """All settings, or one; secrets by their last four characters."""
    shown = settings.shown()
    if name is not None and name not in shown:
        refuse(f"There is no setting {name!r}. The settings are: {', '.join(shown)}.")
    if name is not None:
        click.echo(shown[name])
        return
    for key, value in shown.items():
        click.echo(f"{key} = {value}" if value else f"{key} is not set")


@group.command(name="set")
@click.argument("name")
@click.argument("value")
@with_app
def set_value(name: str, value: str) -> None:
    """Change a setting; it takes effect within a second. A value of - is read from stdin."""
    text = sys.stdin.read() if value == "-" else value
    settings.set_setting(name, text, None, now_ms())
    click.echo(f"{name} = {settings.shown()[name]}")
