"""Phone numbers: from what a person types to E.164, and back to something a person can read."""

import re

import phonenumbers
from phonenumbers import NumberParseException, PhoneNumberFormat, ValidationResult

from portal.domain import text_input

E164 = re.compile(r"\+[1-9][0-9]{6,14}\Z")
"""ITU-T E.164: a plus, a country code, at most 15 digits."""

_CHANNEL = re.compile(r"\A(?:rcs|whatsapp|sms|mms):(?=\+)", re.IGNORECASE)
_ZONES_OF_AN_AREA = 4
"""Such as those of the United Kingdom and its islands. A number in more has no area, such as a toll-free one."""


class PhoneError(ValueError):
    """What is wrong with the number and how to write it, for the person who typed it."""


def to_e164(typed: str, region: str) -> str:
    """The E.164 form of a number; `region` (ISO 3166, such as US) is assumed where no country code is given.

    Raises `PhoneError` for what cannot be a subscriber's number.
    """
    text = text_input.code(typed)
    if not text:
        raise PhoneError("Enter a phone number.")
    try:
        number = phonenumbers.parse(text, region)
    except NumberParseException as error:
        raise PhoneError(f"This is not a phone number. Write it like {example(region)}.") from error
    if number.extension:
        raise PhoneError("Leave out the extension: a text cannot reach one.")
    if not phonenumbers.is_valid_number(number):
        raise PhoneError(
            f"There is no such number in {_country(number, region)}: "
            "check the digits, or start with + and the country code."
        )
    return phonenumbers.format_number(number, PhoneNumberFormat.E164)


def likely_zone(number: str) -> str | None:
    """The time zone of an E.164 number's area, where it has one or a few; None for a number that may be anywhere."""
    from phonenumbers.timezone import UNKNOWN_TIMEZONE, time_zones_for_number  # its tables take time to load

    zones = [str(zone) for zone in time_zones_for_number(phonenumbers.parse(number)) if zone != UNKNOWN_TIMEZONE]
    return zones[0] if 0 < len(zones) <= _ZONES_OF_AN_AREA else None


def is_e164(text: str) -> bool:
    """Shape only: configuration and magic numbers are possible without being anybody's (TWILIO.md 1.10)."""
    return bool(E164.match(text))


def without_channel(address: str) -> str:
    """The number of an address such as rcs:+12025550101: a STOP silences it, whichever way it came (TWILIO.md 4)."""
    return _CHANNEL.sub("", address)


def is_possible(text: str) -> bool:
    """E.164 with as many digits as its country's numbers have, whether it is anybody's or not."""
    if not is_e164(text):
        return False
    try:
        number = phonenumbers.parse(text, None)
    except NumberParseException:
        return False
    return phonenumbers.is_possible_number_with_reason(number) == ValidationResult.IS_POSSIBLE


def friendly(number: str, region: str = "US") -> str:
    """(202) 555-0100 at home, +44 20 7946 0000 abroad; what cannot be read is returned as it is."""
    try:
        parsed = phonenumbers.parse(number, None)
    except NumberParseException:
        return number
    at_home = parsed.country_code == phonenumbers.country_code_for_region(region)
    return phonenumbers.format_number(
        parsed, PhoneNumberFormat.NATIONAL if at_home else PhoneNumberFormat.INTERNATIONAL
    )


def masked(number: str) -> str:
    """+1 ••• 0100: enough to recognise one's own, too little to call a stranger."""
    if not is_e164(number):
        return "•••"
    try:
        code = f"+{phonenumbers.parse(number, None).country_code} "
    except NumberParseException:
        code = ""
    return f"{code}••• {number[-4:]}"


def example(region: str) -> str:
    number = phonenumbers.example_number_for_type(region, phonenumbers.PhoneNumberType.MOBILE)
    return phonenumbers.format_number(number, PhoneNumberFormat.NATIONAL) if number else "+1 202 555 0100"


def _country(number: phonenumbers.PhoneNumber, region: str) -> str:
    return phonenumbers.region_code_for_country_code(number.country_code or 0) or region
