"""What the form of an audience starts with for a stored audience."""

from typing import Any

import pytest

from portal.web.admin.sends.audience_form import initial_audience


@pytest.mark.parametrize(
    ("audience", "answer"),
    [
        ({"all": True}, "yes"),
        ({"all": True, "staff": False}, ""),
        ({"account_type": "Practitioner"}, "yes"),
        ({"conditions": [], "match": "any", "as_of": "2027-01-01"}, "yes"),
        ({"external_ids": ["P-1"]}, ""),
        ({"saved_audience": 1}, ""),
        ({"schedule_run": 1}, ""),
        ({"round_of": 1, "outcome": "unreached", "until_ms": 1}, ""),
        ({}, ""),
    ],
    ids=str,
)
def test_administrators_are_included_only_where_the_audience_asks_about_them(
    audience: dict[str, Any], answer: str
) -> None:
    assert initial_audience(audience)["include_staff"] == answer
