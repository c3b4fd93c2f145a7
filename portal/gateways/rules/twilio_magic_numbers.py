"""Twilio's magic numbers, which simulate errors with test credentials (docs/twilio.md#magic-numbers)."""

from portal.core.translation import N_

_MAGIC_PREFIX = "+1500555"

RECIPIENT_NUMBERS: dict[str, str] = {
    "+12025550123": N_("An ordinary phone number: the text is accepted"),
    "+15005550001": N_("Not a phone number (code 21211)"),
    "+15005550002": N_("Cannot be reached from this sending number (code 21612)"),
    "+15005550003": N_("In a country that is not enabled (code 21408)"),
    "+15005550004": N_("The recipient replied STOP (code 21610)"),
    "+15005550009": N_("Cannot receive texts (code 21614)"),
}
"""Recipients and what they simulate."""


def is_magic_number(number: str) -> bool:
    return number.startswith(_MAGIC_PREFIX)
