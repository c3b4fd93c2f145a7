"""`portal demo`: demo data."""

import click

from portal.cli.app_context import with_app_context
from portal.core.clock import now_ms
from portal.demo import loader


@click.group(name="demo")
def group() -> None:
    """Demo data: a fictional certification board."""


@group.command(name="load")
@with_app_context
def load_demo() -> None:
    """Load the demo data into an empty database and print who can sign in."""
    for line in loader.load_demo(now_ms()):
        click.echo(line)
