"""What every form does with input that no browser sends from the page, and with rejected input."""

import ast
import io
from pathlib import Path

from flask import Flask

from portal.accounts import password_reset
from portal.accounts.tables.accounts import find_by_external_id
from tests.support.web_client import PUBLIC_URL, WebClient

ROOT = Path(__file__).parents[2]
TIME_ZONE = "/MyAccount/TimeZone"
CREDENTIALS, SENDER = "/SysAdmin/AppConfig/SmsGatewayAuthentication", "/SysAdmin/AppConfig/SmsGatewaySettings"
READS_WITHOUT_A_FORM = {
    "portal/web/account/sign_in_pages.py": "limits every submitted value, also those that no form declares",
    "portal/web/authentication/kept_forms.py": "keeps what was typed, whatever form it is of",
    "portal/web/authentication/recent_sign_in.py": "keeps what was typed, whatever form it is of",
    "portal/web/base_form.py": "hands the submitted values to the forms",
    "portal/web/browser_defences/report_endpoint.py": "reads what browsers report, which no page of ours makes",
    "portal/web/webhooks/twilio_webhooks.py": "reads what Twilio posts, which no page of ours makes",
}
"""Modules that may read submitted values by hand, and why. A page of ours has a form class."""


def test_only_form_classes_read_what_is_submitted() -> None:
    modules = (path for folder in ("portal", "jobs") for path in (ROOT / folder).rglob("*.py"))
    reading = {str(path.relative_to(ROOT)) for path in modules if _reads_submitted_values(path)}
    assert reading == READS_WITHOUT_A_FORM.keys()


def _reads_submitted_values(module: Path) -> bool:
    names = {ast.unparse(node) for node in ast.walk(ast.parse(module.read_text())) if isinstance(node, ast.Attribute)}
    return not names.isdisjoint(f"request.{name}" for name in ("form", "values", "files", "get_json", "get_data"))


def test_no_change_depends_on_the_address() -> None:
    """A parameter of the query string may come from a link that somebody else made."""
    modules = (ROOT / "portal" / "web").rglob("*.py")
    functions = (node for path in modules for node in ast.walk(ast.parse(path.read_text())))
    changes = [ast.unparse(node) for node in functions if isinstance(node, ast.FunctionDef) and _is_posted_to(node)]
    assert len(changes) > 80
    assert not [code for code in changes if "query_text(" in code or "query_id(" in code or "request.args" in code]


def _is_posted_to(view: ast.FunctionDef) -> bool:
    return any(ast.unparse(decorator).startswith("pages.post(") for decorator in view.decorator_list)


def test_json_body_is_not_a_form(number_owner: WebClient) -> None:
    headers = {"X-CSRFToken": number_owner.csrf_token(), "Referer": f"{PUBLIC_URL}/"}
    for body in ({"timezone": ["Asia/Tokyo"]}, ["timezone"]):
        response = number_owner.client.post(TIME_ZONE, json=body, base_url=PUBLIC_URL, headers=headers)
        assert response.status_code == 422


def test_missing_field_does_not_keep_the_present_value(number_owner: WebClient) -> None:
    assert number_owner.post(TIME_ZONE).status_code == 422


def test_file_in_place_of_text_counts_as_missing(number_owner: WebClient) -> None:
    assert _post_file(number_owner, TIME_ZONE, "timezone") == 422


def test_file_in_place_of_any_other_input_counts_as_missing(sysadmin: WebClient, admin: WebClient) -> None:
    assert _post_file(sysadmin, f"{CREDENTIALS}/token", "token") == 422
    assert _post_file(sysadmin, SENDER, "TwilioAnswers", **{"TwilioAnswers.own": "yes"}) == 422
    condition = {"audience_type": "conditions", "conditions-0-field": "name"}
    assert _post_file(admin, "/Admin/Audiences/new", "conditions-0-value", **condition) == 422


def _post_file(client: WebClient, path: str, name: str, **fields: str) -> int:
    values = {"csrf_token": client.csrf_token(), **fields, name: (io.BytesIO(b"UTC"), "zone.txt")}
    headers = {"Referer": f"{PUBLIC_URL}/"}
    return client.client.post(path, data=values, base_url=PUBLIC_URL, headers=headers).status_code


def test_send_without_an_audience_goes_to_nobody(admin: WebClient, sent_communications: dict[str, int]) -> None:
    for path in ("/Admin/Sends/confirm", "/Admin/Sends"):
        response = admin.post(path, template="notice", version_id="1")
        assert response.status_code == 422
        assert (
            "Choose everyone, an account type, conditions, a saved audience, or individual accounts." in response.text
        )


def test_rejected_label_is_kept_with_its_error(number_owner: WebClient) -> None:
    path, label = "/MyAccount/PhoneNumbers", "x" * 41
    number_owner.post(path, number="(202) 555-0142")
    response = number_owner.post(f"{path}/1/label", label=label)
    assert response.status_code == 422
    assert f'value="{label}"' in response.text
    assert "Keep the label to 40 characters; this one has 41." in response.text


def test_password_is_never_written_into_the_page(web_app: Flask, visitor: WebClient) -> None:
    with web_app.app_context():
        account = find_by_external_id("P-1")
        assert account
        path = f"/ForgotPassword/{password_reset.reset_token(account)}"
    page = visitor.post(path, password="a-secret-to-come", password_confirm="another").text
    assert "The two passwords do not match." in page
    assert "a-secret-to-come" not in page
