"""Attributes in the import of accounts."""

import pytest

from portal.accounts.attribute_management import add_attribute
from portal.accounts.rules.attribute_values import AttributeDefinition, AttributeKind
from portal.accounts.tables.attributes import values_of
from portal.consent.account_import import ImportRejected, import_accounts
from portal.core.rules.csv_input import CsvError
from tests.support import scenario

pytestmark = pytest.mark.usefixtures("app")
HEADER = "external_id,name,email,account_type"


@pytest.fixture
def attributes() -> None:
    for attribute in (
        AttributeDefinition("expires_on", "Expires on", AttributeKind.DATE),
        AttributeDefinition("credits", "Credits", AttributeKind.NUMBER),
    ):
        add_attribute(attribute, None, scenario.now_ms())


def import_rows(header: str, *rows: str) -> None:
    import_accounts("\n".join([header, *rows]).encode(), scenario.now_ms())


def test_import_fills_in_the_attributes_of_its_columns(attributes: None) -> None:
    import_rows(
        f"{HEADER},Credits,expires_on",
        "P-1,Ann,a@e.org,T,12.50,5/28/2027",
        "P-2,Ben,b@e.org,T,,",
        "P-3,Cy,c@e.org,T,7,",
    )
    assert values_of([1, 2, 3]) == {1: {"credits": "12.5", "expires_on": "2027-05-28"}, 3: {"credits": "7"}}


def test_import_without_attributes_is_as_before(attributes: None) -> None:
    import_rows(HEADER, "P-1,Ann,a@e.org,T")
    assert values_of([1]) == {}


def test_wrong_value_stops_the_import_at_its_cell(attributes: None) -> None:
    with pytest.raises(ImportRejected) as caught:
        import_rows(f"{HEADER},expires_on", "P-1,Ann,a@e.org,T,2027-02-30")
    assert str(caught.value.row_errors[0]).startswith("Row 2, expires_on: “2027-02-30” is not a date.")


def test_column_that_is_no_attribute_is_refused_with_those_that_are(attributes: None) -> None:
    with pytest.raises(CsvError, match=r"unknown: region.*credits,expires_on"):
        import_rows(f"{HEADER},region", "P-1,Ann,a@e.org,T,North")
