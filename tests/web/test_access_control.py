import re

import pytest
from flask import Flask

from portal.web import access
from tests.support.web_client import WebClient

OWN_PAGES = [
    "/MyAccount/PhoneNumbers",
    "/MyAccount/CommunicationsHistory",
    "/MyAccount/TimeZone",
    "/MyAccount/Profile",
    "/MyAccount/Sessions",
]
ADMIN_PAGES = [
    "/Admin",
    "/Admin/Accounts",
    "/Admin/Accounts/New",
    "/Admin/Accounts/Import",
    "/Admin/Accounts/1/Edit",
    "/Admin/Accounts/1/Deactivate",
    "/Admin/Accounts/1/Merge",
    "/Admin/Attributes",
    "/Admin/Attributes/new",
    "/Admin/Attributes/import",
    "/Admin/Topics",
    "/Admin/Topics/new",
    "/Admin/Automations/Templates",
    "/Admin/Automations/Templates/new",
    "/Admin/Sends",
    "/Admin/Sends/new",
    "/Admin/Sends/Files",
    "/Admin/Sends/Files/1",
    "/Admin/Audiences",
    "/Admin/Audiences/new",
    "/Admin/Schedules",
    "/Admin/Schedules/Month",
    "/Admin/Schedules/new",
    "/Admin/Communications",
    "/Admin/Mode",
]
PUBLIC_PAGES = ["/SignIn", "/ForgotPassword", "/healthz", "/sms/terms", "/Help", "/Help/recipient"]


def test_anonymous_visitor_is_sent_to_sign_in_and_back(visitor: WebClient) -> None:
    for path in [*OWN_PAGES, *ADMIN_PAGES, "/"]:
        response = visitor.get(path)
        assert (response.status_code, response.location) == (303, f"/SignIn?next={path}")


def test_public_pages_are_open_to_everybody(visitor: WebClient) -> None:
    for path in PUBLIC_PAGES:
        assert visitor.get(path).status_code == 200, path


def test_every_role_has_its_own_account_pages(number_owner: WebClient, admin: WebClient) -> None:
    for path in OWN_PAGES:
        assert (number_owner.get(path).status_code, admin.get(path).status_code) == (200, 200), path


def test_admin_pages_are_404_for_users(
    number_owner: WebClient, admin: WebClient, sysadmin: WebClient, recipient_file: int
) -> None:
    for path in ADMIN_PAGES:
        codes = [person.get(path).status_code for person in (number_owner, admin, sysadmin)]
        assert codes == [404, 200, 200], path


def test_admin_forms_are_404_for_users(number_owner: WebClient) -> None:
    assert number_owner.post("/Admin/Sends", template="notice").status_code == 404


def test_page_without_a_session_stays_open_and_links_to_sign_in(visitor: WebClient) -> None:
    headers = {"HX-Request": "true", "HX-Current-URL": "https://portal.example.org/Admin/Sends/7"}
    response = visitor.get("/Admin/Sends/7/progress", headers=headers)
    assert response.status_code == 401
    assert response.headers["HX-Retarget"] == "#notice"
    assert 'href="/SignIn?next=/Admin/Sends/7" target="_blank"' in response.text


def test_form_without_a_session_comes_back_with_what_was_typed(visitor: WebClient) -> None:
    response = visitor.post_without_token(
        "/MyAccount/PhoneNumbers",
        {"number": "555 <b>", "AuthToken": "hidden"},
        Referer="https://portal.example.org/MyAccount/PhoneNumbers",
    )
    assert response.status_code == 401
    assert 'href="/SignIn?next=/MyAccount/PhoneNumbers" target="_blank"' in response.text
    assert '<input type="hidden" name="number" value="555 &lt;b&gt;">' in response.text
    assert "AuthToken" not in response.text


@pytest.mark.parametrize(
    "referrer", ["https://evil.example/MyAccount", "//evil.example/x", "https://portal.example.org//evil.example"]
)
def test_sign_in_never_redirects_to_another_site(visitor: WebClient, referrer: str) -> None:
    response = visitor.post_without_token("/MyAccount/PhoneNumbers", {}, Referer=referrer)
    assert (response.location or re.findall('href="(/SignIn[^"]*)"', response.text)[-1]) == "/SignIn?next=/"


def test_every_route_declares_its_access_rule(web_app: Flask) -> None:
    access.require_access_rules(web_app)
    web_app.add_url_rule("/forgotten", "forgotten", lambda: "open to all")
    with pytest.raises(access.MissingAccessRule, match="forgotten"):
        access.require_access_rules(web_app)


def test_undeclared_route_is_refused(web_app: Flask, sysadmin: WebClient, visitor: WebClient) -> None:
    web_app._got_first_request = False
    web_app.add_url_rule("/forgotten", "forgotten", lambda: "open to all")
    assert sysadmin.get("/forgotten").status_code == 404
    assert visitor.get("/forgotten").status_code == 303


@pytest.mark.parametrize(
    ("role", "to"), [("number_owner", "/MyAccount/CommunicationsHistory"), ("admin", "/Admin"), ("sysadmin", "/Admin")]
)
def test_start_page_redirects_by_role(request: pytest.FixtureRequest, role: str, to: str) -> None:
    assert request.getfixturevalue(role).get("/").location == to


@pytest.mark.parametrize("number", ["0", "99999999999999999999999999", "-1", "1%00", "999999"])
def test_invalid_ids_are_404(admin: WebClient, number: str) -> None:
    assert admin.get(f"/Admin/Accounts/{number}").status_code == 404
    assert admin.get(f"/Admin/Communications?before={number}&send={number}").status_code == 200
