"""The organization on pages: its logo and stylesheet are public files that browsers keep."""

import gzip
import re

import pytest
from flask import Flask
from sqlalchemy.exc import OperationalError

from portal.core.organisation import current_organisation
from portal.settings.organisation_changes import save_logo, save_profile
from portal.web.authentication import browser_sessions
from tests.support.html_checks import find_page_problems
from tests.support.logo_images import png, webp
from tests.support.web_client import NOW_MS, WebClient

PAGES = ["/SignIn", "/ForgotPassword", "/nowhere"]


@pytest.fixture
def logo_address(web_app: Flask) -> str:
    """Of an organisation with name, color and logo."""
    with web_app.app_context():
        save_profile("Board & Rivers", "#5b2c83", None, None, NOW_MS)
        save_logo(png(), None, NOW_MS)
        logo = current_organisation().logo
        assert logo
        return f"/organization/logo/{logo.digest}"


@pytest.mark.parametrize("path", PAGES)
def test_public_pages_show_the_organization(visitor: WebClient, logo_address: str, path: str) -> None:
    page = visitor.get(path).text
    assert "– Board &amp; Rivers</title>" in page
    assert f'<img src="{logo_address}" alt="Board &amp; Rivers" width="240" height="80">' in page
    assert re.search(r'<link rel="stylesheet" href="/organization/accent-5b2c83-[0-9a-f]{8}\.css">', page)
    assert find_page_problems(page) == []


@pytest.mark.parametrize("path", PAGES)
def test_without_values_pages_show_the_default(visitor: WebClient, path: str) -> None:
    page = visitor.get(path).text
    assert "– Board of Examples</title>" in page
    assert "/organization/" not in page


def test_logo_is_cached_for_good_and_never_interpreted(visitor: WebClient, logo_address: str) -> None:
    response = visitor.get(logo_address)
    assert (response.status_code, response.data) == (200, png())
    assert response.headers["Content-Type"] == "image/png"
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Cache-Control"] == "public, immutable, max-age=31536000"
    assert "Set-Cookie" not in response.headers


def test_stylesheet_is_cached_for_good(visitor: WebClient, logo_address: str) -> None:
    match = re.search(r'href="(/organization/accent-[^"]+)"', visitor.get("/SignIn").text)
    assert match
    response = visitor.get(match[1])
    assert response.text.startswith(":root{--accent:light-dark(#5b2c83,")
    assert response.headers["Content-Type"] == "text/css; charset=utf-8"
    assert "immutable" in response.headers["Cache-Control"]


@pytest.mark.parametrize(
    "path",
    [
        "logo/" + "0" * 32,
        "logo/%00",
        "logo/..%2f",
        "accent-5b2c83-00000000.css",
        "accent-ffcc00-00000000.css",
        "accent-5b2c8%7d-0.css",
    ],
)
def test_unknown_files_are_404_and_not_cached(visitor: WebClient, path: str) -> None:
    response = visitor.get(f"/organization/{path}")
    assert response.status_code == 404
    assert response.headers["Cache-Control"] == "private, no-store"


@pytest.mark.parametrize(("content", "is_icon"), [(png(64, 60), True), (webp("lossy", 240, 80), False)])
def test_only_a_square_logo_is_the_icon_of_the_tab(
    web_app: Flask, visitor: WebClient, content: bytes, is_icon: bool
) -> None:
    with web_app.app_context():
        save_logo(content, None, NOW_MS)
    icon = re.search(r'<link rel="icon" href="([^"]+)"', visitor.get("/SignIn").text)
    assert icon
    assert icon[1].startswith("/organization/logo/" if is_icon else "/static/icon.svg")


def test_error_page_of_a_broken_database_has_the_last_known_name(
    number_owner: WebClient, logo_address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OperationalError("SELECT", {}, Exception("secret detail"))

    number_owner.get("/MyAccount/PhoneNumbers")
    monkeypatch.setattr(browser_sessions, "find_with_account", fail)
    response = number_owner.get("/MyAccount/PhoneNumbers")
    assert response.status_code == 500
    assert "Board &amp; Rivers" in response.text
    assert "/organization/accent-5b2c83-" in response.text


def test_page_with_the_organization_still_weighs_little(admin: WebClient, logo_address: str) -> None:
    headers = {"Accept-Encoding": "gzip", "Sec-Fetch-Site": "none"}
    page = admin.get("/Admin/Sends", headers=headers)
    files = set(re.findall(r'(?:href|src)="(/(?:static|organization)/[^"]+)"', gzip.decompress(page.data).decode()))
    assert len(files) > 5
    assert len(page.data) + sum(len(admin.get(file, headers=headers).data) for file in files) < 45_000
    assert len(page.data) < 8_000
