import gzip
import re
from pathlib import Path

import pytest
from flask import request
from sqlalchemy.exc import OperationalError

from portal import create_app
from portal.core.config import load_settings
from portal.web.authentication import browser_sessions
from tests.support.web_client import PUBLIC_URL, WebClient

EXPECTED_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; frame-src 'self'; object-src 'none'; base-uri 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types htmx-fragment; report-uri /csp-reports; report-to csp"
)
EXPECTED_EMAIL_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; sandbox; object-src 'none'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'self'"
)


@pytest.mark.parametrize("path", ["/SignIn", "/MyAccount/PhoneNumbers", "/nowhere", "/healthz"])
def test_every_response_restricts_browsers_to_our_own_files(number_owner: WebClient, path: str) -> None:
    headers = number_owner.get(path).headers
    assert headers["Content-Security-Policy"] == EXPECTED_POLICY
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "same-origin"
    assert headers["X-Frame-Options"] == "SAMEORIGIN"
    assert headers["Reporting-Endpoints"] == 'csp="/csp-reports"'
    assert headers["Cross-Origin-Resource-Policy"] == headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert {"camera=()", "geolocation=()", "microphone=()"} <= set(headers["Permissions-Policy"].split(", "))


@pytest.mark.parametrize(("hsts", "option"), [("subdomains", "; includeSubDomains"), ("host", "")])
def test_browsers_open_the_portal_by_https_alone(tmp_path: Path, hsts: str, option: str) -> None:
    environ = {"PORTAL_INSTANCE": str(tmp_path), "PORTAL_PUBLIC_URL": PUBLIC_URL, "PORTAL_HSTS": hsts}
    headers = create_app(load_settings(environ)).test_client().get("/healthz").headers
    assert headers["Strict-Transport-Security"] == f"max-age=31536000{option}"


def test_signed_in_pages_are_not_cached(number_owner: WebClient) -> None:
    assert number_owner.get("/MyAccount/PhoneNumbers").headers["Cache-Control"] == "private, no-store"


def test_static_files_are_cached_only_with_their_hash(visitor: WebClient) -> None:
    match = re.search(r'href="(/static/portal\.css\?v=[0-9a-f]{12})"', visitor.get("/SignIn").text)
    assert match
    assert "max-age=31536000, immutable" in visitor.get(match.group(1)).headers["Cache-Control"]
    assert visitor.get("/static/portal.css").headers["Cache-Control"] == "no-cache"


def test_static_files_arrive_compressed(visitor: WebClient) -> None:
    plain = visitor.get("/static/portal.css").data
    response = visitor.get("/static/portal.css", headers={"Accept-Encoding": "gzip"})
    assert response.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(response.data) == plain
    assert len(response.data) < len(plain) / 3


@pytest.mark.parametrize(
    ("site", "encoding"),
    [("same-origin", "gzip"), ("none", "gzip"), ("cross-site", None), ("same-site", None), ("", None)],
)
def test_pages_are_compressed_only_for_requests_that_no_other_site_can_cause(
    admin: WebClient, site: str, encoding: str | None
) -> None:
    response = admin.get("/Admin/Sends", headers={"Accept-Encoding": "gzip", "Sec-Fetch-Site": site})
    assert response.headers.get("Content-Encoding") == encoding
    assert {"Accept-Encoding", "Sec-Fetch-Site"} <= set(response.headers["Vary"].split(", "))


def test_first_view_of_a_page_weighs_less_than_45_kilobytes(admin: WebClient) -> None:
    headers = {"Accept-Encoding": "gzip", "Sec-Fetch-Site": "none"}
    page = admin.get("/Admin/Sends", headers=headers)
    files = re.findall(r'(?:href|src)="(/static/[^"]+)"', gzip.decompress(page.data).decode())
    assert len(page.data) + sum(len(admin.get(file, headers=headers).data) for file in files) < 45_000
    assert len(page.data) < 8_000


def test_framed_email_cannot_run_or_load_anything(admin: WebClient, sent_communications: dict[str, int]) -> None:
    for path in (f"/Admin/Communications/{sent_communications['P-1']}/email", "/Admin/Automations/Templates/1/email"):
        assert admin.get(path).headers["Content-Security-Policy"] == EXPECTED_EMAIL_POLICY


def test_form_without_a_csrf_token_is_refused_in_plain_words(number_owner: WebClient) -> None:
    response = number_owner.post_without_token("/MyAccount/PhoneNumbers", {"number": "+12025550177"})
    assert response.status_code == 400
    assert "open too long" in response.text
    assert "555-0177" not in number_owner.get("/MyAccount/PhoneNumbers").text


def test_htmx_gets_errors_as_a_notice_above_the_page(admin: WebClient) -> None:
    response = admin.get("/Admin/Sends/12345/progress", headers={"HX-Request": "true"})
    assert response.status_code == 404
    assert response.headers["HX-Retarget"] == "#notice"
    assert "<html" not in response.text


def test_request_over_a_megabyte_is_refused(number_owner: WebClient) -> None:
    response = number_owner.post_without_token("/MyAccount/PhoneNumbers", {"number": "1" * 1_100_000})
    assert response.status_code == 413
    assert "1 MB" in response.text


@pytest.mark.parametrize("folder", ["/static/", "/static/modules/", "/static/vendor", "/static/.."])
def test_folder_of_files_is_not_listed(visitor: WebClient, folder: str) -> None:
    assert visitor.get(folder).status_code == 404


def test_missing_static_file_is_not_cached(visitor: WebClient) -> None:
    response = visitor.get("/static/gone.css?v=123")
    assert response.status_code == 404
    assert response.headers["Cache-Control"] == "private, no-store"


def test_unavailable_database_shows_our_error_page(number_owner: WebClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OperationalError("SELECT", {}, Exception("secret detail"))

    monkeypatch.setattr(browser_sessions, "find_with_account", fail)
    for headers in ({}, {"HX-Request": "true"}):
        response = number_owner.get("/MyAccount/PhoneNumbers", headers=headers)
        assert response.status_code == 500
        assert "Something went wrong on our side" in response.text
        assert "secret" not in response.text


def test_server_error_shows_no_stack_trace(
    web_app: object, number_owner: WebClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr("portal.records.tables.person_history.history_page", fail)
    response = number_owner.get("/MyAccount/CommunicationsHistory")
    assert response.status_code == 500
    assert "secret" not in response.text
    assert "Something went wrong on our side" in response.text


@pytest.mark.parametrize(("proxies", "seen"), [("0", "127.0.0.1"), ("1", "203.0.113.7"), ("2", "198.51.100.9")])
def test_caller_address_is_taken_from_trusted_proxies_only(proxies: str, seen: str, tmp_path: Path) -> None:
    app = create_app(load_settings({"PORTAL_INSTANCE": str(tmp_path), "PORTAL_TRUSTED_PROXIES": proxies}))
    heard: list[str] = []
    app.before_request_funcs.setdefault(None, []).insert(0, lambda: heard.append(request.remote_addr or ""))
    app.test_client().get("/healthz", headers={"X-Forwarded-For": "192.0.2.1, 198.51.100.9, 203.0.113.7"})
    assert heard == [seen]
