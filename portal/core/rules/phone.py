"""Phone numbers: parsing to E.164 and formatting for people."""

import itertools
import re
from collections.abc import Sequence
from functools import lru_cache

import phonenumbers
from phonenumbers import NumberParseException, PhoneNumberFormat, ValidationResult

from portal.core.rules import text_input
from portal.core.rules.time_zones import is_timezone
from portal.core.translation import gettext as _
from portal.core.translation import ngettext

E164 = re.compile(r"\+[1-9][0-9]{6,14}\Z")
"""ITU-T E.164: a plus, a country code, at most 15 digits."""

_CHANNEL = re.compile(r"\A(?:rcs|whatsapp|sms|mms):(?=\+)", re.IGNORECASE)
_MAX_ZONES_PER_AREA = 4
"""As the United Kingdom and its islands have. A number with more zones, such as a toll-free one, has no area."""
_PHONE_LABEL = re.compile(r"\A(?:tel|phone|mobile|cell)[.:]+ *(?=[+(0-9])", re.IGNORECASE)
"""A prefix on business cards and in links."""
_NANP_TEXT = re.compile(r"(?:\+?1[ .-]?)?\(?([2-9][0-9]{2})\)?[ .-]?([2-9][0-9]{2})[ .-]?([0-9]{4})")
"""How nearly everybody in North America writes a number, with or without the country code."""
_NANP_REGIONS = ("US", "CA")
UNEVEN_AREAS = ("246", "876")
"""Barbados and Jamaica, where only some numbers of an exchange are in a known range."""
_NANP_E164 = re.compile(r"\+1[2-9][0-9]{9}")
_NANP = re.compile(r"[2-9][0-9]{2}[2-9][0-9]{6}\Z")
_VANITY = re.compile(r"[^A-Za-z]*[0-9].*[A-Za-z]{3}")
_DIGIT_LOOKALIKES = frozenset("OoQDIiLlSsZzBbG")
TERRITORIES = {
    "US": ("AS", "GU", "MP", "PR", "VI"),
    "GB": ("GG", "IM", "JE"),
    "AU": ("CC", "CX"),
    "FI": ("AX",),
    "NO": ("SJ",),
}
"""Territories that share a country's numbering plan: a country that may be texted includes them."""


class PhoneError(ValueError):
    """The phone number is invalid; the message tells the person who typed it how to write it."""


class UnverifiedNumber(PhoneError):
    """`number` (E.164) may exist, but a person must check its digits first."""

    def __init__(self, message: str, number: str) -> None:
        super().__init__(message)
        self.number = number


class UnlistedNumber(UnverifiedNumber):
    """The number has a plausible length but is in no range we know: it is newer than our tables, or mistyped."""


class VanityNumber(UnverifiedNumber):
    """Letters stand for digits, as in 1-800-FLOWERS."""


def to_e164(text: str, region: str, confirmed: str = "") -> str:
    """Parse a phone number; `region` (ISO 3166, such as US) applies if there is no country code.

    Raises `PhoneError` for an invalid number, and `UnverifiedNumber` for one that a person must check, unless it equals
    `confirmed`.
    """
    try:
        return _parse_verified(text, region)
    except UnverifiedNumber as unverified:
        if text_input.clean_code(confirmed) != unverified.number:
            raise
        return unverified.number


def unlisted_number_warning(number: str) -> str:
    """The warning about an E.164 number that is in no known range; empty for other numbers."""
    try:
        _parse_verified(number, "ZZ")
    except UnlistedNumber as unlisted:
        return str(unlisted)
    except PhoneError:
        return ""
    return ""


def parse_search_phone(text: str, region: str) -> str:
    """The E.164 number in a search, verified or not; empty if the text is not a phone number."""
    try:
        return _parse_verified(text, region)
    except UnverifiedNumber as unverified:
        return unverified.number
    except PhoneError:
        return ""


def _parse_verified(typed: str, region: str) -> str:
    text = _PHONE_LABEL.sub("", text_input.clean_code(typed))
    if not text:
        raise PhoneError(_("Enter a phone number."))
    return _listed_nanp_number(text, region) or _parse_listed(text, region)


def _listed_nanp_number(text: str, region: str) -> str:
    """What `_parse_listed` returns, in a fraction of its time; empty if it has to look."""
    written = _NANP_TEXT.fullmatch(text)
    if written is None or written[1] in UNEVEN_AREAS or (region not in _NANP_REGIONS and text[0] != "+"):
        return ""
    return f"+1{written[1]}{written[2]}{written[3]}" if _is_listed_exchange(written[1] + written[2]) else ""


@lru_cache(maxsize=20_000)
def _is_listed_exchange(digits: str) -> bool:
    """Elsewhere in North America, the last four digits do not decide whether a number is in a known range."""
    return phonenumbers.is_valid_number(phonenumbers.PhoneNumber(country_code=1, national_number=int(f"{digits}2345")))


