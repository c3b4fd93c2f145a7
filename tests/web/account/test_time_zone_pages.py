"""People change their own time zone, administrators that of others."""

import dataclasses

import pytest
from flask import Flask
from sqlalchemy import select

from portal.accounts.tables.accounts import Account
from portal.core.extensions import db
from tests.support.html_checks import find_page_problems
from tests.support.page_queries import AUDIT_LOG_PATH, SENT_NOTICE, audit_entries, visible_text
from tests.support.web_client import WebClient

OWN_PAGE = "/MyAccount/TimeZone"


def address(app: Flask, external_id: str) -> str:
    with app.app_context():
        account_id = db.session.scalars(select(Account.id).where(Account.external_id == external_id)).one()
    return f"/Admin/Accounts/{account_id}/TimeZone"


def zone(app: Flask, external_id: str) -> str:
    with app.app_context():
        return db.session.scalars(select(Account.timezone).where(Account.external_id == external_id)).one()


def test_owner_changes_their_time_zone(
    number_owner: WebClient, sent_communications: dict[str, int], web_app: Flask
) -> None:
    page = number_owner.get(OWN_PAGE).text
    assert find_page_problems(page) == []
    assert '<option value="Europe/Berlin">' in page
    response = number_owner.post(OWN_PAGE, timezone=" Asia/Tokyo ")
    assert (response.status_code, response.location) == (303, "/MyAccount/CommunicationsHistory")
    history = number_owner.get(response.location).text
    assert "Time zone saved." in history
    assert "Times are shown in Asia/Tokyo. Change your time zone" in visible_text(history)
    assert "JST" in history
    assert audit_entries(web_app) == SENT_NOTICE, "changes to one's own account are not audited"


def test_unknown_time_zone_is_rejected_with_input_kept(number_owner: WebClient, web_app: Flask) -> None:
    before = zone(web_app, "P-1")
    response = number_owner.post(OWN_PAGE, timezone="Middle/Earth")
    assert response.status_code == 422
    assert "There is no such time zone. Use a name such as America/New_York." in response.text
    assert 'value="Middle/Earth"' in response.text
    assert find_page_problems(response.text) == []
    assert zone(web_app, "P-1") == before


@pytest.mark.parametrize(
    "typed", ["", "../etc/passwd", "America/New_York\x00x", "x" * 5_000, "<b>", "utc", "localtime", "Factory"]
)
def test_only_time_zone_names_are_accepted(number_owner: WebClient, web_app: Flask, typed: str) -> None:
    before = zone(web_app, "P-1")
    assert number_owner.post(OWN_PAGE, timezone=typed).status_code == 422
    assert zone(web_app, "P-1") == before


def test_administrators_change_is_in_the_audit_log(admin: WebClient, sysadmin: WebClient, web_app: Flask) -> None:
    page_path, before = address(web_app, "P-2"), zone(web_app, "P-2")
    profile = page_path.removesuffix("/TimeZone")
    assert f'href="{page_path}"' in admin.get(profile).text
    page = admin.get(page_path).text
    assert find_page_problems(page) == []
    response = admin.post(page_path, timezone="Pacific/Auckland")
    assert response.location == profile
    assert "Pacific/Auckland" in admin.get(profile).text
    assert audit_entries(web_app) == [("timezone_changed", "account P-2")]
    log = visible_text(sysadmin.get(AUDIT_LOG_PATH).text)
    assert "Changed the time zone of account P-2" in log
    assert f"from {before}, to Pacific/Auckland" in log


def test_other_users_cannot_change_it(number_owner: WebClient, web_app: Flask) -> None:
    page_path, before = address(web_app, "P-2"), zone(web_app, "P-2")
    assert number_owner.get(page_path).status_code == 404
    assert number_owner.post(page_path, timezone="Asia/Tokyo").status_code == 404
    assert zone(web_app, "P-2") == before


def test_unknown_account_gives_404(admin: WebClient) -> None:
    assert admin.get("/Admin/Accounts/4711/TimeZone").status_code == 404


@pytest.mark.usefixtures("sms_enabled")
def test_page_mentions_quiet_hours_if_configured(number_owner: WebClient, web_app: Flask) -> None:
    assert "not urgent" not in number_owner.get(OWN_PAGE).text
    hours = "21:00-08:00"
    web_app.config["PORTAL"] = dataclasses.replace(web_app.config["PORTAL"], quiet_hours=hours)
    assert "not sent between 21:00 and 08:00, by this time zone and by the area code of the phone." in visible_text(
        number_owner.get(OWN_PAGE).text
    )
