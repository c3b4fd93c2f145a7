"""Twilio's magic numbers: with test credentials each stands for an error (docs/twilio.md#magic-numbers)."""

MAGIC_PREFIX = "+1500555"

RECIPIENT_NUMBERS: dict[str, str] = {
    "+12025550123": "An ordinary number: the text is accepted",
    "+15005550001": "Not a phone number (code 21211)",
    "+15005550002": "Cannot be reached from this sending number (code 21612)",
    "+15005550003": "In a country that is not enabled (code 21408)",
    "+15005550004": "Its owner replied STOP (code 21610)",
    "+15005550009": "Cannot receive texts (code 21614)",
}
"""Recipients by what they stand for."""

SENDING_NUMBERS: dict[str, str] = {
    "+15005550006": "Works: the only sending number that does",
    "+15005550001": "Malformed (code 21212)",
    "+15005550007": "Not the account's, or it cannot text (code 21606)",
    "+15005550008": "Its queue is full (code 21611)",
}
"""Sending numbers by what they stand for."""


def is_magic_number(number: str) -> bool:
    return number.startswith(MAGIC_PREFIX)
