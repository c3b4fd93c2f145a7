"""Template filters and comparisons: accepted values, rejected values and results."""

import contextlib
import random
import time
from decimal import ROUND_HALF_UP, Decimal

import pytest

from portal.content.rules import merge_fields
from portal.content.rules.merge_fields import MergeError, check_template, merge_values, render_body, render_subject
from portal.content.rules.merge_filters import FILTER_HELP, UNSUPPORTED_FILTERS

LONG_DATE = '{{ data.x | date: "%B %-d, %Y" }}'


def with_x(value: str) -> dict[str, object]:
    return merge_values("Jordan Rivera", "jordan@example.org", "P-1042", "Practitioner", {"x": value})


def apply_filters(filters: str, value: str) -> str:
    return render_subject(f"{{{{ data.x | {filters} }}}}", with_x(value))


@pytest.mark.parametrize(
    "value",
    [
        "2027-05-28", "May 28, 2027", "28 May 2027", "Friday, May 28, 2027", "Fri 28 May 2027", "May 28th 2027",
        "28-May-2027", "  may   28, 2027 ", "2027-05-28T23:30:00-11:00", "2027-05-28 04:00Z", "May 28, 2027 at 2:30 PM",
        "\u200bMay\u00a028,\u202f2027",
    ],
)  # fmt: skip
def test_complete_date_is_accepted_in_every_format(value: str) -> None:
    assert render_subject(LONG_DATE, with_x(value)) == "May 28, 2027"


@pytest.mark.parametrize(
    "value",
    [
        "May 2027", "May 28", "28", "2027", "2027-05", "05/06/2027", "5.6.2027", "28/05/2027", "27-05-28", "05-28-2027",
        "now", "today", "tomorrow", "1716854400", "2027-02-30", "2027-13-01", "Mayo 28, 2027", "Monday, May 28, 2027",
        "May 28, 2027 2:30", "2027-05-28 25:00", "May 28, 2027 and later", "２０２７-05-28", "Friday",
    ],
)  # fmt: skip
def test_incomplete_date_error_names_its_field(value: str) -> None:
    for render in (render_subject, render_body):
        with pytest.raises(MergeError) as rejected:
            render(LONG_DATE, with_x(value))
        assert rejected.value.field_name == "data.x"
        assert f"“{value}”, given for data.x, " in rejected.value.text


def test_date_error_names_its_field_after_other_filters() -> None:
    with pytest.raises(MergeError, match=r"“MAY 2027”, given for data\.x, is not a complete date"):
        render_subject('{% assign d = data.x | strip | upcase %}{{ d | date: "%Y" }}', with_x("May 2027"))


@pytest.mark.parametrize(
    ("value", "date_format", "output"),
    [
        ("2027-05-28T14:00:00-05:00", "%H:%M %z", "14:00 -0500"),
        ("2027-05-28T14:00:00-05:00", "%Z", "UTC-05:00"),
        ("2027-05-28T23:30+02:00", "%Y-%m-%d %H:%M", "2027-05-28 23:30"),
        ("May 28, 2027 2:05 PM UTC", "%l:%M %p %Z", "2:05 PM UTC"),
        ("2027-05-08 04:05", "%-d/%-m %-H:%M %P %I", "8/5 4:05 am 04"),
        ("2027-05-08", "%^b %e %j %y %% %A", "MAY 8 128 27 % Saturday"),
        ("2027-05-08", "%D %F", "05/08/27 2027-05-08"),
    ],
)
def test_date_is_formatted(value: str, date_format: str, output: str) -> None:
    assert apply_filters(f'date: "{date_format}"', value) == output


@pytest.mark.parametrize(
    ("filters", "language", "output"),
    [
        ("date", "en", "May 28, 2027"),
        ("date", "es", "28 de mayo de 2027"),
        ('date: "%-d de %B"', "es", "28 de mayo"),
        ('date: "%A %^b %P"', "es", "viernes MAY p. m."),
        ('date: "%r"', "es", "02:30:00 p. m."),
        ('date: "%Y-%m-%d %H:%M"', "es", "2027-05-28 14:30"),
    ],
)
def test_date_is_in_the_language_of_the_template(filters: str, language: str, output: str) -> None:
    source, values = f"{{{{ data.x | {filters} }}}}", with_x("2027-05-28 14:30")
    assert render_subject(source, values, language=language) == output
    assert output in render_body(source, values, language=language)


@pytest.mark.parametrize(
    ("value", "date_format", "reason"),
    [
        ("2027-05-28", "%H:%M", "has no time of day"),
        ("May 28, 2027", "%c", "has no time of day"),
        ("2027-05-28T14:00", "%H:%M %Z", "has no time zone"),
        ("2027-05-28", "%z", "has no time zone"),
    ],
)
def test_format_cannot_print_what_the_date_lacks(value: str, date_format: str, reason: str) -> None:
    with pytest.raises(MergeError, match=reason):
        apply_filters(f'date: "{date_format}"', value)


