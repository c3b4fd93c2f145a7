"""Phone numbers: from what a person types to E.164, and back to something a person can read."""

import itertools
import re
from collections.abc import Sequence

import phonenumbers
from phonenumbers import NumberParseException, PhoneNumberFormat, ValidationResult

from portal.core.rules import text_input
from portal.core.rules.time_zones import is_timezone

E164 = re.compile(r"\+[1-9][0-9]{6,14}\Z")
"""ITU-T E.164: a plus, a country code, at most 15 digits."""

_CHANNEL = re.compile(r"\A(?:rcs|whatsapp|sms|mms):(?=\+)", re.IGNORECASE)
_MAX_ZONES_PER_AREA = 4
"""Such as those of the United Kingdom and its islands. A number in more has no area, such as a toll-free one."""
_PHONE_LABEL = re.compile(r"\A(?:tel|phone|mobile|cell)[.:]+ *(?=[+(0-9])", re.IGNORECASE)
"""What stands before a number on cards and in links."""
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
"""Territories and islands that belong to a country and share its numbers: whoever texts the country texts them too."""


class PhoneError(ValueError):
    """What is wrong with the number and how to write it, for the person who typed it."""


class UnverifiedNumber(PhoneError):
    """It may be a number, but a person must look at its digits first: `number` is what it would be, in E.164."""

    def __init__(self, sentence: str, number: str) -> None:
        super().__init__(sentence)
        self.number = number


class UnlistedNumber(UnverifiedNumber):
    """As long as numbers of its country are, and in no table: newer than the table, or mistyped."""


class VanityNumber(UnverifiedNumber):
    """Digits were written as letters, as in 1-800-FLOWERS."""


def to_e164(text: str, region: str, confirmed: str = "") -> str:
    """The E.164 form of a number; `region` (ISO 3166, such as US) is assumed where no country code is given.

    Raises `PhoneError` for what cannot be a subscriber's number, and `UnverifiedNumber` for what a person must look at,
    unless that very number is the one `confirmed`.
    """
    try:
        return _parse_verified(text, region)
    except UnverifiedNumber as unsure:
        if text_input.clean_code(confirmed) != unsure.number:
            raise
        return unsure.number


def unlisted_number_warning(number: str) -> str:
    """What there is to check about an E.164 number that may exist and is in no table; empty for the others."""
    try:
        _parse_verified(number, "ZZ")
    except UnlistedNumber as unknown:
        return str(unknown)
    except PhoneError:
        return ""
    return ""


def parse_search_phone(text: str, region: str) -> str:
    """The number in E.164 that somebody looks for, also one in no table; empty for what is none."""
    try:
        return _parse_verified(text, region)
    except UnverifiedNumber as unsure:
        return unsure.number
    except PhoneError:
        return ""


def _parse_verified(typed: str, region: str) -> str:
    text = _PHONE_LABEL.sub("", text_input.clean_code(typed))
    if not text:
        raise PhoneError("Enter a phone number.")
    number = _parse(text, region)
    written = phonenumbers.format_number(number, PhoneNumberFormat.E164)
    if number.extension:
        raise PhoneError("Leave out the extension: a text cannot reach one.")
    if any(sign.isalpha() for sign in text):
        raise _letters_error(text, number, written)
    if phonenumbers.is_valid_number(number):
        return written
    if not _is_plausible(number):
        raise PhoneError(
            f"There is no such number in {_country_of(number, region)}: "
            "check the digits, or start with + and the country code."
        )
    raise UnlistedNumber(
        f"{_format_international(number)} is in no list of numbers: it is new, or a digit is wrong. Check every digit.",
        written,
    )


def _parse(text: str, region: str) -> phonenumbers.PhoneNumber:
    try:
        return phonenumbers.parse(text, region)
    except NumberParseException as error:
        raise PhoneError(f"This is not a phone number. Write it like {example_phone(region)}.") from error


