"""`portal keys`: the keys of secrets at rest."""

import click

from portal.cli.app_context import with_app_context
from portal.settings import key_rotation


@click.group(name="keys")
def group() -> None:
    """The keys that stored secrets are sealed with, in PORTAL_ENCRYPTION_KEY: the newest first."""


@group.command()
@with_app_context
def rotate() -> None:
    """Seal every stored secret with the newest key; after that the older keys can go. Harmless to repeat."""
    done = key_rotation.rotate_keys()
    rest = done.total - done.reencrypted
    click.echo(f"{_count_secrets(done.reencrypted)} sealed again with the newest key; {rest} had it already.")


def _count_secrets(count: int) -> str:
    return f"{count} secret{'' if count == 1 else 's'}"
