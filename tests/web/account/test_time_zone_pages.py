"""Whose time it is: everybody sets a zone of their own, administrators that of others."""

import dataclasses
from datetime import time

import pytest
from flask import Flask
from sqlalchemy import select

from portal.accounts.tables.accounts import Account
from portal.core.extensions import db
from tests.support.html_checks import find_page_problems
from tests.support.page_queries import AUDIT_LOG_PATH, audit_entries, visible_text
from tests.support.web_client import WebClient

OWN_PAGE = "/MyAccount/TimeZone"


def address(app: Flask, external_id: str) -> str:
    with app.app_context():
        account_id = db.session.scalars(select(Account.id).where(Account.external_id == external_id)).one()
    return f"/Admin/Accounts/{account_id}/TimeZone"


def zone(app: Flask, external_id: str) -> str:
    with app.app_context():
        return db.session.scalars(select(Account.timezone).where(Account.external_id == external_id)).one()


def test_the_owner_moves_and_sees_times_of_the_new_place(
    number_owner: WebClient, sent_communications: dict[str, int], web_app: Flask
) -> None:
    page = number_owner.get(OWN_PAGE).text
    assert find_page_problems(page) == []
    assert '<option value="Europe/Berlin">' in page
    answer = number_owner.post(OWN_PAGE, timezone=" Asia/Tokyo ")
    assert (answer.status_code, answer.location) == (303, "/MyAccount/CommunicationsHistory")
    history = number_owner.get(answer.location).text
    assert "Time zone saved." in history
    assert "Times are shown in Asia/Tokyo. Change your time zone" in visible_text(history)
    assert "JST" in history
    assert audit_entries(web_app) == [], "what people do with their own account is their own affair"


def test_a_place_that_is_none_is_refused_at_its_field_and_kept(number_owner: WebClient, web_app: Flask) -> None:
    before = zone(web_app, "P-1")
    answer = number_owner.post(OWN_PAGE, timezone="Middle/Earth")
    assert answer.status_code == 422
    assert "There is no such time zone. Use a name such as America/New_York." in answer.text
    assert 'value="Middle/Earth"' in answer.text
    assert find_page_problems(answer.text) == []
    assert zone(web_app, "P-1") == before


@pytest.mark.parametrize(
    "typed", ["", "../etc/passwd", "America/New_York\x00x", "x" * 5_000, "<b>", "utc", "localtime", "Factory"]
)
def test_nothing_but_the_name_of_a_zone_is_taken(number_owner: WebClient, web_app: Flask, typed: str) -> None:
    before = zone(web_app, "P-1")
    assert number_owner.post(OWN_PAGE, timezone=typed).status_code == 422
    assert zone(web_app, "P-1") == before


def test_an_administrator_sets_it_for_somebody_and_the_audit_log_says_so(
    admin: WebClient, sysadmin: WebClient, web_app: Flask
) -> None:
    its, before = address(web_app, "P-2"), zone(web_app, "P-2")
    profile = its.removesuffix("/TimeZone")
    assert f'href="{its}"' in admin.get(profile).text
    page = admin.get(its).text
    assert find_page_problems(page) == []
    answer = admin.post(its, timezone="Pacific/Auckland")
    assert answer.location == profile
    assert "Pacific/Auckland" in admin.get(profile).text
    assert audit_entries(web_app) == [("timezone_changed", "account P-2")]
    log = visible_text(sysadmin.get(AUDIT_LOG_PATH).text)
    assert "Changed the time zone of account P-2" in log
    assert f"from {before}, to Pacific/Auckland" in log


def test_nobody_else_changes_it(number_owner: WebClient, web_app: Flask) -> None:
    its, before = address(web_app, "P-2"), zone(web_app, "P-2")
    assert number_owner.get(its).status_code == 404
    assert number_owner.post(its, timezone="Asia/Tokyo").status_code == 404
    assert zone(web_app, "P-2") == before


def test_an_account_that_does_not_exist_has_none(admin: WebClient) -> None:
    assert admin.get("/Admin/Accounts/4711/TimeZone").status_code == 404


@pytest.mark.usefixtures("sms_enabled")
def test_where_nights_are_quiet_the_page_says_what_the_zone_is_for(number_owner: WebClient, web_app: Flask) -> None:
    assert "not urgent" not in number_owner.get(OWN_PAGE).text
    hours = (time(21), time(8))
    web_app.config["PORTAL"] = dataclasses.replace(web_app.config["PORTAL"], quiet_hours=hours)
    assert "Texts that are not urgent are not sent between 21:00 and 08:00 local time." in visible_text(
        number_owner.get(OWN_PAGE).text
    )
