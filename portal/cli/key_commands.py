"""`portal keys`: the keys that encrypt stored secrets."""

import click

from portal.authentication.totp import reencrypt_totp_secrets
from portal.cli.app_context import with_app_context
from portal.settings import key_rotation


@click.group(name="keys")
def group() -> None:
    """Rotate the keys that encrypt stored secrets. PORTAL_ENCRYPTION_KEY lists them, newest first."""


@group.command()
@with_app_context
def rotate() -> None:
    """Re-encrypt every stored secret with the newest key. Then older keys can be removed. Safe to repeat."""
    reencrypted, unchanged = key_rotation.rotate_keys(reencrypt_totp_secrets)
    secrets = f"{reencrypted} {'secret' if reencrypted == 1 else 'secrets'}"
    click.echo(f"{secrets} re-encrypted with the newest key; {unchanged} already used it.")