@pytest.mark.parametrize("date_format", ['""', '"%Q"', '"%"', '"%s"'])
def test_invalid_date_format_is_rejected_on_save(date_format: str) -> None:
    with pytest.raises(MergeError, match="is not a date format"):
        check_template(f"{{{{ data.x | date: {date_format} }}}}")


@pytest.mark.parametrize(
    ("filters", "value", "result"),
    [
        ("plus: 25", "1,250.00", "1275"),
        ("plus: 25", "1,250,000", "1250025"),
        ("plus: 0.2", "0.1", "0.3"),
        ("minus: 0.9", "1", "0.1"),
        ("times: 3", "19.99", "59.97"),
        ("times: 0.0000001", "1", "0.0000001"),
        ("divided_by: 4", "10", "2"),
        ("divided_by: 4", "-7", "-2"),
        ("divided_by: 4", "10.0", "2.5"),
        ("divided_by: 3", "10.0", "3.3333333333"),
        ("modulo: 3", "-7", "2"),
        ("modulo: 0.4", "1", "0.2"),
        ("round", "2.5", "3"),
        ("round", "-2.5", "-3"),
        ("round: 2", "2.675", "2.68"),
        ("round: 2", "1.005", "1.01"),
        ("round: 2", "12.5", "12.50"),
        ("ceil", "1.2", "2"),
        ("floor", "-1.2", "-2"),
        ("abs", "-3.50", "3.5"),
        ("at_least: 5", "3", "5"),
        ("at_most: 2", "3", "2"),
        ("plus: 1 | times: 2", " +7 ", "16"),
        ("plus: data.x", "1,250.00", "2500"),
        ("plus: 1", "\u200e1,250.00\u00a0", "1251"),
    ],
)
def test_arithmetic_is_decimal(filters: str, value: str, result: str) -> None:
    assert apply_filters(filters, value) == result


@pytest.mark.parametrize("name", ["plus: 1", "minus: 1", "times: 2", "divided_by: 2", "modulo: 2", "round", "ceil"])
@pytest.mark.parametrize(
    "value",
    ["1,250", "1.250,00", "12,34", "1 250", "$5", "5 USD", "10%", "abc", "inf", "nan", "1e3", "1_000", "٣", "--5"],
)
def test_not_a_number_error_names_its_field(name: str, value: str) -> None:
    with pytest.raises(MergeError) as rejected:
        apply_filters(name, value)
    assert rejected.value.field_name == "data.x"
    assert f"“{value}”, given for data.x, is not a number" in rejected.value.text


@pytest.mark.parametrize("name", ["floor", "abs", "at_least: 1", "at_most: 1"])
def test_other_number_filters_reject_text(name: str) -> None:
    with pytest.raises(MergeError, match="is not a number"):
        apply_filters(name, "many")


@pytest.mark.parametrize("value", ["many", "1,5", "2.5"])
@pytest.mark.parametrize(
    "source",
    [
        "{% for i in (1..data.x) %}x{% endfor %}",
        "{% for i in (1..9) limit: data.x %}x{% endfor %}",
        "{% for i in (1..6) offset: data.x %}x{% endfor %}",
        "{{ 'xxxxxx' | slice: 0, data.x }}",
        "{{ 'xxxxxx' | truncate: data.x, '' }}",
    ],
)
def test_count_arguments_must_be_whole_numbers(source: str, value: str) -> None:
    assert check_template(source).data_fields == ("x",)
    assert render_subject(source, with_x("3")) == "xxx"
    with pytest.raises(MergeError, match=f"“{value}”, given for data.x, is not a") as rejected:
        render_subject(source, with_x(value))
    assert (rejected.value.field_name, rejected.value.line) == ("data.x", 1)


@pytest.mark.parametrize("name", ["first", "last"])
def test_list_filters_reject_text(name: str) -> None:
    assert apply_filters(f'split: "," | {name} | size', "ab,cd") == "2"
    with pytest.raises(MergeError, match=r"“a,b”, given for data\.x, is not a list"):
        apply_filters(name, "a,b")
    with pytest.raises(MergeError, match="“12” is not a list"):
        render_subject("{{ 12 | size }}", with_x("a"))


def test_argument_that_is_not_a_number_is_rejected() -> None:
    with pytest.raises(MergeError, match=r"“5 USD”, given for data\.x, is not a number"):
        render_subject("{{ 100 | plus: data.x }}", with_x("5 USD"))