def _letters_error(text: str, number: phonenumbers.PhoneNumber, written: str) -> PhoneError:
    """A word on the keys of a phone is offered as its digits; a letter that looks like a digit is not guessed at."""
    word = _VANITY.match(text)
    if word and set(filter(str.isalpha, text)) - _DIGIT_LOOKALIKES and _is_plausible(number):
        return VanityNumber(
            f"With its letters as digits this is {_format_international(number)}. Check every digit.", written
        )
    letters = "".join(itertools.takewhile(str.isalpha, itertools.dropwhile(lambda sign: not sign.isalpha(), text)))
    return PhoneError(f"Write digits only: “{letters}” {'is a letter' if len(letters) == 1 else 'are letters'}.")


def _is_plausible(number: phonenumbers.PhoneNumber) -> bool:
    """As many digits as its country's numbers have; of +1 the plan itself says more."""
    possible = phonenumbers.is_possible_number_with_reason(number) == ValidationResult.IS_POSSIBLE
    return possible and (number.country_code != 1 or bool(_NANP.match(str(number.national_number))))


def _format_international(number: phonenumbers.PhoneNumber) -> str:
    return phonenumbers.format_number(number, PhoneNumberFormat.INTERNATIONAL)


def is_in_countries(number: str, countries: Sequence[str]) -> bool:
    """Whether an E.164 number is of one of these countries, or of a territory of theirs.

    A number in no table counts as of its country code's main country.
    """
    parsed = phonenumbers.parse(number, None)
    region = phonenumbers.region_code_for_number(parsed)
    region = region or phonenumbers.region_code_for_country_code(parsed.country_code or 0)
    return any(region in (country, *TERRITORIES.get(country, ())) for country in countries)


def likely_time_zone(number: str) -> str | None:
    """The time zone of an E.164 number's area, where it has one or a few; None for a number that may be anywhere."""
    from phonenumbers.timezone import time_zones_for_number  # its tables take time to load

    zones = [str(zone) for zone in time_zones_for_number(phonenumbers.parse(number)) if is_timezone(str(zone))]
    return zones[0] if 0 < len(zones) <= _MAX_ZONES_PER_AREA else None


def is_e164(text: str) -> bool:
    """Check the shape only: configured and magic numbers may belong to nobody (docs/twilio.md#magic-numbers)."""
    return bool(E164.match(text))


def strip_channel(address: str) -> str:
    """The number in an address such as rcs:+12025550101: STOP counts on any channel (docs/twilio.md#channels)."""
    return _CHANNEL.sub("", address)


def is_possible_phone(text: str) -> bool:
    """E.164 with as many digits as its country's numbers have, whether it is anybody's or not."""
    if not is_e164(text):
        return False
    try:
        number = phonenumbers.parse(text, None)
    except NumberParseException:
        return False
    return phonenumbers.is_possible_number_with_reason(number) == ValidationResult.IS_POSSIBLE


def format_phone(number: str, region: str = "US") -> str:
    """(202) 555-0100 at home, +44 20 7946 0000 abroad; what cannot be read is returned as it is."""
    try:
        parsed = phonenumbers.parse(number, None)
    except NumberParseException:
        return number
    at_home = parsed.country_code == phonenumbers.country_code_for_region(region)
    return phonenumbers.format_number(
        parsed, PhoneNumberFormat.NATIONAL if at_home else PhoneNumberFormat.INTERNATIONAL
    )


def mask_phone(number: str) -> str:
    """+1 ••• 0100: enough to recognise one's own, too little to call a stranger."""
    if not is_e164(number):
        return "•••"
    try:
        code = f"+{phonenumbers.parse(number, None).country_code} "
    except NumberParseException:
        code = ""
    return f"{code}••• {number[-4:]}"


def example_phone(region: str) -> str:
    number = phonenumbers.example_number_for_type(region, phonenumbers.PhoneNumberType.MOBILE)
    return phonenumbers.format_number(number, PhoneNumberFormat.NATIONAL) if number else "+1 202 555 0100"


def _country_of(number: phonenumbers.PhoneNumber, region: str) -> str:
    return phonenumbers.region_code_for_country_code(number.country_code or 0) or region
