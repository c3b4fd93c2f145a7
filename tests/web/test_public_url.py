"""Forms are accepted from the public URL only, and no response repeats the caller's Host header."""

from dataclasses import replace
from pathlib import Path

import pytest
from flask import Flask

from portal import create_app
from portal.core.config import load_settings
from portal.web.public_url import is_own_origin
from portal.web.request_input import safe_redirect_target
from tests.support.web_client import PUBLIC_URL, WebClient

FORM = "/MyAccount/PhoneNumbers"
REFUSED = "This form came from another address"


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "null"},
        {"Origin": "https://evil.example"},
        {"Origin": "http://portal.example.org"},
        {"Origin": "https://portal.example.org:444"},
        {"Origin": "https://portal.example.org@evil.example"},
        {"Origin": "nonsense"},
        {"Referer": "https://evil.example/?https://portal.example.org/"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
    ],
    ids=str,
)
def test_form_from_another_origin_says_what_to_configure(number_owner: WebClient, headers: dict[str, str]) -> None:
    response = number_owner.post_without_token(
        FORM, {"csrf_token": number_owner.csrf_token(), "number": "+12025550177"}, **headers
    )
    assert response.status_code == 400
    assert REFUSED in response.text
    assert PUBLIC_URL in response.text
    assert "PORTAL_PUBLIC_URL" in response.text
    assert "evil" not in response.text
    assert "555-0177" not in number_owner.get(FORM).text


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": PUBLIC_URL},
        {"Origin": "https://PORTAL.example.org:443", "Sec_Fetch_Site": "same-origin"},
        {"Origin": PUBLIC_URL, "Referer": "https://elsewhere.example/"},
        {"Referer": f"{PUBLIC_URL}{FORM}?a=1"},
    ],
    ids=str,
)
@pytest.mark.parametrize("host", ["portal.example.org", "127.0.0.1:8000", "portal.example.org:8443", "upstream:8000"])
def test_own_form_is_accepted_whatever_host_a_proxy_sends(
    web_app: Flask, number_owner: WebClient, headers: dict[str, str], host: str
) -> None:
    web_app.config["PORTAL"] = replace(web_app.config["PORTAL"], trusted_hosts=("upstream",))
    portal = web_app.wsgi_app
    web_app.wsgi_app = lambda environ, start: portal(environ | {"HTTP_HOST": host}, start)  # type: ignore[assignment, method-assign]
    response = number_owner.post_without_token(
        FORM, {"csrf_token": number_owner.csrf_token(), "number": "not a number"}, **headers
    )
    assert response.status_code == 422


def test_own_form_without_a_csrf_token_is_refused(number_owner: WebClient) -> None:
    response = number_owner.post_without_token(FORM, {"number": "+12025550177"}, Origin=PUBLIC_URL)
    assert response.status_code == 400
    assert "open too long" in response.text


@pytest.mark.parametrize(
    ("public_url", "address", "own"),
    [
        ("http://127.0.0.1:8000", "http://localhost:8000", True),
        ("http://127.0.0.1:8000", "http://[::1]:8000", True),
        ("http://127.0.0.1:8000", "http://127.0.0.1:9000", False),
        ("http://127.0.0.1:8000", "https://127.0.0.1:8000", False),
        ("https://portal.example.org:8443", "https://portal.example.org:8443/SignIn", True),
        ("https://portal.example.org:8443", "https://portal.example.org", False),
        ("https://bücher.example", "https://xn--bcher-kva.example", True),
        ("https://portal.example.org", "https://portal.example.org:99999", False),
        ("https://portal.example.org", "https://localhost", False),
        ("https://[2001:db8::1]", "https://[2001:db8::1]:443", True),
    ],
)
def test_origins_are_compared_as_browsers_do(tmp_path: Path, public_url: str, address: str, own: bool) -> None:
    app = create_app(load_settings({"PORTAL_INSTANCE": str(tmp_path), "PORTAL_PUBLIC_URL": public_url}))
    with app.app_context():
        assert is_own_origin(address) is own


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8443", "evil.example/x", "", "a b"])
def test_no_response_repeats_the_callers_host(web_app: Flask, host: str) -> None:
    for path in ("//static", "//SignIn", "/Admin/Accounts", "/SignIn", "/static", "/nowhere", "//a//b"):
        response = web_app.test_client().get(path, headers={"Host": host, "X-Forwarded-Host": "evil.example"})
        assert "evil" not in response.text, path
        assert "evil" not in str(response.headers), path
        assert response.status_code < 500, path


@pytest.mark.parametrize(
    "wanted",
    [
        *(
            "//evil.example",
            "/\\evil.example",
            "\\/evil",
            "https:evil",
            "/\t/evil.example",
            "/\r\nX: 1",
            "javascript:x",
        ),
        *("https://portal.example.org/", "", "evil", "///evil.example", "\\\\\\evil.example", "/%09/\u00a0evil"),
    ],
)
def test_unsafe_redirect_targets_are_replaced(wanted: str) -> None:
    assert safe_redirect_target(wanted) == "/"


@pytest.mark.parametrize(
    "wanted", ["/x?y=1", "/c/abc", "/%09/evil", "/MyAccount/PhoneNumbers?next=https://evil.example"]
)
def test_own_path_is_a_safe_redirect_target(wanted: str) -> None:
    assert safe_redirect_target(wanted) == wanted


@pytest.mark.parametrize(
    ("method", "path"),
    [
        *(
            ("GET", "/SignIn"),
            ("GET", "/nowhere"),
            ("GET", "//static"),
            ("GET", "/static/portal.css"),
            ("PUT", "/SignIn"),
        ),
        *(
            ("GET", "/static/gone.css"),
            ("OPTIONS", "/SignIn"),
            ("HEAD", "/SignIn"),
            ("GET", "/healthz"),
            ("POST", "/SignIn"),
        ),
        *(("POST", "/webhooks/twilio/status"), ("GET", "/Admin/Sends"), ("TRACE", "/SignIn")),
    ],
)
def test_every_response_restricts_objects_bases_forms_and_frames(web_app: Flask, method: str, path: str) -> None:
    headers = web_app.test_client().open(path, method=method, base_url=PUBLIC_URL).headers
    policy = headers["Content-Security-Policy"]
    for directive in ("object-src 'none'", "base-uri 'none'", "form-action 'self'", "frame-ancestors 'none'"):
        assert directive in policy
    assert headers["X-Content-Type-Options"] == "nosniff"
