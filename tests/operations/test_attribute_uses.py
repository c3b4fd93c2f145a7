from typing import Any

import pytest

from portal.operations.attribute_uses import audience_names


def conditions(*pairs: tuple[str, Any]) -> dict[str, Any]:
    return {
        "match": "all",
        "conditions": [{"field": field, "operator": "is", "value": value} for field, value in pairs],
    }


@pytest.mark.parametrize(
    ("audience", "choice", "is_named"),
    [
        ({"all": True}, "", False),
        (conditions(("account_type", "region")), "", False),
        (conditions(("attribute.regions", "North")), "", False),
        (conditions(("account_type", "Provider"), ("attribute.region", "North")), "", True),
        (conditions(("attribute.region", "NORTH")), "North", True),
        (conditions(("attribute.region", ["South", "North"])), "North", True),
        (conditions(("attribute.region", "South"), ("account_type", "North")), "North", False),
        (conditions(("attribute.region", None)), "North", False),
    ],
)
def test_audience_names_the_attributes_of_its_conditions(audience: dict[str, Any], choice: str, is_named: bool) -> None:
    assert audience_names(audience, "region", choice) is is_named
