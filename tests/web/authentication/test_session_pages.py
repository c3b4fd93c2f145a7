"""Where somebody is signed in, seen and ended by themselves or by a system administrator."""

import re

from flask import Flask
from flask_security import hash_password
from sqlalchemy import update

from portal.accounts.tables.accounts import Account
from portal.core.audit_log import entries_about
from portal.core.extensions import db
from tests.support.page_queries import app_transaction
from tests.support.web_client import PASSWORD, WebClient, signed_in_client

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:143.0) Gecko/20100101 Firefox/143.0"
OWN, OF_OWNER = "/MyAccount/Sessions", "/SysAdmin/Accounts/1/Sessions"


def is_signed_in(client: WebClient) -> bool:
    return client.get("/MyAccount/TimeZone").status_code == 200


def session_ids(page: str) -> list[str]:
    return re.findall(r"Sessions/(\d+)/SignOut", page)


def test_a_person_sees_each_browser_and_signs_another_one_out(web_app: Flask, number_owner: WebClient) -> None:
    other = signed_in_client(web_app, "P-1", FIREFOX, "192.0.2.7")
    page = number_owner.get(OWN).text
    assert ("Firefox on Linux" in page, "192.0.2.7" in page, page.count("This browser")) == (True, True, 1)
    (session_id,) = session_ids(page)
    response = number_owner.post(f"{OWN}/{session_id}/SignOut")
    assert "1 device is signed out." in number_owner.get(OWN).text
    assert (response.status_code, is_signed_in(other), is_signed_in(number_owner)) == (303, False, True)
    number_owner.post(f"{OWN}/{session_id}/SignOut")
    assert "Nobody was signed in there any more." in number_owner.get(OWN).text


def test_signing_out_everywhere_else_keeps_this_browser(web_app: Flask, number_owner: WebClient) -> None:
    others = [signed_in_client(web_app, "P-1") for _ in range(2)]
    number_owner.post(f"{OWN}/SignOutOthers")
    assert [is_signed_in(each) for each in (number_owner, *others)] == [True, False, False]
    assert "Sign out everywhere else" not in number_owner.get(OWN).text, "there is nobody else"


def test_signing_out_ends_this_browser_only_and_clears_what_it_keeps(web_app: Flask, number_owner: WebClient) -> None:
    other = signed_in_client(web_app, "P-1")
    response = number_owner.post("/SignOut")
    assert response.headers["Clear-Site-Data"] == '"cache", "storage"'
    assert response.headers["Cache-Control"] == "private, no-store"
    assert [is_signed_in(each) for each in (number_owner, other)] == [False, True]


def test_nobody_ends_the_session_of_somebody_else_by_its_number(web_app: Flask, number_owner: WebClient) -> None:
    signed_in_client(web_app, "P-1", FIREFOX)
    (session_id,) = session_ids(number_owner.get(OWN).text)
    stranger = signed_in_client(web_app, "P-2")
    stranger.post(f"{OWN}/{session_id}/SignOut")
    assert session_ids(number_owner.get(OWN).text) == [session_id]


def test_a_system_administrator_ends_sessions_of_an_account(
    web_app: Flask, sysadmin: WebClient, number_owner: WebClient, admin: WebClient
) -> None:
    other = signed_in_client(web_app, "P-1", FIREFOX, "192.0.2.7")
    page = sysadmin.get(OF_OWNER).text
    assert ("Firefox on Linux" in page, len(session_ids(page)), "This browser" in page) == (True, 2, False)
    sysadmin.post(f"{OF_OWNER}/{max(session_ids(page), key=int)}/SignOut")
    assert [is_signed_in(each) for each in (number_owner, other)] == [True, False]
    sysadmin.post(f"{OF_OWNER}/SignOutAll")
    assert not is_signed_in(number_owner)
    assert "Nobody is signed in as this account." in sysadmin.get(OF_OWNER).text
    with app_transaction(web_app):
        entries = entries_about("account P-1", ["sessions_revoked"])
        assert [(entry.actor_id is not None, entry.detail["sessions"]) for entry in entries] == [(True, 1)] * 2
    assert [admin.get(OF_OWNER).status_code, admin.post(f"{OF_OWNER}/SignOutAll").status_code] == [404, 404]


def test_a_new_password_signs_other_browsers_out_and_not_this_one(web_app: Flask, visitor: WebClient) -> None:
    with app_transaction(web_app):
        db.session.execute(update(Account).where(Account.external_id == "P-1").values(password=hash_password(PASSWORD)))
    visitor.sign_in("P-1")
    other = signed_in_client(web_app, "P-1")
    new = "violet harbor compass"
    visitor.post("/MyAccount/Profile/Password", current=PASSWORD, password=new, password_confirm=new)
    assert [is_signed_in(each) for each in (visitor, other)] == [True, False]
    assert session_ids(visitor.get(OWN).text) == []
