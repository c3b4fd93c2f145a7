"""Texts link to the portal's own host alone, whoever wrote the link."""

import pytest

from portal.content.rules.text_rules import link_problem, notification_text

OWN = "https://portal.board.example"
LINK, NAMES = f"{OWN}/c/Xy7Kp2Qa", ("Nursing.org", "Board of Nursing")


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("See https://elsewhere.example/form", "elsewhere.example"),
        ("See https://portal.board.example.evil.example/", "portal.board.example.evil.example"),
        ("See https://portal.board.example@evil.example/", "evil.example"),
        ("See WWW.Elsewhere.Example.", "www.elsewhere.example"),
        ("See elsewhere.example/form", "elsewhere.example"),
        ("See bit.ly/3abc", "bit.ly"),
        ("See tinyurl.com", "tinyurl.com"),
        ("See elsewhere.com now", "elsewhere.com"),
        ("See ｅｌｓｅｗｈｅｒｅ․ｃｏｍ", "elsewhere.com"),
        ("Open ftp://elsewhere.example", "elsewhere.example"),
        (r"See https://elsewhere.example\@portal.board.example/", "elsewhere.example"),
        ("See elsewhere.example:8080/form", "elsewhere.example"),
        ("See 192.0.2.7/form", "192.0.2.7"),
    ],
)
def test_a_link_to_another_host_is_named(text: str, host: str) -> None:
    problem = link_problem(text, OWN)
    assert problem is not None
    assert f"to {host}:" in problem


@pytest.mark.parametrize(
    "text",
    [
        "See https://portal.board.example/c/x",
        "Write to help@board.example",
        "Due 2/3 or 11/12",
        "Dr.Smith and/or you",
        "Write to jo.dev@board.example.com",
        "Version 2.0 is in the app",
        "Section 1.2.3.4 applies, 3.5/4",
    ],
)
def test_ordinary_words_are_no_links(text: str) -> None:
    assert link_problem(text, OWN) is None


def test_a_name_that_looks_like_a_host_is_no_link() -> None:
    assert link_problem("Nursing.org: hello", OWN, NAMES) is None


@pytest.mark.parametrize(
    ("value", "harmless"),
    [
        ("Jo http://bad.example/x", "Jo (...)"),
        ("bad.com", "(...)"),
        ("bad\u200b.com, Jo", "(...), Jo"),
        ("https://intranet/form", "(...)"),
        ("bad.example:443/x", "(...)"),
        ("javascript://bad.example/%0a", "(...)"),
        (f"{OWN}.bad.example/", "(...)"),
        (f"Jo {OWN}/h", f"Jo {OWN}/h"),
        ("jo@bad.com", "jo@bad.com"),
        ("Dr. O’Neill", "Dr. O'Neill"),
    ],
)
def test_a_link_in_a_value_gives_way(value: str, harmless: str) -> None:
    assert notification_text(f"Hello {value}", LINK, NAMES).text == f"Nursing.org: Hello {harmless} {LINK}"


def test_removed_links_are_named() -> None:
    fitted = notification_text("Hello bad.com and bad.com/x", LINK, NAMES)
    assert fitted.text == f"Nursing.org: Hello (...) and (...) {LINK}"
    assert fitted.removed_links == ("bad.com", "bad.com/x")


def test_a_shortener_is_called_one() -> None:
    assert "shorteners" in str(link_problem("See https://bit.ly/3abc", OWN))
