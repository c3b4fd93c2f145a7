"""`portal templates`: what the template pages do, from a shell."""

import sys
from pathlib import Path

import click

from portal.actions import templates
from portal.actions.templates import TemplateDraft
from portal.clock import now_ms
from portal.commands.context import refuse, with_app
from portal.domain.merge_compare import HELP
from portal.domain.merge_filters import OFFERED
from portal.domain.sms_words import text_words


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
@click.option("--useful-hours", default="", help="So long after the send a text is worth sending; without it, always.")
@with_app
def create(key: str, name: str, subject: str, body_file: Path, sms: bool, urgent: bool, useful_hours: str) -> None:
    """Create a template; prints its key."""
    draft = TemplateDraft(key, name, subject, _read(body_file), urgent, sms, useful_hours)
    templates.create_template(draft, None, now_ms())
    click.echo(draft.key)


@group.command()
@click.argument("key")
@with_app
def preview(key: str) -> None:
    """Show what people would get, with sample values, and what the text says otherwise than the subject."""
    found = templates.preview_of(key)
    for field, sentence in found.errors.items():
        click.echo(f"{field}: {sentence}", err=True)
    click.echo(f"{found.subject}\n\n{found.text}")
    if found.sms:
        click.echo(f"Text: {found.sms.text}\n{text_words(found.sms)}")


@group.command()
@with_app
def check() -> None:
    """Name the templates that can no longer be sent, such as for a filter that is gone; exit code 1 if there is one."""
    found = templates.unusable()
    for key, sentence in found.items():
        click.echo(f"{key}: {sentence}")
    if found:
        raise SystemExit(1)


@group.command()
def filters() -> None:
    """List the filters that templates have, and how they compare."""
    for name, words in (OFFERED | HELP).items():
        click.echo(f"{name:16}{words}")


def _read(path: Path) -> str:
    try:
        raw = sys.stdin.buffer.read() if str(path) == "-" else path.read_bytes()
        return raw.decode("utf-8-sig")
    except OSError as error:
        refuse(f"{path} cannot be read: {error.strerror}.")
    except UnicodeDecodeError:
        refuse(f"{path} is not UTF-8.")
