"""`portal verify`: check a proof of notice, on any machine and without a database."""

from pathlib import Path

import click

from portal.cli.app_context import exit_with_error
from portal.core.rules import text_input
from portal.records.rules import proof_file
from portal.records.rules.proof_file import Verdict


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--key", "fingerprint", default="", help="The fingerprint of the portal’s key.")
def verify(file: Path, fingerprint: str) -> None:
    """Check that a proof of notice is as the portal wrote it. Every changed byte fails.

    The file holds the key that it is signed with. Give the fingerprint that the portal shows, to be sure whose it is.
    """
    try:
        with file.open("rb") as lines:
            verdict = proof_file.verify(lines, fingerprint)
    except OSError as error:
        exit_with_error(f"{file} cannot be read: {error.strerror}.")
    if verdict.problem:
        exit_with_error(f"NOT VALID. {_printable(verdict.problem)}")
    click.echo(f"Valid: {verdict.records:,} {'record' if verdict.records == 1 else 'records'}, nothing was changed.")
    _print_about(verdict, is_known=bool(fingerprint))


def _print_about(verdict: Verdict, is_known: bool) -> None:
    about = verdict.header or {}
    for name, label in _LABELS.items():
        if name in about:
            click.echo(f"{label}: {_printable(about[name])}")
    click.echo(f"Signed with the key {verdict.fingerprint}")
    if not is_known:
        click.echo("Compare this with the fingerprint in the portal (System, Signing key), or give it with --key.")


def _printable(value: object) -> str:
    """Without control characters, which a forged file could send to the terminal."""
    return text_input.clean_line(str(value))


_LABELS = {
    "organization": "Organization",
    "portal": "Portal",
    "send": "Send",
    "communication": "Communication",
    "written_at": "Written at",
    "written_for": "Written for",
}
