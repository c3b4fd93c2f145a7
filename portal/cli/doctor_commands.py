"""`portal doctor`: is everything there that sending needs, and if not, how to mend it."""

import json
import shutil
import sys
import textwrap
from dataclasses import asdict

import click

from portal.cli.app_context import with_app_context
from portal.core.clock import now_ms
from portal.operations import diagnostics as actions
from portal.operations.diagnostics import DiagnosticsReport
from portal.operations.rules.checks import CheckResult, group_checks, has_failure, summarize_checks

_COLOURS = {"ok": "green", "warning": "yellow", "failing": "red", "unknown": "blue"}
_MAX_COLUMNS = 110


@click.command()
@click.option("--json", "as_json", is_flag=True, help="As JSON, for scripts.")
@click.option("--set-webhooks", is_flag=True, help="First set our addresses at Twilio, for the live sender.")
@click.option("--resume", is_flag=True, help="Let paused lanes go on, if nothing fails at Twilio.")
@with_app_context
def doctor(as_json: bool, set_webhooks: bool, resume: bool) -> None:
    """Check Twilio, the portal and the mail server; exit code 1 when something is failing."""
    said = [actions.set_webhooks()] if set_webhooks else []
    report, refusal = actions.resume_sending(now_ms) if resume else (actions.run_diagnostics(now_ms), None)
    if resume and refusal is None:
        said.append("Sending goes on.")
    click.echo(_as_json(report, said, refusal) if as_json else _as_text(report, said))
    if refusal is not None:
        click.echo(refusal, err=True)
    sys.exit(1 if has_failure(report.checks) or refusal else 0)


def _as_json(report: DiagnosticsReport, said: list[str], refusal: str | None) -> str:
    found = {
        "failing": has_failure(report.checks),
        "at_ms": report.at_ms,
        "actions": said,
        "error": refusal,
        "checks": [asdict(check) for _, checks in group_checks(report.checks) for check in checks],
    }
    return json.dumps(found, indent=2, ensure_ascii=False)


def _as_text(report: DiagnosticsReport, said: list[str]) -> str:
    width = max(len(check.name) for check in report.checks) + 2
    blocks = [
        "\n".join([group, *(_line(check, width) for check in checks)]) for group, checks in group_checks(report.checks)
    ]
    return "\n\n".join([*said, *blocks, summarize_checks(report.checks)])


def _line(check: CheckResult, width: int) -> str:
    """Verdict, name and why in columns; how to mend it beneath."""
    indent = " " * (width + 13)
    columns = max(60, min(_MAX_COLUMNS, shutil.get_terminal_size().columns))
    why = textwrap.wrap(check.reason, columns - len(indent))
    fix = textwrap.wrap(check.fix, columns - len(indent), initial_indent="→ ", subsequent_indent="  ")
    verdict = click.style(f"{check.verdict:<9}", fg=_COLOURS[check.verdict])
    return f"\n{indent}".join([f"  {verdict}  {check.name:<{width}}{why[0] if why else ''}", *why[1:], *fix])
