"""Time zone names are the same on every host."""

import zoneinfo

import pytest

from portal.core.rules.time_zones import timezone_choices, timezone_or_utc, timezone_problem

HOST_ONLY_NAMES = [
    "localtime",
    "Factory",
    "posixrules",
    "posix/Europe/Berlin",
    "right/Europe/Berlin",
    "right/UTC",
    "posix",
    "leapseconds",
    "tzdata.zi",
    "zone1970.tab",
    "",
    ".",
    "../../etc/passwd",
    "/usr/share/zoneinfo/UTC",
    "europe/berlin",
    "Europe/",
]


@pytest.mark.parametrize("name", HOST_ONLY_NAMES)
def test_name_that_only_some_hosts_have_is_refused(name: str) -> None:
    assert timezone_problem(name) == "There is no such time zone. Use a name such as America/New_York."
    assert timezone_or_utc(name).key == "UTC"
    assert name not in timezone_choices()


@pytest.mark.parametrize(
    "name",
    ["Europe/Berlin", "America/New_York", "America/Puerto_Rico", "US/Eastern", "EST5EDT", "Etc/GMT+5", "UTC"],
)
def test_current_and_older_zone_names_are_valid(name: str) -> None:
    assert timezone_problem(name) is None
    assert timezone_or_utc(name).key == name


def test_choices_are_the_same_on_a_host_without_zones(monkeypatch: pytest.MonkeyPatch) -> None:
    before = timezone_choices()
    zoneinfo.reset_tzpath(to=())
    zoneinfo.ZoneInfo.clear_cache()
    try:
        assert (timezone_choices(), timezone_or_utc("Europe/Vienna").key) == (before, "Europe/Vienna")
    finally:
        zoneinfo.reset_tzpath()
    assert len(before) > 400
