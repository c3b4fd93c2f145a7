"""`portal keys`: the keys of secrets at rest."""

import click

from portal.cli.app_context import with_app_context
from portal.settings import key_rotation


@click.group(name="keys")
def group() -> None:
    """Keys that encrypt stored secrets (PORTAL_ENCRYPTION_KEY, newest first)."""


@group.command()
@with_app_context
def rotate() -> None:
    """Re-encrypt every stored secret with the newest key; then the older keys can be removed. Safe to repeat."""
    result = key_rotation.rotate_keys()
    unchanged = result.total - result.reencrypted
    click.echo(f"{_count_secrets(result.reencrypted)} re-encrypted with the newest key; {unchanged} had it already.")


def _count_secrets(count: int) -> str:
    return f"{count} secret{'' if count == 1 else 's'}"
