import pytest
from flask import Flask

from portal.web import access
from tests.support.web_client import WebClient

OWN_PAGES = ["/MyAccount/PhoneNumbers", "/MyAccount/CommunicationsHistory", "/MyAccount/TimeZone"]
ADMIN_PAGES = [
    "/Admin/Accounts",
    "/Admin/Automations/Templates",
    "/Admin/Automations/Templates/new",
    "/Admin/Sends",
    "/Admin/Sends/new",
    "/Admin/Communications",
    "/Admin/Mode",
]
PUBLIC_PAGES = ["/SignIn", "/ForgotPassword", "/healthz"]


@pytest.mark.parametrize("path", OWN_PAGES + ADMIN_PAGES + ["/"])
def test_whoever_is_not_signed_in_is_led_to_sign_in_and_back(visitor: WebClient, path: str) -> None:
    answer = visitor.get(path)
    assert answer.status_code == 303
    assert answer.location == f"/SignIn?next={path}"


@pytest.mark.parametrize("path", PUBLIC_PAGES)
def test_everybody_may_see_the_public_pages(visitor: WebClient, path: str) -> None:
    assert visitor.get(path).status_code == 200


@pytest.mark.parametrize("path", OWN_PAGES)
def test_everybody_signed_in_has_pages_of_their_own(number_owner: WebClient, admin: WebClient, path: str) -> None:
    assert number_owner.get(path).status_code == 200
    assert admin.get(path).status_code == 200


@pytest.mark.parametrize("path", ADMIN_PAGES)
def test_pages_of_admins_do_not_exist_for_users(
    number_owner: WebClient, admin: WebClient, sysadmin: WebClient, path: str
) -> None:
    assert number_owner.get(path).status_code == 404
    assert admin.get(path).status_code == 200
    assert sysadmin.get(path).status_code == 200


def test_a_forms_of_admins_does_not_exist_for_users(number_owner: WebClient) -> None:
    assert number_owner.post("/Admin/Sends", template="notice").status_code == 404


def test_a_lost_session_makes_htmx_load_the_sign_in_page_instead_of_pasting_it(visitor: WebClient) -> None:
    headers = {"HX-Request": "true", "HX-Current-URL": "https://portal.example.org/Admin/Sends/7"}
    answer = visitor.get("/Admin/Sends/7/progress", headers=headers)
    assert answer.status_code == 401
    assert answer.headers["HX-Redirect"] == "/SignIn?next=/Admin/Sends/7"


def test_a_form_sent_after_the_session_ended_leads_to_sign_in_and_back_to_its_page(visitor: WebClient) -> None:
    answer = visitor.post_without_token(
        "/MyAccount/PhoneNumbers", {"number": "x"}, Referer="https://portal.example.org/MyAccount/PhoneNumbers"
    )
    assert answer.location == "/SignIn?next=/MyAccount/PhoneNumbers"


@pytest.mark.parametrize(
    "referrer", ["https://evil.example/MyAccount", "//evil.example/x", "https://portal.example.org//evil.example"]
)
def test_nobody_is_led_to_another_site_after_signing_in(visitor: WebClient, referrer: str) -> None:
    answer = visitor.post_without_token("/MyAccount/PhoneNumbers", {}, Referer=referrer)
    assert answer.location == "/SignIn?next=/"


def test_every_address_says_who_may_enter(web_app: Flask) -> None:
    access.require_access_rules(web_app)
    web_app.add_url_rule("/forgotten", "forgotten", lambda: "open to all")
    with pytest.raises(access.MissingAccessRule, match="forgotten"):
        access.require_access_rules(web_app)


def test_an_address_that_says_nothing_is_closed(web_app: Flask, sysadmin: WebClient, visitor: WebClient) -> None:
    web_app._got_first_request = False
    web_app.add_url_rule("/forgotten", "forgotten", lambda: "open to all")
    assert sysadmin.get("/forgotten").status_code == 404
    assert visitor.get("/forgotten").status_code == 303


@pytest.mark.parametrize(
    ("who", "to"), [("number_owner", "/MyAccount/CommunicationsHistory"), ("admin", "/Admin/Sends")]
)
def test_the_front_page_leads_to_where_one_works(request: pytest.FixtureRequest, who: str, to: str) -> None:
    assert request.getfixturevalue(who).get("/").location == to


@pytest.mark.parametrize("number", ["0", "99999999999999999999999999", "-1", "1%00", "999999"])
def test_odd_ids_are_pages_that_do_not_exist(admin: WebClient, number: str) -> None:
    assert admin.get(f"/Admin/Accounts/{number}").status_code == 404
    assert admin.get(f"/Admin/Communications?before={number}&send={number}").status_code == 200
