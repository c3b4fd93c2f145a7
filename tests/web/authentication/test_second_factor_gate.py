"""Administrators set up a second factor before anything else, and only a system administrator removes it."""

from collections.abc import Callable

import pytest
from flask import Flask
from sqlalchemy import select

from portal.accounts.tables.accounts import Account
from portal.core.audit_log import AuditEntry
from portal.core.extensions import db
from portal.gateways.rules.email_message import OutgoingEmail
from tests.support.authentication.authenticator_app import enrol_app, enrolled_account
from tests.support.web_client import WebClient, signed_in_client

SET_UP = "/MyAccount/Security/Authenticator"


@pytest.fixture(autouse=True)
def second_factor_is_required(configure: Callable[..., None]) -> None:
    configure(second_factor="required")


def account_id(app: Flask, external_id: str) -> int:
    with app.app_context():
        return db.session.scalars(select(Account.id).where(Account.external_id == external_id)).one()


@pytest.mark.parametrize("external_id", ["A-1", "S-1"])
def test_administrator_reaches_nothing_before_the_second_factor_is_set_up(web_app: Flask, external_id: str) -> None:
    client = WebClient(web_app.test_client())
    client.sign_in(external_id)
    for rule in web_app.url_map.iter_rules():
        view = web_app.view_functions[rule.endpoint]
        if rule.arguments or "GET" not in (rule.methods or ()) or getattr(view, "portal_access", "public") == "public":
            continue
        response = client.get(rule.rule)
        opens = getattr(view, "is_open_without_second_factor", False)
        assert opens or response.status_code == 404 or response.location == SET_UP, rule.rule
    assert client.post("/Admin/Accounts/New").location == SET_UP
    enrol_app(client)
    assert client.get("/Admin/Accounts").status_code == 200


@pytest.mark.parametrize("path", ["/metrics", "/readyz"])
def test_state_of_the_portal_waits_for_the_second_factor(sysadmin: WebClient, path: str) -> None:
    afar = {"environ_overrides": {"REMOTE_ADDR": "203.0.113.9"}}
    assert sysadmin.get(path, **afar).status_code == 404
    enrol_app(sysadmin)
    assert sysadmin.get(path, **afar).status_code in (200, 503)


def test_htmx_requests_lead_there_too(admin: WebClient) -> None:
    response = admin.get("/Admin/Mode", headers={"HX-Request": "true"})
    assert (response.status_code, response.headers["HX-Redirect"]) == (401, SET_UP)


def test_language_and_sign_out_work_before_the_second_factor(admin: WebClient) -> None:
    assert admin.post("/Language", language="es", next="/").location == "/"
    assert "Salir" in admin.get(SET_UP).text or "Cerrar" in admin.get(SET_UP).text
    assert admin.post("/SignOut").location.endswith("/SignIn")


def test_other_people_choose_for_themselves(number_owner: WebClient) -> None:
    assert number_owner.get("/MyAccount/PhoneNumbers").status_code == 200
    enrol_app(number_owner)
    number_owner.post("/MyAccount/Security/Authenticator/Remove")
    assert "takes only your password" in number_owner.get("/MyAccount/Security").text


def test_nothing_is_recorded_or_told_where_there_is_no_second_factor(
    number_owner: WebClient, web_app: Flask, sent_emails: list[OutgoingEmail]
) -> None:
    number_owner.post("/MyAccount/Security/Authenticator/Remove").close()
    assert "This account has no second factor." in number_owner.get("/MyAccount/Security").text
    with web_app.app_context():
        assert "second_factor_removed" not in set(db.session.scalars(select(AuditEntry.action)))
    assert sent_emails == []


def test_administrator_cannot_turn_it_off(admin: WebClient) -> None:
    enrol_app(admin)
    admin.post("/MyAccount/Security/Authenticator/Remove")
    assert admin.get("/Admin/Accounts").status_code == 200
    assert "Your role needs a second factor" in admin.get("/MyAccount/Security").text


def test_system_administrator_removes_the_second_factor_of_somebody_else(
    web_app: Flask, admin: WebClient, sysadmin: WebClient, sent_emails: list[OutgoingEmail]
) -> None:
    for client in (admin, sysadmin):
        enrol_app(client)
    sent_emails.clear()
    sysadmin.post(f"/Admin/Accounts/{account_id(web_app, 'A-1')}/SecondFactor").close()
    (mail,) = sent_emails
    assert (mail.to, mail.subject) == ("admin@example.org", "Your second factor was removed")
    assert admin.get("/Admin/Accounts").location.startswith("/SignIn")
    assert admin.sign_in("A-1").location == "/"
    assert admin.get("/Admin/Accounts").location == SET_UP
    with web_app.app_context():
        actions = set(db.session.scalars(select(AuditEntry.action)))
    assert {"totp_enrolled", "second_factor_removed"} <= actions


def test_administrator_removes_nobodys_second_factor(web_app: Flask, admin: WebClient) -> None:
    enrol_app(admin)
    for external_id in ("P-1", "S-1"):
        enrolled_account(web_app, external_id)
        address = f"/Admin/Accounts/{account_id(web_app, external_id)}/SecondFactor"
        assert admin.get(address).status_code == admin.post(address).status_code == 404
        assert WebClient(web_app.test_client()).sign_in(external_id).location == "/SignIn/Code"


def test_optional_for_administrators_where_the_setting_says_so(web_app: Flask, configure: Callable[..., None]) -> None:
    configure(second_factor="optional")
    assert signed_in_client(web_app, "A-1").get("/Admin/Accounts").status_code == 200
