"""Templates are checked against limits before they are parsed."""

from collections.abc import Callable

import pytest

from portal.content.rules import markdown, merge_fields, merge_limits
from portal.content.rules.merge_fields import MergeError, check_template

ACCEPTED = [
    "{{ name }}" * merge_limits.MAX_TAGS,
    "{% if name %}" * 25 + "x" + "{% endif %}" * 25,
    "{% raw %}{{ {% {{{{{{{% endraw %}{{ name }}",
    "{% raw %}" + "{{" * 20_000 + "{% endraw %}",
    "}}%}" * 10_000,
    "{ " * 10_000,
    '{{ "' + "a" * 900 + '" }}',
    "{{" + " " * 50 + "name" + " " * 50 + "}}",
    "{% liquid\n" + " echo name\n" * 400 + "%}",
]


@pytest.mark.parametrize("source", ACCEPTED, ids=range(len(ACCEPTED)))
def test_ordinary_template_is_within_the_limits(source: str) -> None:
    merge_limits.check_limits(source)
    check_template(source)


REJECTED = [
    ("{{" * 5_000, "“{{” is never closed"),
    ("{{" * 20_000, "“{{” is never closed"),
    ("{%" * 20_000, "“{%” is never closed"),
    ("{" * 50_000, "“{{” is never closed"),
    ("{{ '" * 10_000, "“{{” is never closed"),
    ("{% raw %}" * 5_000, "“{% endraw %}” is missing"),
    ("{% raw %}" + "{{" * 10_000, "“{% endraw %}” is missing"),
    ("{% doc %}" * 5_000, "“{% enddoc %}” is missing"),
    ("{{" + " " * 40_000 + "}}", "longer than 1,000 characters"),
    ("{{ name" + " " * 100 + "}}", "more than 50 spaces in a row"),
    ("{{ name" + " | upcase" * 4_000 + " }}", "longer than 1,000 characters"),
    ("{% if name" + " and name" * 4_000 + " %}x{% endif %}", "longer than 1,000 characters"),
    ("{% liquid\n" + " echo name\n" * 4_000 + "%}", "longer than 5,000 characters"),
    ("{{ name }}" * 1_001, "does too much: more than 1,000 fields and tags"),
    ("{% assign x = 1 %}" * 2_000, "does too much: more than 1,000 fields and tags"),
    ("{% if name %}" * 31 + "{% endif %}" * 31, "does too much: conditions are nested 31 deep"),
    ("x" * 50_001, "50,000 characters at most; this has 50,001"),
]


@pytest.mark.parametrize(("source", "message"), REJECTED, ids=range(len(REJECTED)))
def test_template_over_a_limit_never_reaches_the_parser(
    monkeypatch: pytest.MonkeyPatch, source: str, message: str
) -> None:
    monkeypatch.setattr(merge_fields, "_environment", lambda: pytest.fail("parsed"))
    readers: list[Callable[[str], object]] = [
        check_template,
        lambda text: merge_fields.render_body(text, {}),
        lambda text: merge_fields.render_text(text, {}),
    ]
    for read in readers if "{" in source else readers[:1]:
        with pytest.raises(MergeError, match="Line 1: ") as rejected:
            read(source)
        assert message in str(rejected.value)


def test_error_names_the_line_of_an_unclosed_field() -> None:
    with pytest.raises(MergeError, match="Line 3: "):
        check_template("a\n{{ name }}\n{{ name")


@pytest.mark.parametrize(
    ("source", "cells"), [("a | b", 2), ("|a|b|\n|-|-|\n" + "|\n" * 8, 44), ("no table\n\n|a|\n\n|b|c|", 7), ("a", 0)]
)
def test_table_cells_are_counted_before_parsing(source: str, cells: int) -> None:
    assert markdown.max_cell_count(source) == cells


def test_table_over_the_cell_limit_is_shown_as_typed() -> None:
    source = "|a" * 800 + "|\n" + "|-" * 800 + "|\n" + "|\n" * 2_000
    assert "<table>" not in markdown.to_html(source)
    assert "<table>" in markdown.to_html("|a|b|\n|-|-|\n|1|2|")
