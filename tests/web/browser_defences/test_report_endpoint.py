"""Reports of browsers are counted without anything secret in them, and a flood of them is not."""

import json
from typing import Any

import pytest
from flask import Flask

from portal.operations.rules.policy_violations import PolicyViolation
from portal.operations.tables.policy_violation_counts import recent_violations
from tests.support.page_queries import visible_text
from tests.support.web_client import PUBLIC_URL, WebClient

PATH = "/csp-reports"
TOKEN = "Ik9uZS10aW1lIg.secret"


def modern(blocked: str, page: str, directive: str = "img-src", **more: Any) -> tuple[str, Any]:
    body = {"blockedURL": blocked, "documentURL": page, "effectiveDirective": directive, **more}
    return "application/reports+json", [{"type": "csp-violation", "age": 1, "url": page, "body": body}]


def older(blocked: str, page: str, directive: str = "img-src", **more: Any) -> tuple[str, Any]:
    body = {"blocked-uri": blocked, "document-uri": page, "violated-directive": f"{directive} 'self'", **more}
    return "application/csp-report", {"csp-report": body}


def report(client: WebClient, kind: str, data: Any) -> int:
    body = data if isinstance(data, bytes) else json.dumps(data).encode()
    return client.client.post(PATH, data=body, content_type=kind, base_url=PUBLIC_URL).status_code


def counted(app: Flask) -> dict[PolicyViolation, int]:
    with app.app_context():
        return {one.violation: one.count for one in recent_violations(0)}


@pytest.mark.parametrize("make", [modern, older])
def test_reports_are_counted_by_directive_host_and_route(web_app: Flask, visitor: WebClient, make: Any) -> None:
    page = f"{PUBLIC_URL}/ForgotPassword/{TOKEN}?email=olive@example.org"
    for _ in range(2):
        assert report(visitor, *make("https://evil.example/x?token=1", page)) == 204
    assert report(visitor, *make("inline", f"{PUBLIC_URL}/Admin/Accounts/17?q=olive", "script-src-elem")) == 204
    assert report(visitor, *make("data", "https://elsewhere.example/Admin")) == 204
    assert counted(web_app) == {
        PolicyViolation("img-src", "evil.example", "/ForgotPassword/<token>"): 2,
        PolicyViolation("script-src-elem", "inline", "/Admin/Accounts/<id:account_id>"): 1,
        PolicyViolation("img-src", "other", "/Admin"): 1,
    }


@pytest.mark.parametrize("make", [modern, older])
def test_what_an_extension_does_is_not_counted(web_app: Flask, visitor: WebClient, make: Any) -> None:
    report(visitor, *make("chrome-extension://abc/x.js", f"{PUBLIC_URL}/Admin"))
    report(visitor, *make("inline", f"{PUBLIC_URL}/Admin", sourceFile="moz-extension"))
    assert counted(web_app) == {}


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[" * 20_000, b"null", b"[1]", b'[{"type":"csp-violation"}]', b'{"csp-report":[]}', b"\xff", b"1e999"],
)
def test_what_is_no_report_is_answered_alike_and_dropped(web_app: Flask, visitor: WebClient, body: bytes) -> None:
    for kind in ("application/reports+json", "application/csp-report", "text/plain"):
        assert report(visitor, kind, body) == 204
    assert counted(web_app) == {}


def test_odd_values_are_counted_as_other(web_app: Flask, visitor: WebClient) -> None:
    odd = {"blocked": "https://[x/<b>", "page": "http://[", "directive": "<script>" * 99}
    report(visitor, *modern(**odd))
    report(visitor, *modern("https://" + "x" * 300, f"{PUBLIC_URL}/nowhere/+12025550101", ""))
    report(visitor, *older("", "", "", **{"effective-directive": 7}))
    assert counted(web_app) == {PolicyViolation("other", "other", "other"): 3}


def test_large_report_is_refused(visitor: WebClient) -> None:
    assert report(visitor, "application/csp-report", b" " * 40_000) == 413


def test_flood_of_reports_costs_little(web_app: Flask, visitor: WebClient) -> None:
    many = [modern(f"https://{index}.example", f"{PUBLIC_URL}/Admin")[1][0] for index in range(50)]
    for _ in range(40):
        assert report(visitor, "application/reports+json", many) == 204
    counts = counted(web_app)
    assert (len(counts), sum(counts.values())) == (20, 20 * 20)


def test_reports_of_other_sites_are_refused(web_app: Flask, visitor: WebClient) -> None:
    kind, data = modern("inline", f"{PUBLIC_URL}/Admin")
    headers = {"Origin": "https://evil.example", "Content-Type": kind}
    assert visitor.client.post(PATH, data=json.dumps(data), headers=headers, base_url=PUBLIC_URL).status_code == 400
    assert counted(web_app) == {}


def test_diagnostics_name_what_browsers_refused(web_app: Flask, visitor: WebClient, sysadmin: WebClient) -> None:
    for _ in range(3):
        report(visitor, *modern("https://evil.example/x", f"{PUBLIC_URL}/Admin/Accounts/1"))
    page = visible_text(sysadmin.post("/SysAdmin/SmsNotificationsTestHarness/doctor").text)
    assert "evil.example by img-src at /Admin/Accounts/&lt;id:account_id&gt;, 3 times" in page