@pytest.mark.parametrize("source", ["{{ 7 | divided_by: data.x }}", "{{ 7 | modulo: data.x }}"])
@pytest.mark.parametrize("value", ["0", "0.00", "-0"])
def test_division_by_zero_is_rejected(source: str, value: str) -> None:
    with pytest.raises(MergeError, match=f"“{value}”, given for data.x, is zero"):
        render_subject(source, with_x(value))


def test_rounding_matches_decimal_half_up() -> None:
    chance = random.Random(20_270_528)
    for _ in range(300):
        value = Decimal(chance.randint(-(10**7), 10**7)).scaleb(-chance.randint(0, 5))
        places = chance.randint(1, 3)
        expected = value.quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP)
        assert apply_filters(f"round: {places}", format(value, "f")) == format(expected, "f")


@pytest.mark.parametrize("name", sorted(UNSUPPORTED_FILTERS))
def test_html_filters_are_rejected_with_advice(name: str) -> None:
    with pytest.raises(MergeError, match=f"no filter “{name}” here: values always appear exactly as given"):
        check_template(f"{{{{ name | {name} }}}}")


def test_every_offered_filter_works() -> None:
    arguments = {"date": ': "%Y"', "split": ': ","', "slice": ": 0", "replace_last": ': "a", "b"'}
    one_argument = (
        "append",
        "prepend",
        "remove",
        "replace",
        "plus",
        "minus",
        "times",
        "divided_by",
        "modulo",
        "at_least",
    )
    arguments |= {name: ": 2" for name in (*one_argument, "at_most", "remove_first", "remove_last", "replace_first")}
    for name in FILTER_HELP:
        before = "split: ',' | " if name in ("first", "last") else ""
        check_template(f"{{{{ data.x | {before}{name}{arguments.get(name, '')} }}}}")


def test_sample_value_passes_every_filter() -> None:
    sample = {"data": merge_fields.sample_data(("exam_date", "fee"))}
    assert render_subject('{{ data.exam_date | date: "%B" }}', sample) == "[exam date]"
    assert render_subject("{{ data.fee | times: 2 | plus: 1 | round: 2 }}", sample) == "[fee]"
    assert check_template("{% assign n = data.fee | plus: 0 %}{% if n > 5 %}much{% endif %}").data_fields == ("fee",)


@pytest.mark.parametrize(
    ("source", "required"),
    [
        ("{{ data.x }}", ("x",)),
        ('{{ data.x | default: "none" }}', ()),
        ('{{ data.x | date: "%Y" | default: "soon" }}', ()),
        ('{{ data.x | default: "none" | append: data.y }}', ("y",)),
        ("{{ data.x | default: data.y }}", ()),
        ("{% if data.x %}{{ data.x }}{% endif %}", ()),
        ("{% if name %}{% elsif data.x %}{{ data.x }}{% endif %}", ()),
        ("{% unless data.x %}none{% else %}{{ data.x }}{% endunless %}", ()),
        ("{% case data.x %}{% when 'a' %}{{ data.x }}{% endcase %}", ()),
        ("{% if data.x %}yes{% endif %}", ()),
        ("{% if data.x %}due: {% endif %}{{ data.x }}", ("x",)),
        ("{% if data.y %}{% if name %}{{ data.y }}{% endif %}{% endif %}{{ data.x }}", ("x",)),
        ("{% assign y = data.x %}{{ y }}", ("x",)),
        ("{% assign y = data.x | default: 'none' %}{{ y }}", ()),
        ("{% assign y = data.x %}{% if y %}{{ y }}{% endif %}", ()),
        ("{% assign a = data.x %}{% assign b = a | upcase %}{{ b }}", ("x",)),
        ("{% for i in (1..2) %}{{ data.x }}{% endfor %}", ("x",)),
        ("{% assign l = data.x | split: ',' %}{% for i in l %}{{ i }}{% else %}none{% endfor %}", ()),
        ("{% liquid\n if data.x\n echo data.x\n endif\n echo data.y %}", ("y",)),
        ("{{ 'Fee: ' | append: data.x }}", ("x",)),
    ],
)
def test_required_fields_have_no_default_or_condition(source: str, required: tuple[str, ...]) -> None:
    assert check_template(source).required_names == required


@pytest.mark.parametrize(
    ("source", "output"),
    [
        ('Fee: {{ data.x | default: "no fee" }}', "Fee: no fee"),
        ('Fee: {{ data.x | plus: 5 | default: "no fee" }}', "Fee: no fee"),
        ("Due{% if data.x %}: {{ data.x }}{% endif %}", "Due"),
        ("Due{% if data.x and name %}: {{ data.x }}{% else %} now{% endif %}", "Due now"),
        ("{% unless data.x %}None{% endunless %}", "None"),
        ("{% case data.x %}{% when '' %}None{% else %}Some{% endcase %}", "None"),
        ("{% assign y = data.x %}{% if y %}Some{% else %}None{% endif %}", "None"),
    ],
)
def test_blank_value_counts_as_missing(source: str, output: str) -> None:
    assert render_subject(source, with_x(""), reject_blanks=True) == output


