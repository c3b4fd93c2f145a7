"""`portal keys`: the keys that encrypt, sign and prove, how old they are, and how each is replaced."""

import os
from collections.abc import Callable, Iterator

import click

from portal.cli.app_context import exit_with_error, with_app_context
from portal.core.clock import now_ms
from portal.core.config import instance_folder
from portal.core.context import settings
from portal.core.environment.key_files import key_source, new_key, put_key_first
from portal.core.production_checks import NEW_KEY_HELP
from portal.processes import StartupError, preflight
from portal.records.rules.proof_file import fingerprint
from portal.settings import key_rotation, key_status, log_key_cipher, signing
from portal.settings.key_status import EncryptionKeyUse

ENCRYPTION_KEY, SECRET_KEY = "PORTAL_ENCRYPTION_KEY", "PORTAL_SECRET_KEY"
_NO_KEY_YET = "none; it is made when it is first needed"
_DAY_MS = 86_400_000
_STEPS = {
    ENCRYPTION_KEY: (
        "1. {help}",
        "2. With several hosts, put the new key last in {variable}, after a comma, and restart every process on every "
        "host: all can read it from then on. On one host, begin with the next step.",
        "3. Put the new key first, before a comma and the old one, and restart every process.",
        "4. Run: portal keys rotate",
        "5. When portal keys status shows nothing on the old key, remove it and restart every process. Keep it with "
        "backups from before.",
    ),
    SECRET_KEY: (
        "1. {help}",
        "2. With several hosts, put the new key last in {variable}, after a comma, and restart every process on every "
        "host: all accept it from then on. On one host, begin with the next step.",
        "3. Put the new key first, before a comma and the old one, and restart every process.",
        "4. Remove the old one after 180 days, when no session, link or device that it signed counts any more. If "
        "somebody knows it, remove it at once: everybody signs in again, and links in emails of before end.",
    ),
}


@click.group(name="keys")
def group() -> None:
    """Show and replace the keys that encrypt stored secrets, sign sessions and proofs, and protect the logs."""


@group.command()
@with_app_context
def status() -> None:
    """Say how old each key is and how many stored secrets need it. Shows no key."""
    for variable in (ENCRYPTION_KEY, SECRET_KEY):
        click.echo(f"{variable}: {_describe_source(variable)}")
        if variable == ENCRYPTION_KEY:
            for use in key_status.encryption_key_uses():
                click.echo(f"  {_describe_use(use)}")
    click.echo(f"Signing key: {_describe_signing_key()}")
    click.echo(f"Log key: {_describe_log_key()}")


@group.command()
@click.argument("key", required=False, type=click.Choice(["encryption", "secret", "signing", "log"]))
def rotate(key: str | None) -> None:
    """Re-encrypt every stored secret with the newest encryption key, or replace the KEY. Safe to repeat.

    Without a KEY, older encryption keys can be removed afterwards. A key that the portal keeps in its instance folder
    is replaced there; for one that you keep, the steps are printed.
    """
    rotations: dict[str | None, Callable[[], None]] = {
        None: _reencrypt,
        "encryption": lambda: _replace_key(ENCRYPTION_KEY),
        "secret": lambda: _replace_key(SECRET_KEY),
        "signing": _renew_signing_key,
        "log": _renew_log_key,
    }
    rotations[key]()


@with_app_context
def _reencrypt() -> None:
    reencrypted, unchanged = key_rotation.rotate_keys(now_ms())
    signing.forget_private_signing_keys(now_ms())
    secrets = f"{reencrypted} {'secret' if reencrypted == 1 else 'secrets'}"
    click.echo(f"{secrets} re-encrypted with the newest key; {unchanged} already used it.")


@with_app_context
def _renew_signing_key() -> None:
    key = signing.renew_signing_key(now_ms())
    click.echo(f"Proofs of notice are signed with a new key. Publish its fingerprint: {fingerprint(key.public_bytes)}")
    click.echo("What earlier keys signed stays valid: leave their fingerprints published (System, Signing key).")


@with_app_context
def _renew_log_key() -> None:
    key_id = log_key_cipher.rotate_log_key(now_ms())
    click.echo(
        f"The audit log and the consent ledger go on with a new key, {key_id}. Earlier ones verify what they wrote."
    )


def _replace_key(variable: str) -> None:
    instance = instance_folder(os.environ)
    source = key_source(os.environ, instance, variable)
    if not source.is_generated or source.path is None or not source.path.exists():
        click.echo("\n".join(step.format(variable=variable, help=NEW_KEY_HELP) for step in _STEPS[variable]))
        return
    try:
        preflight.ensure_stopped(instance)
        put_key_first(source.path, new_key())
    except (StartupError, OSError) as error:
        exit_with_error(str(error))
    click.echo(f"A new key is first in {source.path}. Copy the file to where you keep the keys of backups.")
    if variable == ENCRYPTION_KEY:
        _reencrypt()
    click.echo("The older key behind the comma is for backups and links of before. Delete it when you need neither.")


def _describe_source(variable: str) -> str:
    source = key_source(os.environ, settings().instance, variable)
    if source.path is None:
        return "from the environment, age unknown"
    changed_at_ms = source.changed_at_ms
    return f"from {source.path}" + ("" if changed_at_ms is None else f", changed {_age(changed_at_ms)}")


def _describe_use(use: EncryptionKeyUse) -> str:
    rank = "newest" if use.is_newest else "older" if use.is_known else "missing"
    return f"{use.id} ({rank}): {'; '.join(_counts(use)) or 'no stored secret'}"


def _counts(use: EncryptionKeyUse) -> Iterator[str]:
    for label, count in sorted(use.counts.items()):
        yield f"{count} in {label}"


def _describe_signing_key() -> str:
    state = key_status.signing_key_status()
    if state.created_at_ms is None:
        return _NO_KEY_YET
    earlier = state.count - 1
    return (
        f"made {_age(state.created_at_ms)}; {earlier} earlier, {state.count - state.private_count} of them verify only"
    )


def _describe_log_key() -> str:
    state = key_status.log_key_status()
    if state.created_at_ms is None:
        return _NO_KEY_YET
    return f"made {_age(state.created_at_ms)}; {state.count - 1} earlier"


def _age(at_ms: int) -> str:
    days = max(0, now_ms() - at_ms) // _DAY_MS
    return {0: "today", 1: "yesterday"}.get(days, f"{days:,} days ago")