def _parse_listed(text: str, region: str) -> str:
    number = _parse(text, region)
    e164 = phonenumbers.format_number(number, PhoneNumberFormat.E164)
    if number.extension:
        raise PhoneError(_("Leave out the extension: texts cannot reach it."))
    if any(character.isalpha() for character in text):
        raise _letters_error(text, number, e164)
    if phonenumbers.is_valid_number(number):
        return e164
    if not _is_plausible(number):
        country = phonenumbers.region_code_for_country_code(number.country_code or 0) or region
        raise PhoneError(
            _(
                "This is not a valid %(country)s number: check the digits, or start with + and the country code.",
                country=country,
            )
        )
    raise UnlistedNumber(
        _(
            "%(number)s is not in a known range: the range may be new, or a digit may be wrong. Check every digit.",
            number=_format_international(number),
        ),
        e164,
    )


def _parse(text: str, region: str) -> phonenumbers.PhoneNumber:
    try:
        return phonenumbers.parse(text, region)
    except NumberParseException as error:
        raise PhoneError(
            _("This is not a phone number. Write it like %(example)s.", example=example_phone(region))
        ) from error


def _letters_error(text: str, number: phonenumbers.PhoneNumber, e164: str) -> PhoneError:
    """Convert a vanity number to digits for confirmation, but never guess a letter that looks like a digit."""
    if _VANITY.match(text) and set(filter(str.isalpha, text)) - _DIGIT_LOOKALIKES and _is_plausible(number):
        return VanityNumber(
            _(
                "With its letters as digits this is %(number)s. Check every digit.",
                number=_format_international(number),
            ),
            e164,
        )
    from_letter = itertools.dropwhile(lambda character: not character.isalpha(), text)
    letters = "".join(itertools.takewhile(str.isalpha, from_letter))
    return PhoneError(
        ngettext(
            "Write digits only: “%(letters)s” is a letter.",
            "Write digits only: “%(letters)s” are letters.",
            len(letters),
            letters=letters,
        )
    )


def _is_plausible(number: phonenumbers.PhoneNumber) -> bool:
    """Whether the length fits the country; for +1, also the North American Numbering Plan."""
    possible = phonenumbers.is_possible_number_with_reason(number) == ValidationResult.IS_POSSIBLE
    return possible and (number.country_code != 1 or bool(_NANP.match(str(number.national_number))))


def _format_international(number: phonenumbers.PhoneNumber) -> str:
    return phonenumbers.format_number(number, PhoneNumberFormat.INTERNATIONAL)


def parse_international(text: str) -> phonenumbers.PhoneNumber | None:
    """None unless the text is a number with a country code."""
    try:
        return phonenumbers.parse(text, None)
    except NumberParseException:
        return None


def is_in_countries(number: str, countries: Sequence[str]) -> bool:
    """Whether an E.164 number belongs to one of these countries or their territories.

    A number in no known range belongs to the main country of its country code.
    """
    parsed = phonenumbers.parse(number, None)
    region = phonenumbers.region_code_for_number(parsed)
    region = region or phonenumbers.region_code_for_country_code(parsed.country_code or 0)
    return any(region in (country, *TERRITORIES.get(country, ())) for country in countries)


def likely_time_zone(number: str) -> str | None:
    """The time zone of an E.164 number's area; None for a number that may be anywhere.

    In North America, the last four digits say nothing about the area, so one answer serves ten thousand numbers.
    """
    return _time_zone_of_area(f"{number[:-4]}2345" if _NANP_E164.fullmatch(number) else number)


@lru_cache(maxsize=10_000)
def _time_zone_of_area(number: str) -> str | None:
    from phonenumbers.timezone import time_zones_for_number  # slow to import

    zones = [str(zone) for zone in time_zones_for_number(phonenumbers.parse(number)) if is_timezone(str(zone))]
    return zones[0] if 0 < len(zones) <= _MAX_ZONES_PER_AREA else None


def is_e164(text: str) -> bool:
    """Checks the format only: configured and magic numbers may not exist (docs/twilio.md#magic-numbers)."""
    return bool(E164.match(text))


def strip_channel(address: str) -> str:
    """The number in an address such as rcs:+12025550101: STOP counts on any channel (docs/twilio.md#channels)."""
    return _CHANNEL.sub("", address)


def is_possible_phone(text: str) -> bool:
    """E.164 with a length that fits its country, whether the number exists or not."""
    number = parse_international(text) if is_e164(text) else None
    reason = number and phonenumbers.is_possible_number_with_reason(number)
    return reason == ValidationResult.IS_POSSIBLE


def format_phone(number: str, region: str = "US") -> str:
    """(202) 555-0100 in the region, +44 20 7946 0000 elsewhere; other text is returned unchanged."""
    parsed = parse_international(number)
    if parsed is None:
        return number
    is_domestic = parsed.country_code == phonenumbers.country_code_for_region(region)
    return phonenumbers.format_number(
        parsed, PhoneNumberFormat.NATIONAL if is_domestic else PhoneNumberFormat.INTERNATIONAL
    )


def mask_phone(number: str) -> str:
    """+1 ••• 0100: people recognise their own number, but cannot call a stranger's."""
    if not is_e164(number):
        return "•••"
    parsed = parse_international(number)
    return f"{f'+{parsed.country_code} ' if parsed else ''}••• {number[-4:]}"


def example_phone(region: str) -> str:
    number = phonenumbers.example_number_for_type(region, phonenumbers.PhoneNumberType.MOBILE)
    return phonenumbers.format_number(number, PhoneNumberFormat.NATIONAL) if number else "+1 202 555 0100"
