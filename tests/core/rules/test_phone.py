"""Phone numbers: parsing, formatting and masking."""

import pytest

from portal.core.rules.phone import (
    PhoneError,
    example_phone,
    format_phone,
    is_e164,
    likely_time_zone,
    mask_phone,
    to_e164,
)


@pytest.mark.parametrize(
    ("typed", "region", "number"),
    [
        ("202 555 0100", "US", "+12025550100"),
        ("(202) 555-0100", "US", "+12025550100"),
        ("1-202-555-0100", "US", "+12025550100"),
        ("  +1.202.555.0100 ", "US", "+12025550100"),
        ("+44 20 7946 0000", "US", "+442079460000"),
        ("020 7946 0000", "GB", "+442079460000"),
        ("011 44 20 7946 0000", "US", "+442079460000"),
        ("0170 1234567", "DE", "+491701234567"),
        ("+15005550006", "US", "+15005550006"),
        ("+1\u202f202\u00a0555\u20070100", "US", "+12025550100"),
        ("\u202a(202) 555\u20110100\u202c", "US", "+12025550100"),
        ("+1202555\x000100\ufeff", "US", "+12025550100"),
        ("020\u30007946\u200b 0000", "GB", "+442079460000"),
        ("02\u00ad0 7946\u2028 0000", "GB", "+442079460000"),
    ],
)
def test_typed_number_is_converted_to_e164(typed: str, region: str, number: str) -> None:
    assert to_e164(typed, region) == number


@pytest.mark.parametrize("typed", ["202 555 0100", "+44 20 7946 0000", "+15005550006"])
def test_parsing_e164_is_idempotent(typed: str) -> None:
    number = to_e164(typed, "US")
    assert to_e164(number, "US") == number
    assert to_e164(format_phone(number), "US") == number


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ("", "Enter a phone number."),
        ("   ", "Enter a phone number."),
        ("call me", "This is not a phone number. Write it like (201) 555-0123."),
        ("+999 123 4567", "This is not a phone number. Write it like (201) 555-0123."),
        ("9" * 300, "This is not a phone number. Write it like (201) 555-0123."),
        ("+12025550100 / +12025550101", "This is not a phone number. Write it like (201) 555-0123."),
        ("555 0100", "check the digits, or start with + and the country code"),
        ("07911 123456", "check the digits, or start with + and the country code"),
        ("+44 20 7946 00000000", "This is not a valid GB number"),
    ],
)
def test_unparsable_number_error_says_how_to_fix_it(typed: str, message: str) -> None:
    with pytest.raises(PhoneError) as error:
        to_e164(typed, "US")
    assert message in str(error.value)


def test_error_example_uses_the_readers_country() -> None:
    with pytest.raises(PhoneError, match="Write it like 07400 123456"):
        to_e164("nothing", "GB")
    assert example_phone("XX") == "+1 202 555 0100"


def test_example_number_in_the_spec_is_valid_as_a_setting_only() -> None:
    assert is_e164("+11234567890")
    with pytest.raises(PhoneError, match="This is not a valid US number"):
        to_e164("+11234567890", "US")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "+",
        "12025550100",
        "+0123456789",
        "+1 202 555 0100",
        "+120255",
        "+1234567890123456",
        "+1202555010a",
        "++12025",
    ],
)
def test_text_not_in_e164_form_is_rejected(text: str) -> None:
    assert not is_e164(text)


@pytest.mark.parametrize(("digits", "valid"), [(6, False), (7, True), (15, True), (16, False)])
def test_e164_has_seven_to_fifteen_digits(digits: int, valid: bool) -> None:
    assert is_e164("+" + "1" * digits) is valid


@pytest.mark.parametrize("text", ["+1２０２5550100", "+1٢٠٢٥٥٥٠١٠٠", "+12025550100\n"])
def test_e164_has_ascii_digits_only(text: str) -> None:
    assert not is_e164(text)


@pytest.mark.parametrize(
    ("number", "region", "formatted"),
    [
        ("+12025550100", "US", "(202) 555-0100"),
        ("+442079460000", "US", "+44 20 7946 0000"),
        ("+442079460000", "GB", "020 7946 0000"),
        ("+12025550100", "GB", "+1 202-555-0100"),
        ("+9991234567", "US", "+9991234567"),
        ("no number", "US", "no number"),
        ("", "US", ""),
    ],
)
def test_number_is_formatted_for_the_readers_country(number: str, region: str, formatted: str) -> None:
    assert format_phone(number, region) == formatted


@pytest.mark.parametrize(
    ("number", "masked"),
    [
        ("+12025550100", "+1 ••• 0100"),
        ("+442079460000", "+44 ••• 0000"),
        ("+11234567890", "+1 ••• 7890"),
        ("junk", "•••"),
        ("", "•••"),
    ],
)
def test_masked_number_shows_country_and_last_four_digits(number: str, masked: str) -> None:
    assert mask_phone(number) == masked


@pytest.mark.parametrize("number", ["+9991234567", "+2101234567"])
def test_number_with_unassigned_country_code_can_be_masked(number: str) -> None:
    assert mask_phone(number).endswith(number[-4:])
    assert number[1:-4] not in mask_phone(number)


@pytest.mark.parametrize(
    ("number", "zone"),
    [
        ("+12025550101", "America/New_York"),
        ("+14155550101", "America/Los_Angeles"),
        ("+447911123456", "Europe/Guernsey"),
        ("+18005550100", None),
        ("+15005550006", None),
    ],
)
def test_area_determines_the_time_zone(number: str, zone: str | None) -> None:
    assert likely_time_zone(number) == zone
