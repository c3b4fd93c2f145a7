"""`portal attributes` and `portal accounts set-attribute`."""

import pytest

from tests.support.portal_shell import PortalShell

CHOICES = ("--kind", "choice", "--choice", "North", "--choice", "South")


@pytest.fixture
def region(shell: PortalShell) -> None:
    shell.import_accounts("P-1")
    shell.output_of("attributes", "add", "region", "--label", "Region", *CHOICES)


def test_added_attribute_is_listed(shell: PortalShell, region: None) -> None:
    shell.output_of("accounts", "set-attribute", "P-1", "region", "north")
    assert shell.output_of("attributes", "list").split() == ["region", "Region", "North", "/", "South", "1"]


def test_value_is_set_and_removed(shell: PortalShell, region: None) -> None:
    assert shell.output_of("accounts", "set-attribute", "p-1", "region", "south") == "region = South"
    assert shell.output_of("accounts", "set-attribute", "P-1", "region", "") == "region has no value"


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("P-1", "region", "East"), "“East” is not one of the choices: North, South."),
        (("P-1", "area", "North"), "There is no attribute “area”. There are: region."),
        (("P-9", "region", "North"), "There is no account P-9."),
    ],
)
def test_wrong_value_is_one_sentence(shell: PortalShell, region: None, arguments: tuple[str, ...], error: str) -> None:
    assert shell.error_of("accounts", "set-attribute", *arguments) == error


def test_attribute_in_use_is_not_removed(shell: PortalShell, region: None) -> None:
    shell.add_template("fee", "For {{ region }}")
    assert "“Region” is in use: template" in shell.error_of("attributes", "remove", "region")


def test_removal_of_values_is_confirmed(shell: PortalShell, region: None) -> None:
    shell.output_of("accounts", "set-attribute", "P-1", "region", "North")
    assert shell.run("attributes", "remove", "region", stdin_text="n\n").returncode == 1
    assert shell.output_of("attributes", "remove", "region", "--yes") == "region is removed."
    assert shell.output_of("attributes", "list") == ""


def test_unknown_attribute_is_named(shell: PortalShell) -> None:
    assert shell.error_of("attributes", "remove", "area") == "There is no attribute area. See: portal attributes list"
