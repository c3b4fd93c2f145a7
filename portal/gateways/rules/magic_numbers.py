"""Twilio's magic numbers, which simulate errors with test credentials (docs/twilio.md#magic-numbers)."""

MAGIC_PREFIX = "+1500555"

RECIPIENT_NUMBERS: dict[str, str] = {
    "+12025550123": "An ordinary phone number: the text is accepted",
    "+15005550001": "Not a phone number (code 21211)",
    "+15005550002": "Cannot be reached from this sending number (code 21612)",
    "+15005550003": "In a country that is not enabled (code 21408)",
    "+15005550004": "The recipient replied STOP (code 21610)",
    "+15005550009": "Cannot receive texts (code 21614)",
}
"""Recipients and what they simulate."""

SENDING_NUMBERS: dict[str, str] = {
    "+15005550006": "The only valid sending number",
    "+15005550001": "Malformed (code 21212)",
    "+15005550007": "Not on the account, or cannot send texts (code 21606)",
    "+15005550008": "Its queue is full (code 21611)",
}
"""Sending numbers and what they simulate."""


def is_magic_number(number: str) -> bool:
    return number.startswith(MAGIC_PREFIX)
