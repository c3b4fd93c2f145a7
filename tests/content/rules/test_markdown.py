import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.content.rules.markdown import to_html, to_text

ALLOWED = {"p", "br", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "li", "strong", "em", "a", "code", "pre", "hr"}
ALLOWED |= {"blockquote", "table", "thead", "tbody", "tr", "th", "td"}
FRAGMENTS = st.lists(
    st.sampled_from(
        [
            "<script>alert(1)</script>",
            "<style>*{}</style>",
            "<img src=x onerror=alert(1)>",
            "<a href='javascript:x'>a</a>",
            "[a](javascript:alert(1))",
            "[a](JaVa\tScript:x)",
            "[a](data:text/html;base64,x)",
            "[a](&#106;avascript:x)",
            "<javascript:alert(1)>",
            "![a](https://e.org/a.png)",
            "<iframe src=//e.org>",
            "<svg/onload=x>",
            "[x]: javascript:y",
            "[x]",
            "[a](<javascript:x>)",
            '[a](/b "onclick=x")',
            "<p onclick=x>",
            "<base href=//e.org>",
            "<!-- -->",
            "<![CDATA[x]]>",
            "# h",
            "- a",
            "1. b",
            "> q",
            "```",
            "`",
            "**b**",
            "| a | b |\n|--|--|\n| 1 | 2 |",
            "\n",
            "\n\n",
            " ",
            "text",
            "\x00",
        ]
    ),
    max_size=10,
).map("".join)


@given(FRAGMENTS | st.text(st.characters(exclude_categories=["Cs"]), max_size=200))
def test_html_contains_only_allowed_tags_and_addresses(source: str) -> None:
    html = to_html(source)
    assert set(re.findall(r"<\s*/?\s*([a-zA-Z][a-zA-Z0-9]*)", html)) <= ALLOWED
    for tag in re.findall(r"<[a-zA-Z][^>]*>", html):
        assert not re.search(r"\son\w+\s*=|\sstyle\s*=|\ssrc\s*=|\sclass\s*=|\sid\s*=", tag.split('title="')[0], re.I)
        for address in re.findall(r'href="([^"]*)"', tag):
            scheme = re.match(r"([a-zA-Z][a-zA-Z0-9+.-]*):", address)
            assert scheme is None or scheme.group(1).lower() in ("http", "https", "mailto", "tel")


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=200) | FRAGMENTS)
def test_text_ends_with_one_line_break(source: str) -> None:
    text = to_text(source)
    assert text.endswith("\n")
    assert "\n\n\n" not in text or "```" in source or "    " in source


@pytest.mark.parametrize(
    ("source", "forbidden"),
    [
        ("<script>alert(1)</script>", "<script"),
        ("<style>p{}</style>", "<style"),
        ("<img src=x onerror=alert(1)>", "<img"),
        ("![logo](https://e.org/a.png)", "<img"),
        ("[a](javascript:alert(1))", "href"),
        ("[a](JAVASCRIPT:alert(1))", "href"),
        ("[a](&#106;avascript:alert(1))", "href"),
        ("[a](data:text/html,<b>)", "href"),
        ("[a](vbscript:x)", "href"),
        ("<javascript:alert(1)>", "href"),
        ("<p style='color:red'>a</p>", "<p style"),
    ],
)
def test_scripts_and_tracking_never_become_markup(source: str, forbidden: str) -> None:
    assert forbidden not in to_html(source)


def test_typed_html_is_shown_literally() -> None:
    assert to_html("<b>5 < 6</b>") == "<p>&lt;b&gt;5 &lt; 6&lt;/b&gt;</p>\n"


def test_links_send_no_referrer() -> None:
    assert to_html("[a](https://e.org)") == '<p><a href="https://e.org" rel="noopener noreferrer">a</a></p>\n'


def test_image_becomes_a_link() -> None:
    source = "![Plan](https://e.org/plan.png)"
    assert '<a href="https://e.org/plan.png" rel="noopener noreferrer">Plan</a>' in to_html(source)
    assert to_text(source) == "!Plan (https://e.org/plan.png)\n"


