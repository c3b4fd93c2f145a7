"""`portal doctor`: check everything that sending needs, and say how to fix what fails."""

import json
import shutil
import sys
import textwrap
from dataclasses import asdict

import click

from portal.cli.app_context import with_app_context
from portal.core.clock import now_ms
from portal.operations import diagnostics
from portal.operations.diagnostics import DiagnosticsReport
from portal.operations.rules.checks import CheckResult, group_checks, has_failure, summarize_checks
from portal.setup import twilio_connection

_COLOURS = {"ok": "green", "warning": "yellow", "failing": "red", "unknown": "blue"}
_MAX_COLUMNS = 110


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts.")
@click.option("--set-webhooks", is_flag=True, help="First set the live sender's webhook addresses at Twilio.")
@click.option("--resume", is_flag=True, help="Resume paused lanes if no Twilio check fails.")
@with_app_context
def doctor(as_json: bool, set_webhooks: bool, resume: bool) -> None:
    """Check Twilio, the portal and the mail server. Exits with 1 if a check fails."""
    actions = [twilio_connection.set_webhooks(None, now_ms())] if set_webhooks else []
    report, refusal = diagnostics.resume_sending(now_ms) if resume else (diagnostics.run_diagnostics(now_ms), None)
    if resume and refusal is None:
        actions.append("Sending resumed.")
    click.echo(_as_json(report, actions, refusal) if as_json else _as_text(report, actions))
    if refusal is not None:
        click.echo(refusal, err=True)
    sys.exit(1 if has_failure(report.checks) or refusal else 0)


def _as_json(report: DiagnosticsReport, actions: list[str], refusal: str | None) -> str:
    result = {
        "failing": has_failure(report.checks),
        "at_ms": report.at_ms,
        "actions": actions,
        "error": refusal,
        "checks": [asdict(check) for _, checks in group_checks(report.checks) for check in checks],
    }
    return json.dumps(result, indent=2, ensure_ascii=False)


def _as_text(report: DiagnosticsReport, actions: list[str]) -> str:
    width = max(len(check.name) for check in report.checks) + 2
    groups = group_checks(report.checks)
    blocks = ["\n".join([group, *(_format_check(check, width) for check in checks)]) for group, checks in groups]
    return "\n\n".join([*actions, *blocks, summarize_checks(report.checks)])


def _format_check(check: CheckResult, width: int) -> str:
    """Verdict, name and reason in columns, with the fix below."""
    indent = " " * (width + 13)
    columns = max(60, min(_MAX_COLUMNS, shutil.get_terminal_size().columns))
    reason = textwrap.wrap(check.reason, columns - len(indent))
    fix = textwrap.wrap(check.fix, columns - len(indent), initial_indent="→ ", subsequent_indent="  ")
    verdict = click.style(f"{check.verdict:<9}", fg=_COLOURS[check.verdict])
    return f"\n{indent}".join([f"  {verdict}  {check.name:<{width}}{''.join(reason[:1])}", *reason[1:], *fix])
