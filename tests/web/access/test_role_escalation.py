"""Nobody gets a higher role, or acts on what is not theirs, by fields and ids that a page does not offer."""

import re

import pytest
from flask import Flask
from sqlalchemy import func, select

from portal.accounts import email_change
from portal.accounts.password_invitation import invitation_token
from portal.accounts.tables.accounts import Account, find_by_external_id
from portal.consent.tables.import_tasks import ImportTask
from portal.content.tables.topics import topics_off
from portal.core.clock import now_ms
from portal.core.extensions import db
from tests.support.web_client import WebClient
from tests.web.admin.consent_helpers import receive_text

EXTRA = {"role": "sysadmin", "active": "0", "id": "6", "external_id": "X-9", "fs_uniquifier": "x", "password_hash": "x"}
NEW_PASSWORD = "granite willow seventeen boats"
PROFILE = "/MyAccount/Profile"
ACCOUNT = {
    "name": "New Name",
    "email": "new@example.org",
    "account_type": "Clinic",
    "timezone": "UTC",
    "language": "es",
}


def stored(app: Flask, external_id: str) -> dict[str, object]:
    with app.app_context():
        account = find_by_external_id(external_id)
        assert account
        names = ("id", "external_id", "name", "email", "role", "active", "fs_uniquifier", "password")
        return {name: getattr(account, name) for name in names}


def changed(app: Flask, external_id: str, before: dict[str, object]) -> set[str]:
    return {name for name, value in stored(app, external_id).items() if value != before[name]}


@pytest.mark.parametrize(
    ("form", "fields", "changes"),
    [
        ("Details", {"name": "Olive New", "timezone": "UTC", "language": "es"}, {"name"}),
        ("Email", {"email": "other@example.org"}, set()),
    ],
)
def test_forms_of_the_profile_change_nothing_but_their_fields(
    web_app: Flask, number_owner: WebClient, form: str, fields: dict[str, str], changes: set[str]
) -> None:
    before = stored(web_app, "P-1")
    assert number_owner.post(f"{PROFILE}/{form}", **EXTRA | fields).status_code == 303
    assert changed(web_app, "P-1", before) == changes


def test_links_change_nothing_but_what_they_are_for(web_app: Flask, visitor: WebClient) -> None:
    before, of_other = stored(web_app, "P-1"), stored(web_app, "P-2")
    with web_app.app_context():
        account = find_by_external_id("P-1")
        assert account
        _email, to_change = email_change.request_email_change(account, "moved@example.org", now_ms())
        to_set = invitation_token(int(str(of_other["id"])), None, now_ms())
    assert visitor.post(f"{PROFILE}/Email/{to_change}", **EXTRA, email="evil@example.org").status_code == 303
    assert changed(web_app, "P-1", before) == {"email", "fs_uniquifier"}
    assert stored(web_app, "P-1")["email"] == "moved@example.org"
    passwords = {"password": NEW_PASSWORD, "password_confirm": NEW_PASSWORD}
    assert visitor.post(f"/SetPassword/{to_set}", **EXTRA | passwords).status_code == 303
    assert changed(web_app, "P-2", of_other) == {"password", "fs_uniquifier"}


def test_administrator_creates_and_changes_users_without_giving_a_role(web_app: Flask, admin: WebClient) -> None:
    assert admin.post("/Admin/Accounts/New", **EXTRA | ACCOUNT).status_code == 422
    assert admin.post("/Admin/Accounts/New", **EXTRA | ACCOUNT | {"role": "user"}).status_code == 303
    assert [stored(web_app, "X-9")[name] for name in ("role", "active", "password")] == ["user", True, None]
    before = stored(web_app, "P-1")
    assert admin.post("/Admin/Accounts/1/Edit", **EXTRA | ACCOUNT).status_code == 422
    assert changed(web_app, "P-1", before) == set()
    assert admin.post("/Admin/Accounts/1/Edit", **EXTRA | ACCOUNT | {"role": "user"}).status_code == 303
    assert changed(web_app, "P-1", before) == {"name", "email", "fs_uniquifier"}


@pytest.mark.parametrize(("person", "account_id"), [("number_owner", 1), ("admin", 5), ("sysadmin", 6)])
def test_nobody_changes_their_own_role(
    request: pytest.FixtureRequest, web_app: Flask, person: str, account_id: int
) -> None:
    client: WebClient = request.getfixturevalue(person)
    for role in ("user", "admin", "sysadmin"):
        client.post(f"/Admin/Accounts/{account_id}/Edit", role=role)
        client.post(f"{PROFILE}/Details", name="N", timezone="UTC", language="", role=role)
    with web_app.app_context():
        account = db.session.get_one(Account, account_id)
        assert account.role == {1: "user", 5: "admin", 6: "sysadmin"}[account_id]


def test_ids_of_others_in_forms_are_refused(
    web_app: Flask,
    number_owner: WebClient,
    admin: WebClient,
    sms_enabled: None,
    sent_communications: dict[str, int],
) -> None:
    assert admin.post("/Admin/Accounts/1/Merge", with_id="6").status_code == 403
    assert admin.post("/Admin/Accounts/1/Merge", with_id="99").status_code == 303
    assert number_owner.post("/MyAccount/PhoneNumbers/Topics", shown="1", account_id="2").status_code == 303
    with web_app.app_context():
        assert db.session.scalar(select(func.count()).where(Account.merged_into_id.is_not(None))) == 0
        assert (topics_off(1), topics_off(2)) == ({1}, set())


def test_import_of_opt_outs_discards_no_other_upload(
    web_app: Flask, admin: WebClient, sent_communications: dict[str, int]
) -> None:
    """The hidden id of the upload that a page previews may name any."""
    path, text = "/Admin/Consent/Import/OptOuts", "+12025550166"
    digest = re.search(r'name="confirmed" value="([^"]+)"', admin.post(path, text=text).text)
    assert digest
    assert admin.post(path, text=text, confirmed=digest[1], upload="2").status_code == 303
    assert admin.post("/Admin/Consent/Import/2/retry").status_code == 404
    with web_app.app_context():
        assert db.session.get(ImportTask, 2) is not None


def test_reply_is_assigned_to_no_user(web_app: Flask, admin: WebClient, sms_enabled: None) -> None:
    receive_text(web_app, "Who is this?", "+12025550101")
    assert admin.post("/Admin/Consent/Replies/1/Assign", assignee="1").status_code == 422
