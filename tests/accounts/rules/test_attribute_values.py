import pytest

from portal.accounts.rules.account_fields import ACCOUNT_COLUMNS, ACCOUNT_FIELDS
from portal.accounts.rules.attribute_dates import parse_day
from portal.accounts.rules.attribute_values import (
    AttributeDefinition,
    AttributeKind,
    AttributeValueError,
    CheckedValue,
    clean_choices,
    key_problem,
)

REGION = AttributeDefinition("region", "Region", AttributeKind.CHOICE, ("North", "Süd"))
CREDITS = AttributeDefinition("credits", "Credits", AttributeKind.NUMBER)
EXPIRES_ON = AttributeDefinition("expires_on", "Expires on", AttributeKind.DATE)
NOTE = AttributeDefinition("note", "Note", AttributeKind.TEXT)


def error_of(attribute: AttributeDefinition, text: str) -> str:
    with pytest.raises(AttributeValueError) as caught:
        attribute.parse(text, "US")
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "region", "day"),
    [
        ("2027-05-28", "US", "2027-05-28"),
        ("2027-5-8", "US", "2027-05-08"),
        ("2027/05/28", "DE", "2027-05-28"),
        ("2027-05-28 00:00:00", "US", "2027-05-28"),
        ("2027-05-28T00:00:00Z", "US", "2027-05-28"),
        ("5/6/2027", "US", "2027-05-06"),
        ("5/6/2027", "GB", "2027-06-05"),
        ("5/28/2027 0:00", "US", "2027-05-28"),
        ("28.05.2027", "US", "2027-05-28"),
        ("28-05-2027", "NL", "2027-05-28"),
    ],
)
def test_date_is_read_as_spreadsheets_write_it(text: str, region: str, day: str) -> None:
    parsed = parse_day(text, region)
    assert parsed is not None
    assert parsed.isoformat() == day


@pytest.mark.parametrize(
    ("text", "region"),
    [
        ("2027-02-29", "US"),
        ("28/05/2027", "US"),
        ("05/28/2027", "GB"),
        ("5/6/2027", "CA"),
        ("5/6/27", "US"),
        ("46170", "US"),
        ("2027-05/28", "US"),
        ("2027-05-28 14:30", "US"),
        ("0027-05-28", "US"),
        ("٢٠٢٧-٠٥-٢٨", "US"),
        ("soon", "US"),
    ],
)
def test_incomplete_impossible_or_ambiguous_date_is_refused(text: str, region: str) -> None:
    assert parse_day(text, region) is None


def test_error_of_a_date_shows_how_to_write_it() -> None:
    assert error_of(EXPIRES_ON, "soon") == "“soon” is not a date. Write it as YYYY-MM-DD, such as 2027-05-28."


@pytest.mark.parametrize(
    ("text", "value", "number"),
    [("12", "12", 12.0), ("+012.50", "12.5", 12.5), (".5", "0.5", 0.5), ("-0", "0", 0.0), ("1,250.00", "1250", 1250.0)],
)
def test_number_is_stored_in_one_way(text: str, value: str, number: float) -> None:
    assert CREDITS.parse(text, "US") == CheckedValue(value, value, number)


@pytest.mark.parametrize("text", ["1,250", "1.250,5", "$12", "12%", "1e3", "NaN", "inf", "12 a", "१२"])
def test_what_may_not_be_a_number_is_refused(text: str) -> None:
    assert "is not a number" in error_of(CREDITS, text)


@pytest.mark.parametrize("text", ["Süd", "SÜD", " su\u0308d "])
def test_choice_is_stored_as_declared_in_any_case(text: str) -> None:
    assert REGION.parse(text, "US") == CheckedValue("Süd", "süd")


def test_error_of_a_choice_lists_the_choices() -> None:
    assert error_of(REGION, "East") == "“East” is not one of the choices: North, Süd."


def test_text_keeps_its_case_without_invisible_characters() -> None:
    assert NOTE.parse(" Room\u200b  4B ", "US") == CheckedValue("Room 4B", "room 4b")


def test_long_value_is_refused() -> None:
    assert "Use at most 200 characters" in error_of(NOTE, "x" * 201)


@pytest.mark.parametrize("attribute", [REGION, CREDITS, EXPIRES_ON, NOTE])
def test_blank_value_is_no_value(attribute: AttributeDefinition) -> None:
    assert attribute.parse(" \u00a0 ", "US") is None


@pytest.mark.parametrize("attribute", [REGION, CREDITS, EXPIRES_ON])
def test_example_is_a_valid_value(attribute: AttributeDefinition) -> None:
    checked = attribute.parse(attribute.example, "US")
    assert checked is not None
    assert checked.value == attribute.example


@pytest.mark.parametrize("key", ["expires_on", "a", "x2", "x" * 40])
def test_key_of_letters_digits_and_underscores_is_accepted(key: str) -> None:
    assert key_problem(key) is None


@pytest.mark.parametrize("key", ["", "Expires", "2x", "expires on", "expires-on", "é", "x" * 41, "_x", "x\n"])
def test_malformed_key_is_refused(key: str) -> None:
    assert "lowercase letters" in str(key_problem(key))


@pytest.mark.parametrize("key", [*ACCOUNT_FIELDS, *ACCOUNT_COLUMNS, "data", "if", "forloop", "blank", "contains"])
def test_key_with_another_meaning_is_refused(key: str) -> None:
    assert "has a meaning" in str(key_problem(key))


def test_choices_that_differ_only_in_case_are_one() -> None:
    assert clean_choices(["North", " ", "South ", "NORTH"]) == ("North", "South")
