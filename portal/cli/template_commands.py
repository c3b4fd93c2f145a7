"""`portal templates`: create, preview and check templates."""

from pathlib import Path

import click

from portal.cli.app_context import exit_with_error, read_file_or_stdin, with_app_context
from portal.content import message_templates
from portal.content.message_templates import TemplateDraft
from portal.content.rules.merge_comparison import COMPARISON_HELP
from portal.content.rules.merge_filters import FILTER_HELP
from portal.content.template_words import FURTHER_LANGUAGES, OWN_LANGUAGE, TemplateWords
from portal.core.clock import now_ms
from portal.core.translation import LANGUAGES
from portal.messages.rules.sms_labels import describe_sms


@click.group(name="templates")
def group() -> None:
    """Create, preview and check templates."""


@group.command()
@click.argument("key")
@click.option("--name", required=True)
@click.option("--subject", required=True)
@click.option(
    "--body-file", required=True, type=click.Path(path_type=Path), help="A Markdown file; - reads from stdin."
)
@click.option("--sms", is_flag=True, help="Also send a text with the subject and a link.")
@click.option("--urgent", is_flag=True, help="Send ahead of other messages, and send texts even in quiet hours.")
@click.option(
    "--sms-expiry-hours", default="", help="Stop sending texts this many hours after the send. Default: never."
)
@with_app_context
def create(key: str, name: str, subject: str, body_file: Path, sms: bool, urgent: bool, sms_expiry_hours: str) -> None:
    """Create a template and print its key."""
    draft = TemplateDraft(key, name, subject, _read_body(body_file), urgent, sms, sms_expiry_hours)
    message_templates.create_template(draft, None, now_ms())
    click.echo(draft.key)


@group.command()
@click.argument("key")
@click.argument("language", type=click.Choice([*FURTHER_LANGUAGES]))
@click.option("--subject", default="")
@click.option("--body-file", type=click.Path(path_type=Path), help="A Markdown file; - reads from stdin.")
@click.option("--remove", is_flag=True, help="Remove the words in this language.")
@with_app_context
def translate(key: str, language: str, subject: str, body_file: Path | None, remove: bool) -> None:
    """Say what the template says in another language. Publishes a new version and prints its number."""
    if remove == bool(subject or body_file):
        raise click.UsageError("Give either --subject and --body-file, or --remove.")
    words = TemplateWords(language, subject, _read_body(body_file) if body_file else "")
    click.echo(message_templates.change_variant(key, words, None, now_ms()))


@group.command()
@click.argument("key")
@click.option("--language", type=click.Choice([*LANGUAGES]), default=OWN_LANGUAGE, help="Of the words. Default: en.")
@with_app_context
def preview(key: str, language: str) -> None:
    """Show the email and text with sample values. Also says how the text differs from the subject."""
    result = message_templates.preview_current_version(key, language)
    for field, error in result.errors.items():
        click.echo(f"{field}: {error}", err=True)
    click.echo(f"{result.subject}\n\n{result.text}")
    if result.sms:
        click.echo(f"Text: {result.sms.text}\n{describe_sms(result.sms)}")


@group.command()
@with_app_context
def check() -> None:
    """List templates that can no longer be sent. Exits with 1 if there are any, say because a filter was removed."""
    unusable = message_templates.unusable_templates()
    for key, reason in unusable.items():
        click.echo(f"{key}: {reason}")
    if unusable:
        raise SystemExit(1)


@group.command()
def filters() -> None:
    """List the filters and comparisons that templates can use."""
    for name, description in (FILTER_HELP | COMPARISON_HELP).items():
        click.echo(f"{name:16}{description}")


def _read_body(path: Path) -> str:
    try:
        return read_file_or_stdin(path).decode("utf-8-sig")
    except UnicodeDecodeError:
        exit_with_error(f"{path} is not UTF-8.")
