from html.parser import HTMLParser

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from portal.accounts.rules.account_fields import ACCOUNT_FIELDS
from portal.content.rules import markdown, merge_fields
from portal.content.rules.merge_fields import (
    MergeError,
    check_template,
    merge_values,
    render_body,
    render_subject,
)

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=80)
NASTY = st.lists(
    st.sampled_from(
        [
            "<script>",
            "</p>",
            "<img src=x onerror=alert(1)>",
            "[a](javascript:x)",
            "![a](b)",
            "**",
            "__",
            "*",
            "_",
            "`",
            "```",
            "\n",
            "\n\n",
            "    ",
            "\t",
            "# ",
            "1. ",
            "2) ",
            "- ",
            "+ ",
            "> ",
            "---",
            "===",
            "| a | b |",
            "|-|-|",
            "~~",
            "\\",
            "&lt;",
            "&#60;",
            "&",
            "<https://e.org>",
            "[x]: /y",
            "[x]",
            "{{ name }}",
            "{% if %}",
            "}}",
            "\x00",
            "\u2028",
            "a",
        ]
    ),
    max_size=12,
).map("".join)
TEMPLATES = st.sampled_from(
    [
        "{{ data.x }}",
        "Dear {{ data.x }}, hello",
        "before\n{{ data.x }}\nafter",
        "{{ data.x }}{{ data.x }}",
        "{{ data.x }}\n{{ data.x }}",
        "{{ data.x }} {{ data.x }} {{ data.x }}",
        "word{{ data.x }}word",
        "{% echo data.x %}",
        "{% liquid\n echo data.x\n%}",
        "{% assign y = data.x %}{{ y }}",
        "{{ data.x | append: data.x | upcase | downcase }}",
        "{% for i in (1..3) %}{{ data.x }} {% endfor %}",
        "{% if data.x == '' %}none{% else %}{{ data.x }}{% endif %}",
    ]
)


