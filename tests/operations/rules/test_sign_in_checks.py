"""Whether administrators need a second factor, as the diagnostics say it."""

import pytest

from portal.operations.rules.sign_in_checks import check_second_factor


@pytest.mark.parametrize(
    ("is_required", "is_production", "verdict"),
    [(True, True, "ok"), (True, False, "ok"), (False, False, "ok"), (False, True, "warning")],
)
def test_production_without_second_factors_is_a_warning(is_required: bool, is_production: bool, verdict: str) -> None:
    assert check_second_factor(is_required, is_production).verdict == verdict
