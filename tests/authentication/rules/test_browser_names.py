"""Browsers and systems are named as people know them."""

import pytest

from portal.authentication.rules.browser_names import browser_name

_MOZILLA, _WEBKIT = "Mozilla/5.0 ", "AppleWebKit/537.36 (KHTML, like Gecko) "


@pytest.mark.parametrize(
    ("agent", "name"),
    [
        ("(Windows NT 10.0; Win64; x64) " + _WEBKIT + "Chrome/140.0 Safari/537.36 Edg/140.0", "Edge (Windows)"),
        ("(Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0", "Firefox (Windows)"),
        ("(Macintosh; Intel Mac OS X 10_15_7) " + _WEBKIT + "Version/18.0 Safari/605.1.15", "Safari (macOS)"),
        ("(iPhone; CPU iPhone OS 18_0 like Mac OS X) " + _WEBKIT + "CriOS/140.0 Safari/604.1", "Chrome (iPhone)"),
        ("(Linux; Android 15; Pixel 9) " + _WEBKIT + "Chrome/140.0 Mobile Safari/537.36", "Chrome (Android)"),
        ("<script>", ""),
    ],
)
def test_browser_is_named_with_its_system(agent: str, name: str) -> None:
    assert browser_name(_MOZILLA + agent) == name
