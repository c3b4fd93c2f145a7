"""Attributes of accounts that exist, from a file."""

import pytest

from portal.accounts.tables.attributes import values_of
from portal.consent.account_import import ImportRejected
from portal.core.audit_log import entries_about
from portal.core.errors import ActionRefused
from portal.operations.attribute_import import import_attributes
from tests.support import scenario

pytestmark = pytest.mark.usefixtures("app")


@pytest.fixture(autouse=True)
def _accounts_with_attributes() -> None:
    scenario.create_accounts(3)
    scenario.add_attributes()


def import_lines(*lines: str) -> tuple[int, int]:
    plan, _warnings = import_attributes("\n".join(lines).encode(), scenario.now_ms())
    return plan.accounts, plan.values


def row_errors(*lines: str) -> list[str]:
    with pytest.raises(ImportRejected) as caught:
        import_lines(*lines)
    return [str(error) for error in caught.value.row_errors]


def test_values_are_replaced_and_added() -> None:
    assert import_lines("external_id;credits;region", "p-0;40;south", "P-1;5;") == (2, 3)
    assert values_of([1, 2, 3], ["credits", "region"]) == {1: {"credits": "40", "region": "South"}, 2: {"credits": "5"}}
    (entry,) = entries_about("account P-0", ["account_changed"])
    assert entry.detail == {"account_id": 1, "changes": "Credits: 12 → 40; Region: North → South"}


def test_one_wrong_row_stops_the_import() -> None:
    errors = row_errors("external_id,credits", "P-1,5", "P-2,many", "P-9,3", "p-1,4")
    assert errors == [
        "Row 3, credits: “many” is not a number. Write it as 1250, 1250.5 or 1,250.00.",
        "Row 4, external_id: No account has the number P-9.",
        "Row 5, external_id: p-1 is already in row 2.",
    ]
    assert values_of([2]) == {}


@pytest.mark.parametrize("lines", [("external_id", "P-1"), ("external_id,nothing", "P-1,x"), ("credits", "5")])
def test_file_without_the_columns_is_refused(lines: tuple[str, ...]) -> None:
    with pytest.raises(ActionRefused, match="expires_on"):
        import_lines(*lines)
