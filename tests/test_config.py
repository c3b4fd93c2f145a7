"""Settings that do not fit are refused with a sentence that names them."""

from datetime import time
from pathlib import Path

import pytest

from portal.config import ConfigError, load_settings


def hours(tmp_path: Path, text: str) -> tuple[time, time] | None:
    return load_settings({"PORTAL_INSTANCE": str(tmp_path), "PORTAL_QUIET_HOURS": text}).quiet_hours


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", None),
        ("off", None),
        (" OFF ", None),
        ("21-8", (time(21), time(8))),
        ("21:00-08:00", (time(21), time(8))),
        (" 20:30 - 09:15 ", (time(20, 30), time(9, 15))),
    ],
)
def test_quiet_hours_are_two_times_or_none(tmp_path: Path, text: str, found: tuple[time, time] | None) -> None:
    assert hours(tmp_path, text) == found


@pytest.mark.parametrize(
    "text", ["21", "21-", "-8", "21-8-9", "25:00-08:00", "9pm-8am", "21-21", "21:00Z-08:00Z", "on"]
)
def test_other_quiet_hours_are_refused_by_name(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError, match="PORTAL_QUIET_HOURS must be two"):
        hours(tmp_path, text)
