"""Texts link to the portal's own host alone."""

import pytest

from portal.content.rules.text_rules import link_problem

OWN = "https://portal.board.example"


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
    ],
)
def test_ordinary_words_are_no_links(text: str) -> None:
    assert link_problem(text, OWN) is None


def test_a_shortener_is_called_one() -> None:
    assert "shorteners" in str(link_problem("See https://bit.ly/3abc", OWN))
