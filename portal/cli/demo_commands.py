"""`portal demo`: something to look at."""

import click

from portal.cli.app_context import with_app_context
from portal.core.clock import now_ms
from portal.demo import loader


@click.group(name="demo")
def group() -> None:
    """A fictional certification board."""


@group.command(name="load")
@with_app_context
def load_demo() -> None:
    """Load it where there is nothing yet; prints who can sign in."""
    for line in loader.load_demo(now_ms()):
        click.echo(line)
