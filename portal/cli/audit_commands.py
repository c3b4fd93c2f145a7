"""`portal audit`: verify the logs, and note their ends."""

from pathlib import Path

import click

from portal.cli.app_context import exit_with_error, read_file_or_stdin, with_app_context
from portal.core.clock import now_ms
from portal.core.log_integrity.verification import LogFault, LogVerdict
from portal.core.rules.time_format import format_utc
from portal.operations.logs import log_heads, log_verification
from portal.operations.logs.log_verification import LOG_LABELS


@click.group(name="audit")
def group() -> None:
    """Verify that nobody changed the audit log or the consent ledger in the database."""


@group.command(name="verify")
@click.option("--head", "file", type=click.Path(path_type=Path), help="A file of `portal audit head`, noted earlier.")
@with_app_context
def verify_logs_command(file: Path | None) -> None:
    """Verify every entry with the key of the logs. Exits with 1 and names the first that does not fit.

    With a file that was noted earlier, this also shows that nothing was cut off or written anew since.
    """
    content = read_file_or_stdin(file) if file else b""
    verdicts = log_verification.verify_logs(now_ms(), log_heads.read_heads(content) if content else None)
    if faults := [_describe_fault(verdict.log, verdict.fault) for verdict in verdicts if verdict.fault]:
        exit_with_error(" ".join(faults))
    for verdict in verdicts:
        _print_verdict(verdict)
    if content:
        click.echo("Everything in the file you noted is still there.")
        if not log_heads.is_own_key(content, now_ms()):
            click.echo("The file is signed with another key than the portal has now. Make sure that it is yours.")


@group.command(name="head")
@with_app_context
def print_heads() -> None:
    """Print the ends of the logs, signed. Keep the file where nobody can change it who can change the database."""
    click.echo(log_heads.current_heads(now_ms()), nl=False)


def _print_verdict(verdict: LogVerdict) -> None:
    entries = f"{verdict.position:,} {'entry' if verdict.position == 1 else 'entries'}"
    click.echo(f"{LOG_LABELS[verdict.log].capitalize()}: {entries}, unbroken.")
    if verdict.waiting:
        click.echo(f"  {verdict.waiting:,} more are from before the upgrade. The scheduler is about to protect them.")
    if verdict.protected_since_ms is not None:
        click.echo(f"  The key protects what was recorded since {format_utc(verdict.protected_since_ms)}.")


def _describe_fault(log: str, fault: LogFault) -> str:
    return f"{LOG_LABELS[log].capitalize()}: entry {fault.row_id} does not fit: {fault.reason}."
