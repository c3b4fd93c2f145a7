"""`portal templates`: what the template pages do, from a shell."""

import sys
from pathlib import Path

import click

from portal.cli.app_context import exit_with_error, with_app_context
from portal.content import message_templates
from portal.content.message_templates import TemplateDraft
from portal.content.rules.merge_comparison import COMPARISON_HELP
from portal.content.rules.merge_filters import FILTER_HELP
from portal.core.clock import now_ms
from portal.messages.rules.sms_labels import describe_sms


@click.group(name="templates")
def group() -> None:
    """What notifications say."""


@group.command()
@click.argument("key")
@click.option("--name", required=True)
@click.option("--subject", required=True)
@click.option(
    "--body-file", required=True, type=click.Path(path_type=Path), help="Markdown with merge fields; - reads stdin."
)
@click.option("--sms", is_flag=True, help="Also send a text with the subject and a link.")
@click.option("--urgent", is_flag=True, help="Goes before other texts, and in quiet hours too.")
@click.option(
    "--sms-expiry-hours", default="", help="So long after the send a text is worth sending; without it, always."
)
@with_app_context
def create(key: str, name: str, subject: str, body_file: Path, sms: bool, urgent: bool, sms_expiry_hours: str) -> None:
    """Create a template; prints its key."""
    draft = TemplateDraft(key, name, subject, _read_body(body_file), urgent, sms, sms_expiry_hours)
    message_templates.create_template(draft, None, now_ms())
    click.echo(draft.key)


@group.command()
@click.argument("key")
@with_app_context
def preview(key: str) -> None:
    """Show what people would get, with sample values, and what the text says otherwise than the subject."""
    found = message_templates.preview_current_version(key)
    for field, sentence in found.errors.items():
        click.echo(f"{field}: {sentence}", err=True)
    click.echo(f"{found.subject}\n\n{found.text}")
    if found.sms:
        click.echo(f"Text: {found.sms.text}\n{describe_sms(found.sms)}")


@group.command()
@with_app_context
def check() -> None:
    """Name the templates that can no longer be sent, such as for a filter that is gone; exit code 1 if there is one."""
    found = message_templates.unusable_templates()
    for key, sentence in found.items():
        click.echo(f"{key}: {sentence}")
    if found:
        raise SystemExit(1)


@group.command()
def filters() -> None:
    """List the filters that templates have, and how they compare."""
    for name, words in (FILTER_HELP | COMPARISON_HELP).items():
        click.echo(f"{name:16}{words}")


def _read_body(path: Path) -> str:
    try:
        raw = sys.stdin.buffer.read() if str(path) == "-" else path.read_bytes()
        return raw.decode("utf-8-sig")
    except OSError as error:
        exit_with_error(f"{path} cannot be read: {error.strerror}.")
    except UnicodeDecodeError:
        exit_with_error(f"{path} is not UTF-8.")
