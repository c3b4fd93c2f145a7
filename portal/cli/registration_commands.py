"""`portal registration`: what to enter when a number is registered with carriers."""

import sys

import click

from portal.cli.app_context import with_app_context
from portal.content.rules.content_block_checks import BLOCKS
from portal.core.clock import now_ms
from portal.registration import pack


@click.group(name="registration")
def group() -> None:
    """What carriers ask before a number may text."""


@group.command()
@with_app_context
def show() -> None:
    """Print every field as JSON."""
    click.echo(pack.build_pack(now_ms()).as_json(), nl=False)


@group.command()
@with_app_context
def check() -> None:
    """List what is missing. Exits with 1 if something is."""
    lines = [f"{field.rule.key}\t{field.problem}" for field in pack.build_pack(now_ms()).missing]
    for key, issues in pack.wording_gaps().items():
        lines += [f"{BLOCKS[key].title}\t{issue.message}" for issue in issues]
    click.echo("\n".join(lines) or "Nothing is missing.")
    sys.exit(1 if lines else 0)
