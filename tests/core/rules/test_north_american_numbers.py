"""The shortcut for North American numbers decides what the library's tables say."""

import re
from collections.abc import Iterable, Iterator
from itertools import product
from typing import Any

import phonenumbers
from hypothesis import given, settings
from hypothesis import strategies as st
from phonenumbers import NumberParseException, PhoneMetadata, PhoneNumberFormat

from portal.core.rules.phone import UNEVEN_AREAS, PhoneError, to_e164

_AREAS = ("202", "415", "604", "242", "246", "340", "500", "555", "658", "787", "800", "876", "880", "900", "211")
_EXCHANGES = ("200", "211", "521", "522", "523", "555", "606", "911")
_KINDS = (
    "general_desc",
    "fixed_line",
    "mobile",
    "toll_free",
    "premium_rate",
    "shared_cost",
    "personal_number",
    "voip",
    "pager",
    "uan",
    "voicemail",
)
_separator = st.sampled_from(("", " ", "-", "."))
_digits = [st.text("0123456789", min_size=length, max_size=length) for length in (3, 3, 4)]


@st.composite
def written_number(draw: st.DrawFn) -> str:
    country, area_form = draw(st.sampled_from(("", "1", "+1", "+1 ", "1-", "+"))), draw(st.sampled_from(("%s", "(%s)")))
    area = draw(st.sampled_from(_AREAS) | _digits[0])
    exchange = draw(st.sampled_from(_EXCHANGES) | _digits[1])
    return country + draw(_separator).join((area_form % area, exchange, draw(_digits[2])))


@settings(max_examples=600, deadline=None)
@given(written_number(), st.sampled_from(("US", "CA", "AG", "BM", "DE", "ZZ")))
def test_written_number_is_accepted_as_the_library_reads_it(typed: str, region: str) -> None:
    assert accepted(typed, region) == listed(typed, region)


def test_last_four_digits_decide_in_uneven_areas_only() -> None:
    tables = [PhoneMetadata.metadata_for_region(region) for region in phonenumbers.COUNTRY_CODE_TO_REGION_CODE[1]]
    kinds = [getattr(table, kind) for table in tables for kind in _KINDS]
    patterns = {kind.national_number_pattern for kind in kinds if kind and kind.national_number_pattern}
    numbers = [digits for pattern in patterns for digits in spelled_out(re._parser.parse(pattern))]  # type: ignore[attr-defined]
    assert len(numbers) > 500
    uneven = [digits for digits in numbers if len(digits) == 10 and any(len(digit) < 10 for digit in digits[6:])]
    assert {"".join(map("".join, digits[:3])) for digits in uneven} == set(UNEVEN_AREAS)


def accepted(typed: str, region: str) -> str:
    try:
        return to_e164(typed, region)
    except PhoneError:
        return ""


def listed(typed: str, region: str) -> str:
    try:
        number = phonenumbers.parse(typed, region)
    except NumberParseException:
        return ""
    is_listed = phonenumbers.is_valid_number(number)
    return phonenumbers.format_number(number, PhoneNumberFormat.E164) if is_listed else ""


def spelled_out(pattern: Iterable[Any]) -> Iterator[tuple[frozenset[str], ...]]:
    """Each sequence of sets of digits that a parsed regular expression matches."""
    for parts in product(*(list(_choices(str(name), value)) for name, value in pattern)):
        yield tuple(digit for part in parts for digit in part)


def _choices(name: str, value: Any) -> Iterator[tuple[frozenset[str], ...]]:
    if name == "SUBPATTERN":
        yield from spelled_out(value[3])
    elif name == "BRANCH":
        yield from (digits for branch in value[1] for digits in spelled_out(branch))
    elif name == "MAX_REPEAT":
        least, most, repeated = value
        yield from (digits for count in range(least, most + 1) for digits in spelled_out([*repeated] * count))
    else:
        yield (frozenset("".join(_members(value)) if name == "IN" else chr(value)),)


def _members(members: Iterable[Any]) -> Iterator[str]:
    for name, value in members:
        if str(name) == "RANGE":
            yield from map(chr, range(value[0], value[1] + 1))
        else:
            yield "0123456789" if str(name) == "CATEGORY" else chr(value)
