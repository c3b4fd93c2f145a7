"""Where the person behind a phone number may be, compared with the geographic data of phonenumbers."""

import pytest
from phonenumbers.geodata import GEOCODE_DATA

from portal.accounts.rules.area_codes import AREA_CODES_BY_STATE, OVERLAYS, STATE_BY_AREA_CODE
from portal.accounts.rules.recipient_places import area_of, place_of
from portal.core.rules.limits.quiet_hours import Place

_STATE_NAMES = {
    **{"AK": "Alaska", "AL": "Alabama", "AR": "Arkansas", "AZ": "Arizona", "CA": "California", "CO": "Colorado"},
    **{"CT": "Connecticut", "DC": "Washington D.C.", "DE": "Delaware", "FL": "Florida", "GA": "Georgia"},
    **{"HI": "Hawaii", "IA": "Iowa", "ID": "Idaho", "IL": "Illinois", "IN": "Indiana", "KS": "Kansas"},
    **{"KY": "Kentucky", "LA": "Louisiana", "MA": "Massachusetts", "MD": "Maryland", "ME": "Maine"},
    **{"MI": "Michigan", "MN": "Minnesota", "MO": "Missouri", "MS": "Mississippi", "MT": "Montana"},
    **{"NC": "North Carolina", "ND": "North Dakota", "NE": "Nebraska", "NH": "New Hampshire", "NJ": "New Jersey"},
    **{"NM": "New Mexico", "NV": "Nevada", "NY": "New York", "OH": "Ohio", "OK": "Oklahoma", "OR": "Oregon"},
    **{"PA": "Pennsylvania", "RI": "Rhode Island", "SC": "South Carolina", "SD": "South Dakota", "TN": "Tennessee"},
    **{"TX": "Texas", "UT": "Utah", "VA": "Virginia", "VT": "Vermont", "WA": "Washington State"},
    **{"WI": "Wisconsin", "WV": "West Virginia", "WY": "Wyoming"},
}


def test_table_has_every_area_code_that_phonenumbers_has() -> None:
    """Whole area codes by the name of the state; those known only in parts by the abbreviation of their cities."""
    states = {name: state for state, name in _STATE_NAMES.items()}
    expected: dict[str, set[str]] = {}
    for digits, names in GEOCODE_DATA.items():
        if digits.startswith("1") and len(digits) >= 4 and (name := names.get("en")):
            state = states.get(name) or name.rpartition(", ")[2]
            if state in AREA_CODES_BY_STATE:
                expected.setdefault(digits[1:4], set()).add(state)
    missing = {code: found for code, found in expected.items() if STATE_BY_AREA_CODE.get(code) not in found}
    assert missing == {}
    assert STATE_BY_AREA_CODE.keys() - expected.keys() <= OVERLAYS.keys(), "only what is newer than that data"
    assert len(AREA_CODES_BY_STATE) == 51


@pytest.mark.parametrize(
    ("phone", "timezone", "zones", "state"),
    [
        ("+12025550142", "America/New_York", ("America/New_York",), "DC"),
        ("+12025550142", "America/Los_Angeles", ("America/Los_Angeles", "America/New_York"), "DC"),
        ("+12025550142", "UTC", ("America/New_York",), "DC"),
        ("+19155550142", "America/Chicago", ("America/Chicago", "America/Denver"), "TX"),
        ("+18505550142", "America/New_York", ("America/New_York", "America/Chicago"), "FL"),
        ("+14485550142", "UTC", ("America/Chicago", "America/New_York"), "FL"),
        ("+18005550142", "America/Denver", ("America/Denver",), ""),
        ("+18005550142", "UTC", ("UTC",), ""),
        ("+14165550142", "UTC", ("America/Toronto",), ""),
        ("+442079460958", "America/New_York", ("America/New_York", "Europe/London"), ""),
        ("+61491570156", "UTC", ("Australia/Sydney",), ""),
        ("", "Asia/Tokyo", ("Asia/Tokyo",), ""),
    ],
)
def test_area_code_and_time_zone_both_count(phone: str, timezone: str, zones: tuple[str, ...], state: str) -> None:
    assert place_of(area_of(phone), timezone) == Place(zones, state)


@pytest.mark.parametrize("state", AREA_CODES_BY_STATE)
def test_every_area_code_of_a_state_has_a_zone(state: str) -> None:
    for code in AREA_CODES_BY_STATE[state].split():
        place = place_of(f"1{code}", "UTC")
        assert place.state == state
        assert "UTC" not in place.zones
        assert 1 <= len(place.zones) <= 4, code