class ParsedElements(HTMLParser):
    """The elements and the text of a page, as a browser parses it."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: set[str] = set()
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.add(tag)
        assert not attrs

    def handle_data(self, data: str) -> None:
        self.text += data


def values_with_x(value: object) -> dict[str, object]:
    return merge_values("Jordan Rivera", "jordan@example.org", "P-1042", "Practitioner", {"x": value})


def render_as_page(value: str) -> str:
    """What a browser displays: white space is collapsed, and a null byte becomes a replacement character."""
    return " ".join(value.replace("\x00", "\ufffd").split())


@given(TEXT | NASTY, TEMPLATES)
@example("javascript:alert(1)", "{{ data.x }}")
@example("===", "before\n{{ data.x }}\nafter")
@example("---", "before\n{{ data.x }}\nafter")
@example("[x]: /y", "{{ data.x }}\n{{ data.x }}")
def test_value_adds_no_html_element(value: str, template: str) -> None:
    assert ParsedElements(markdown.to_html(render_body(template, values_with_x(value)))).elements <= {"p"}


@given(TEXT | NASTY)
def test_value_appears_unchanged_on_pages_and_in_emails(value: str) -> None:
    body = render_body("Dear {{ data.x }}, hello", values_with_x(value))
    expected = f"Dear {render_as_page(value)}, hello"
    assert render_as_page(ParsedElements(markdown.to_html(body)).text) == render_as_page(expected)
    assert render_as_page(markdown.to_text(body)) == render_as_page(expected)


@given(TEXT | NASTY)
def test_subject_is_always_one_line(value: str) -> None:
    subject = render_subject("About {{ data.x }}", values_with_x(value))
    assert len(subject.splitlines()) <= 1
    assert subject == " ".join(f"About {value}".split())


def test_value_cannot_add_an_email_header() -> None:
    assert render_subject("Hi {{ data.x }}", values_with_x("a\r\nBcc: x@example.org")) == "Hi a Bcc: x@example.org"


def test_value_is_not_parsed_as_a_template() -> None:
    assert render_subject("{{ data.x }}", values_with_x("{{ email }}")) == "{{ email }}"


def test_value_in_a_cycle_is_escaped() -> None:
    try:
        body = render_body("{% cycle data.x, data.x %}", values_with_x("[click](https://evil.example) **now**"))
    except MergeError:
        return
    assert ParsedElements(markdown.to_html(body)).elements <= {"p"}


@pytest.mark.parametrize("value", ["AB-12", "3 <b> & *c*", "&lt;", "12", "²"])
@pytest.mark.parametrize("template", ["`{{ data.x }}`", "```\n{{ data.x }}\n```"])
def test_value_in_code_appears_unchanged(template: str, value: str) -> None:
    body = render_body(template, values_with_x(value))
    assert ParsedElements(markdown.to_html(body)).text.strip() == value
    assert markdown.to_text(body).strip() == value


def test_non_ascii_digit_in_code_appears_unchanged() -> None:
    assert ParsedElements(markdown.to_html(render_body("`{{ data.x }}`", values_with_x("٣")))).text.strip() == "٣"


def test_value_in_a_link_address_is_unchanged() -> None:
    body = render_body("[Pay](https://pay.example.org/{{ data.x }})", values_with_x("P-1042_a"))
    assert 'href="https://pay.example.org/P-1042_a"' in markdown.to_html(body)


def test_value_in_an_autolink_is_unchanged() -> None:
    body = render_body("<https://pay.example.org/{{ data.x }}>", values_with_x("P-1042"))
    assert 'href="https://pay.example.org/P-1042"' in markdown.to_html(body)


MARKDOWN_CONTEXTS = st.sampled_from(
    [
        "{}",
        "**{}**th and *{}*",
        "**({})**th",
        "a_{}_b __{}__ ~~{}~~",
        "# {}\n\n- {}\n- b {}\n\n1. {}",
        "{}. c\n{}) d\n\n> {}",
        "| {} | b |\n|---|--:|\n| c{} | `{}` |",
        '[{}](https://e.org/{}?q={}#{} "{}")',
        "[{}][x] <https://e.org/{}> [{}]\n\n[x]: https://e.org/{}\n[{}]: https://e.org",
        "```\n{}\n```\n\n    {}",
        "&{}; \\{} <{}> !{}",
        "{}\n===\n\n{}\n---",
    ]
)


@given(TEXT | NASTY, MARKDOWN_CONTEXTS)
@example("5", "**{}**th and *{}*")
@example("a b)\"'|`", '[{}](https://e.org/{}?q={}#{} "{}")')
def test_values_never_change_the_markdown_structure(value: str, context: str) -> None:
    assume(value.strip())
    page = Page(markdown.to_html(render_body(context.replace("{}", "{{ data.x }}"), values_with_x(value))))
    plain = Page(markdown.to_html(context.replace("{}", "word")))
    assert page.elements == plain.elements
    assert _without_spaces(page.text) == _without_spaces(plain.text.replace("word", value))


def _without_spaces(text: str) -> str:
    return "".join(render_as_page(text).split())


class Page(ParsedElements):
    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.add(tag)


@pytest.mark.parametrize(
    ("source", "value", "address"),
    [
        ("[Renew](https://e.org/r?type={{ data.x }})", "Full time", "https://e.org/r?type=Full%20time"),
        (
            "[Renew](https://e.org/r?t={{ data.x }}&y=1)",
            "a(b)\"c'&d#é%",
            "https://e.org/r?t=a%28b%29%22c%27%26d%23%C3%A9%25&y=1",
        ),
        ("[Renew](https://e.org/{{ data.x }}/now)", "../a/b", "https://e.org/..%2Fa%2Fb/now"),
        ("[Pay]({{ data.x }})", "https://pay.example.org/?a=1&b=2 3", "https://pay.example.org/?a=1&b=2%203"),
        ("[Pay]({{ data.x }}/now?x={{ data.x }})", "https://e.org", "https://e.org/now?x=https%3A%2F%2Fe.org"),
        ("[Ask](mailto:{{ data.x }})", "a+b@e.org", "mailto:a+b@e.org"),
        ("[Ask](https://e.org/?q={{ data.x | url_encode }})", "a b&c", "https://e.org/?q=a%20b%26c"),
        ("[a] b\n\n[a]: https://e.org/{{ data.x }}", "x y", "https://e.org/x%20y"),
        ("<https://e.org/{{ data.x }}>", "x y", "https://e.org/x%20y"),
    ],
)
def test_value_in_an_address_is_encoded_for_its_position(source: str, value: str, address: str) -> None:
    body = render_body(source, values_with_x(value))
    assert f'href="{address.replace("&", "&amp;")}"' in markdown.to_html(body)
    assert address in markdown.to_text(body)


@pytest.mark.parametrize("value", ["javascript:alert(1)", "data:text/html,x", "JaVaScript:x", "vbscript:x"])
def test_script_address_leaves_a_link_without_href(value: str) -> None:
    html = markdown.to_html(render_body("[Pay]({{ data.x }})", values_with_x(value)))
    assert html == '<p><a rel="noopener noreferrer">Pay</a></p>\n'


@pytest.mark.parametrize(
    ("source", "html"),
    [
        ("{{ data.x }}\n\nnext", "<p>next</p>\n"),
        ("a{{ data.x }}b", "<p>ab</p>\n"),
        ("{{ data.x }}1. a", "<p>1. a</p>\n"),
        ("**{{ data.x }}** a", "<p><strong></strong> a</p>\n"),
    ],
)
def test_blank_value_leaves_the_rest_unchanged(source: str, html: str) -> None:
    assert markdown.to_html(render_body(source, values_with_x(""))) == html


@pytest.mark.parametrize("value", ["\ufdd0x\ufdd1", "\ufdd3\ufde0", "\U000f0000", "\U0010ffff \ufdd2"])
def test_value_with_the_marker_characters_is_unchanged(value: str) -> None:
    body = render_body("{{ data.x }} **{{ data.x }}**", values_with_x(value))
    assert Page(markdown.to_html(body)).text.strip() == f"{value} {value}"


@pytest.mark.parametrize("value", ["O'Neill & Sons", "<b>", '"x"', "a_b*c`d"])
def test_value_in_a_subject_is_unchanged(value: str) -> None:
    assert render_subject("{{ data.x | upcase }} {{ data.x }}", values_with_x(value)) == f"{value.upper()} {value}"


@pytest.mark.parametrize("template", ["{{ data.x }}. Mai", "{{ data.x }}) Mai"])
def test_number_before_a_full_stop_does_not_start_a_list(template: str) -> None:
    assert ParsedElements(markdown.to_html(render_body(template, values_with_x("5")))).elements == {"p"}


def test_every_account_field_is_filled_in() -> None:
    source = " / ".join(f"{{{{ {name} }}}}" for name in ACCOUNT_FIELDS)
    assert (
        render_subject(source, values_with_x(""))
        == "Jordan Rivera / Jordan / jordan@example.org / P-1042 / Practitioner"
    )


@pytest.mark.parametrize(("name", "first"), [("Jordan Rivera", "Jordan"), ("Cher", "Cher"), ("", ""), ("  ", "  ")])
def test_first_name_ends_at_the_first_space(name: str, first: str) -> None:
    assert merge_values(name, "", "", "", {})["first_name"] == first


def test_data_fields_are_listed_once_in_order() -> None:
    source = "{{ data.exam_date }} {% if data.fee %}{{ data.fee }}{% endif %} {{ data.exam_date }} {{ name }}"
    assert check_template(source).data_fields == ("exam_date", "fee")
    assert merge_fields.sample_data(("exam_date",)) == {"exam_date": "[exam date]"}


@pytest.mark.parametrize(
    ("source", "line", "names"),
    [
        ("{{ nme }}", 1, "“nme”"),
        ("Dear {{ name }},\n\n{{ exam_date }}", 3, "“exam_date”"),
        ("a\n{% if lisence %}x{% endif %}", 2, "“lisence”"),
        ("{{ name.first }}", 1, "“name.first”"),
        ("{{ data }}", 1, "“data”"),
        ("{{ data.a.b }}", 1, "“data.a.b”"),
        ("{{ data.Ünsafe }}", 1, "data.Ünsafe"),
        ("{{ data.x }}{{ data[name] }}", 1, "name"),
        ("{% for x in data %}{{ x }}{% endfor %}", 1, "“data”"),
        ("{% for x in accounts %}{{ x }}{% endfor %}", 1, "“accounts”"),
        ("{% unless optout %}x{% endunless %}", 1, "“optout”"),
        ("{{ name | append: secret }}", 1, "“secret”"),
    ],
)
def test_unknown_field_error_lists_line_and_known_fields(source: str, line: int, names: str) -> None:
    with pytest.raises(MergeError) as rejected:
        check_template(source)
    assert rejected.value.line == line
    assert str(rejected.value).startswith(f"Line {line}: there is no merge field")
    assert names in str(rejected.value)
    assert "Use one of name, first_name, email, external_id, account_type, or data.something" in str(rejected.value)


@pytest.mark.parametrize(
    ("source", "line"),
    [
        ("{{ name", 1),
        ("one\ntwo {{ name }\nthree", 2),
        ("{% if %}", 1),
        ("a\n\n{% nosuch %}", 3),
        ("a\n{{ name | nofilter }}", 2),
        ("{% endif %}", 1),
        ("{{ name | divided_by: 0 }}", 1),
        ("{% assign = 5 %}", 1),
        ("{% if name > 5 %}x{% endif %}", 1),
    ],
)
def test_syntax_error_names_its_line(source: str, line: int) -> None:
    with pytest.raises(MergeError) as rejected:
        check_template(source)
    assert rejected.value.line == line
    assert str(rejected.value).startswith(f"Line {line}: ")


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("{{ name\u200b }}", "invisible character (zero width space)"),
        ("{{ name |\u00a0upcase }}", "invisible character (no-break space)"),
        ("{% if \ufeffname %}x{% endif %}", "invisible character (zero width no-break space)"),
        ("{{ data.x | default: “none” }}", "the curly quotation mark “"),
        ("{{ data.x | default: ‘none’ }}", "the curly quotation mark ‘"),
    ],
)
def test_word_processor_characters_in_a_field_are_named(source: str, message: str) -> None:
    with pytest.raises(MergeError) as rejected:
        check_template(source)
    assert message in str(rejected.value)


@pytest.mark.parametrize(("source", "tag"), [("{% if name %}x", "endif"), ("a\n{% for i in (1..2) %}", "endfor")])
def test_unclosed_tag_is_named(source: str, tag: str) -> None:
    with pytest.raises(MergeError, match=rf"“{{% {tag} %}}” is missing"):
        check_template(source)


@pytest.mark.parametrize("source", ["{% if name %}x", "a\n{% for i in (1..2) %}"])
def test_unclosed_tag_error_has_a_line(source: str) -> None:
    with pytest.raises(MergeError) as rejected:
        check_template(source)
    assert rejected.value.line is not None


@pytest.mark.parametrize(
    "source",
    [
        "{% for i in (1..100000000) %}x{% endfor %}",
        "{% for a in (1..99) %}{% for b in (1..99) %}{% for c in (1..99) %}x{% endfor %}{% endfor %}{% endfor %}",
        "{% assign x = 'a' %}{% for i in (1..60) %}{% assign x = x | append: x %}{% endfor %}{{ x }}",
        "{% assign x = 'a' %}{% for i in (1..16) %}{% assign x = x | append: x %}{% endfor %}",
        "{% assign x = 10 %}{% for i in (1..60) %}{% assign x = x | times: x %}{% endfor %}{{ x }}",
        "{% for i in (1..1900) %}" + "x" * 60 + "{% endfor %}",
        "{% if name %}" * 3000 + "{% endif %}" * 3000,
    ],
)
def test_template_that_does_too_much_is_rejected(source: str) -> None:
    with pytest.raises(MergeError, match="does too much"):
        check_template(source)


@pytest.mark.parametrize(
    "source",
    [
        pytest.param("{{ 'a'" + " | replace: '', 'aaaaaaaaaaaaaaaa'" * 5 + " | size }}", id="replace"),
        pytest.param("{{ (1..200000) | join: '' | size }}", id="join"),
    ],
)
def test_filter_chain_cannot_exhaust_memory(source: str) -> None:
    with pytest.raises(MergeError, match="does too much"):
        check_template(source)


@pytest.mark.parametrize("source", ["{{ 'inf' | plus: 1 | floor }}", "{{ 'nan' | plus: 1 | round }}"])
def test_arithmetic_without_a_result_is_an_error(source: str) -> None:
    with pytest.raises(MergeError):
        check_template(source)


@pytest.mark.parametrize(
    "source",
    [
        "{{ name | safe }}",
        "{% include 'secrets' %}",
        "{% render 'secrets' %}",
        "{% capture x %}{{ name }}{% endcapture %}{{ x }}",
        "{% tablerow x in (1..3) %}{{ x }}{% endtablerow %}",
        "{% extends 'base' %}",
        "{{ name.__class__ }}",
        "{{ name['__class__'] }}",
        "{{ data.__class__ }}",
        "{{ data.x.__class__.__mro__ }}",
        "{% assign y = name %}{{ y.__class__ }}",
        "{% assign y = 'a,b' | split: ',' %}{{ y.__class__.__base__.__subclasses__ }}",
        "{{ self }}",
        "{{ config }}",
        "{{ request.environ }}",
    ],
)
def test_template_cannot_reach_anything_but_its_fields(source: str) -> None:
    with pytest.raises(MergeError):
        check_template(source)


@pytest.mark.parametrize("name", ["map", "where", "find", "has", "reject", "sum", "base64_encode", "url_decode"])
def test_filters_that_inspect_objects_are_not_available(name: str) -> None:
    with pytest.raises(MergeError, match=f"there is no filter “{name}”. The filters are default, date"):
        check_template(f"{{{{ name | {name}: '__class__' }}}}")


def test_limits_apply_to_rendering_with_real_values() -> None:
    source = "{% for i in (1..data.x) %}x{% endfor %}"
    assert check_template(source).data_fields == ("x",)
    with pytest.raises(MergeError, match="does too much"):
        render_body(source, values_with_x("100000"))


def test_missing_value_is_an_error() -> None:
    with pytest.raises(MergeError, match=r"data\.y is undefined"):
        render_body("{{ data.y }}", values_with_x("a"))


@pytest.mark.parametrize("name", ["O'Neil *bold* <b>", "1. Anna", "{{ email }}", "Zoë & Co"])
@pytest.mark.parametrize(
    "source", ["Dear {{ name }},\n\n{{data.note}} - {{ first_name }}.", "{{name}}{{ name }}", "plain"]
)
def test_fast_path_matches_real_rendering(source: str, name: str) -> None:
    values = merge_fields.merge_values(name, "a@example.org", "P-1", "Practitioner", {"note": name})
    for is_markdown, render in ((True, merge_fields.render_body), (False, merge_fields.render_text)):
        assert render(source, values) == merge_fields._render(
            merge_fields._parse_template(source), values, markdown=is_markdown
        )


def test_fast_path_names_a_missing_value() -> None:
    with pytest.raises(MergeError, match="nothing"):
        merge_fields.render_body(
            "Hello {{ data.nothing }}", merge_fields.merge_values("A", "a@example.org", "P", "T", {})
        )