def test_headings_start_at_level_two() -> None:
    html = to_html("# One\n\n## Two\n\n###### Six")
    assert html == "<h2>One</h2>\n<h3>Two</h3>\n<h6>Six</h6>\n"


def test_table_renders_as_a_table() -> None:
    html = to_html("| a | b |\n|---|---|\n| 1 | 2 |")
    assert "<th>a</th>" in html
    assert "<td>2</td>" in html


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("# Title\n\nWords **in** *two*\nlines.", "Title\n\nWords in two\nlines.\n"),
        ("- a\n- b\n  - c\n- d", "- a\n- b\n  - c\n\n- d\n"),
        ("1. x\n2. y", "1. x\n2. y\n"),
        ("7. x\n8. y\n\nend", "7. x\n8. y\n\nend\n"),
        ("[Renew](https://e.org/r)", "Renew (https://e.org/r)\n"),
        ("<https://e.org/r>", "https://e.org/r\n"),
        ("[https://e.org/r](https://e.org/r)", "https://e.org/r\n"),
        ("[**R**enew `now`](https://e.org/?a=1&b=2)", "Renew now (https://e.org/?a=1&b=2)\n"),
        ("> quoted\n\nend", "quoted\n\nend\n"),
        ("```\ncode  here\n```\nend", "code  here\n\nend\n"),
        ("one\\\ntwo", "one\ntwo\n"),
        ("a &amp; b &lt;c&gt;", "a & b <c>\n"),
        ("", "\n"),
        ("Ask <help@example.org>.", "Ask help@example.org.\n"),
        ("[help@example.org](mailto:help@example.org)", "help@example.org\n"),
        ("[Ask us](mailto:help@example.org)", "Ask us (mailto:help@example.org)\n"),
        ("<https://bücher.example/ü>", "https://bücher.example/ü\n"),
        ("[](https://e.org/r)", "https://e.org/r\n"),
        ("- a\n  b\n- c\n\n  d", "- a\n  b\n- c\n\n  d\n"),
        ("1. a\n   - b\n     c", "1. a\n   - b\n     c\n"),
        ("- a\n\n  ```\n  code\n  ```", "- a\n\n  code\n"),
        ("a\n\n---\n\nb", "a\n\n---\n\nb\n"),
    ],
)
def test_plain_text_reads_well(source: str, text: str) -> None:
    assert to_text(source) == text


def test_plain_text_table_keeps_a_row_on_one_line() -> None:
    lines = to_text("| Exam | Date |\n|---|---|\n| Law | May 3 |\n| Ethics | May 9 |\n\nSee you there.").splitlines()
    assert any("Exam" in line and "Date" in line for line in lines)
    assert any("Law" in line and "May 3" in line and "Ethics" not in line for line in lines)
    assert lines[lines.index("See you there.") - 1] == ""


@pytest.mark.parametrize(
    ("source", "text"),
    [
        (
            "| Exam | Date | Fee |\n|---|:-:|--:|\n| Law | | 5 |\n| Ethics | May 3 | 1,250 |\n| | | |",
            "Exam   | Date  |   Fee\n-------|-------|------\nLaw    |       |     5\n"
            "Ethics | May 3 | 1,250\n       |       |\n",
        ),
        ("| a | b |\n|--|--|\n| **1** | |\n\nend", "a | b\n--|--\n1 |\n\nend\n"),
        ("| | |\n|--|--|\n| **Date** | May 3 |\n| Place | |", "Date  | May 3\nPlace |\n"),
        (f"| | |\n|--|--|\n| {'x' * 99} | 1 |", f"{'x' * 99} | 1\n"),
        ("| 日本 | b |\n|--|--|\n| xy | z |", "日本 | b\n-----|--\nxy   | z\n"),
        (f"| a | b | c |\n|--|--|--|\n| {'x' * 99} | | 1 |", f"a | b | c\n{'x' * 99} |  | 1\n"),
    ],
)
def test_plain_text_table_keeps_columns_and_empty_cells(source: str, text: str) -> None:
    assert to_text(source) == text