@pytest.mark.parametrize(
    "source", ["{% if name %}{{ data.x }}{% endif %}", "{{ data.x }}", "{% assign y = data.x %}{{ y | upcase }}"]
)
def test_blank_that_leaves_a_gap_is_rejected(source: str) -> None:
    with pytest.raises(MergeError, match="The template needs a value for “x”") as rejected:
        render_body(source, with_x(""), reject_blanks=True)
    assert rejected.value.field_name == "data.x"
    assert render_subject("{% if name == 'Sam' %}{{ data.x }}{% endif %}", with_x(""), reject_blanks=True) == ""


def evaluate_condition(condition: str, value: str) -> str:
    source = f"{{% if {condition} %}}yes{{% else %}}no{{% endif %}}"
    assert check_template(source).data_fields == ("x",)
    return render_subject(source, with_x(value))


@pytest.mark.parametrize(
    ("condition", "value", "result"),
    [
        ("data.x == 5", "5", "yes"), ("data.x == 5", "5.00", "yes"), ("data.x == 5", "50", "no"),
        ("5 == data.x", " 5 ", "yes"), ("data.x == 1250", "1,250.00", "yes"), ("data.x != 5", "5", "no"),
        ("data.x == 5", "five", "no"), ("data.x == 5", "Level 5", "no"), ("data.x == 5", "", "no"),
        ('data.x == "5"', "5", "yes"), ('data.x == "5"', "5.00", "no"), ('data.x == "Gold"', "gold", "no"),
        ("data.x > 9", "10", "yes"), ('data.x > "9"', "10", "yes"), ("data.x >= 3", "4", "yes"),
        ("data.x >= 3", "3.0", "yes"), ("data.x <= 3", "10", "no"), ("data.x < 3", "-1", "yes"),
        ("data.x > 3", "", "no"), ("data.x < 3", "", "no"), ("data.x <= 3", " ", "no"),
        ('data.x < "2027-05-28"', "May 3, 2027", "yes"), ('data.x > "June 1, 2027"', "28 May 2027", "no"),
        ("data.x == nil", "", "yes"), ("data.x == nil", "a", "no"), ("data.x == blank", "", "yes"),
        ("data.x and data.x > 9", "10", "yes"),
    ],
)  # fmt: skip
def test_numbers_and_dates_are_compared_by_value(condition: str, value: str, result: str) -> None:
    assert evaluate_condition(condition, value) == result


@pytest.mark.parametrize(
    ("condition", "value"),
    [
        ("data.x > 5", "six"), ("data.x > 5", "1,250"), ("data.x >= 5", "$6"), ("data.x < 5", "2027-05-28"),
        ('data.x < "2027-05-28"', "May 2027"), ('data.x < "2027-05-28"', "5"), ("data.x == 1250", "1,250"),
        ("data.x != 5", "$5"), ('data.x < "2027-05-28 14:30"', "2027-05-28 14:30Z"),
    ],
)  # fmt: skip
def test_comparison_error_names_its_field(condition: str, value: str) -> None:
    with pytest.raises(MergeError, match=r"given for data\.x, ") as rejected:
        evaluate_condition(condition, value)
    assert (rejected.value.field_name, rejected.value.line) == ("data.x", 1)


@pytest.mark.parametrize(
    "source",
    [
        "{% if data.x == true %}a{% endif %}",
        "{% if data.x != false %}a{% endif %}",
        "{% case data.x %}{% when true %}a{% endcase %}",
        "{% if name < 'M' %}a{% endif %}",
        "{% if data.x < 'soon' %}a{% endif %}",
    ],
)
def test_impossible_comparison_is_rejected_on_save(source: str) -> None:
    with pytest.raises(MergeError, match=r"Line 1: .*(which is never true or false|is not a number or)"):
        check_template(source)


@pytest.mark.parametrize(("value", "output"), [("5.0", "five"), ("10", "ten"), ("7", "other")])
def test_case_compares_like_if(value: str, output: str) -> None:
    source = "{% case data.x %}{% when 5, 6 %}five{% when '10' %}ten{% else %}other{% endcase %}"
    assert render_subject(source, with_x(value)) == output


@pytest.mark.parametrize("value", ["1" * 50_000 + "a", "1," * 25_000 + "a", "9" * 50_000 + "."])
def test_long_value_is_compared_quickly(value: str) -> None:
    began = time.process_time()
    with contextlib.suppress(MergeError):
        evaluate_condition("data.x == 5", value)
    with pytest.raises(MergeError):
        evaluate_condition("data.x > 5", value)
    assert time.process_time() - began < 2
