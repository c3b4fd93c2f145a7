"""`portal attributes`: list, add and remove the attributes of accounts."""

from pathlib import Path

import click

from portal.accounts import attribute_management
from portal.accounts.rules.attribute_values import AttributeDefinition, AttributeKind
from portal.accounts.tables.attributes import Attribute, all_attributes, count_values, find_attribute
from portal.cli.account_commands import exit_with_row_errors, print_warnings
from portal.cli.app_context import IDENTIFIER, exit_with_error, read_file, with_app_context
from portal.consent.account_import import ImportRejected
from portal.core.clock import now_ms
from portal.operations import attribute_import
from portal.operations.attribute_uses import attribute_uses


@click.group(name="attributes")
def group() -> None:
    """List, add and remove the attributes of accounts."""


@group.command(name="list")
@with_app_context
def list_all() -> None:
    """List the attributes with the number of accounts that have a value."""
    counts = count_values()
    for attribute in all_attributes():
        kind = " / ".join(attribute.choices) or attribute.kind
        click.echo(f"{attribute.key:<20}  {attribute.label:<24}  {kind:<24}  {counts.get(attribute.id, 0):,}")


@group.command()
@click.argument("key", type=IDENTIFIER)
@click.option("--label", required=True, help="What pages call it.")
@click.option("--kind", type=click.Choice([kind.value for kind in AttributeKind]), default="text", show_default=True)
@click.option("--choice", "choices", multiple=True, help="A value of the kind choice. Repeat it for each.")
@with_app_context
def add(key: str, label: str, kind: str, choices: tuple[str, ...]) -> None:
    """Declare an attribute. KEY names it in templates and files, such as expires_on."""
    attribute_management.add_attribute(AttributeDefinition(key, label, kind, choices), None, now_ms())
    click.echo(key)


@group.command()
@click.argument("key", type=IDENTIFIER)
@click.option("--yes", "is_confirmed", is_flag=True, help="Also remove the values of accounts, without asking.")
@with_app_context
def remove(key: str, is_confirmed: bool) -> None:
    """Remove an attribute that no template, audience or schedule names."""
    attribute = _require_attribute(key)
    attribute_id, values = attribute.id, count_values().get(attribute.id, 0)
    if values and not is_confirmed:
        click.confirm(f"{values:,} {'account has' if values == 1 else 'accounts have'} a value. Remove it?", abort=True)
    attribute_management.remove_attribute(attribute_id, attribute_uses, values, None, now_ms())
    click.echo(f"{key} is removed.")


@group.command(name="import")
@click.argument("file", type=click.Path(path_type=Path))
@with_app_context
def import_file(file: Path) -> None:
    """Set attributes of accounts that exist, from a CSV file or a workbook. If a row has an error, nothing changes.

    \b
    Columns: external_id, and the keys of attributes. A blank cell changes nothing.
    """
    try:
        plan, warnings = attribute_import.import_attributes(read_file(file), now_ms())
    except ImportRejected as error:
        exit_with_row_errors(error)
    print_warnings(warnings)
    click.echo(f"{plan.values:,} values of {plan.accounts:,} accounts imported.")


def _require_attribute(key: str) -> Attribute:
    if (attribute := find_attribute(key)) is None:
        exit_with_error(f"There is no attribute {key}. See: portal attributes list")
    return attribute
