"""Accounts in the browser: created, edited by one or two people, deactivated, invited to set a password."""

import re

import pytest
from flask import Flask

from portal.accounts.tables.accounts import Account, find_by_external_id
from portal.gateways.outcomes import Accepted, NotSent, Outcome
from portal.gateways.rules.email_message import OutgoingEmail
from portal.web.account import account_emails
from tests.support import scenario
from tests.support.page_queries import audit_entries, visible_text
from tests.support.web_client import PASSWORD, PUBLIC_URL, WebClient

URL, OLIVE = "/Admin/Accounts", "/Admin/Accounts/1"
NEW = {
    "external_id": "N-1",
    "name": "Nora New",
    "email": "nora@example.org",
    "account_type": "Provider",
    "timezone": "America/Chicago",
}
HIDDEN = re.compile(r'<input type="hidden" name="(base_\w+)" value="([^"]*)">')


@pytest.fixture
def mailbox(monkeypatch: pytest.MonkeyPatch) -> list[OutgoingEmail]:
    """Takes what the portal sends about accounts."""
    emails: list[OutgoingEmail] = []

    def take(_url: str, _sender: str, mail: OutgoingEmail) -> Outcome:
        emails.append(mail)
        return Accepted("1")

    monkeypatch.setattr(account_emails, "send_mail", take)
    return emails


def stored(app: Flask, external_id: str) -> Account:
    with app.app_context():
        account = find_by_external_id(external_id)
        assert account
        return account


def opened(admin: WebClient, address: str = f"{OLIVE}/Edit") -> dict[str, str]:
    return dict(HIDDEN.findall(admin.get(address).text))


def test_account_is_created_with_its_attributes(web_app: Flask, admin: WebClient) -> None:
    with web_app.app_context():
        scenario.add_attributes()
    response = admin.post(f"{URL}/New", **NEW, value_region="South")
    page = visible_text(admin.get(response.headers["Location"]).text)
    assert "Nora New" in page
    assert "Region South" in page
    assert "No password yet" in page
    account = stored(web_app, "N-1")
    assert (account.role, account.timezone, account.language) == ("user", "America/Chicago", "")
    assert ("account_created", "account N-1") in audit_entries(web_app)


BAD = [
    ({"external_id": "p-1"}, "Account number P-1 is already in use."),
    ({"external_id": ""}, "Enter an account number."),
    ({"name": "x" * 10_240}, "Use at most 200 characters; this has 10,240."),
    ({"email": "nora"}, "This is not an email address"),
    ({"account_type": ""}, "Enter an account type"),
    ({"timezone": "America/Atlantis"}, "There is no such time zone."),
    ({"role": "admin"}, "Only a system administrator can give or take a role."),
    ({"role": "king"}, "Choose one of the roles in the list."),
    ({"language": "xx"}, "Choose one of the languages in the list."),
    ({"value_credits": "many"}, "number"),
]


def test_refused_account_names_the_rule_and_keeps_what_was_typed(web_app: Flask, admin: WebClient) -> None:
    with web_app.app_context():
        scenario.add_attributes()
    for change, message in BAD:
        response = admin.post(f"{URL}/New", **{**NEW, **change})
        assert (response.status_code, message in visible_text(response.text)) == (422, True), change
        kept = change.get("name", "Nora New")
        assert f'value="{kept}"' in response.text, change


def test_edited_fields_are_saved_and_audited(web_app: Flask, admin: WebClient) -> None:
    fields = opened(admin) | {"name": "Olive Branch", "email": "olive@example.org", "timezone": "Europe/Vienna"}
    assert admin.post(f"{OLIVE}/Edit", **fields).status_code == 303
    account = stored(web_app, "P-1")
    assert (account.name, account.email, account.timezone) == ("Olive Branch", "olive@example.org", "Europe/Vienna")
    assert account.account_type == "Practitioner"
    assert "Olive Branch" in admin.get(f"{URL}?q=branch").text
    assert audit_entries(web_app) == [("account_changed", "account P-1")] * 3


def test_second_of_two_editors_is_told_and_loses_nothing(web_app: Flask, admin: WebClient) -> None:
    before = opened(admin)
    admin.post(f"{OLIVE}/Edit", **before, name="Olive Branch")
    response = admin.post(f"{OLIVE}/Edit", **before, name="Olive Oil", email="oil@example.org")
    assert response.status_code == 422
    assert "Somebody changed this to “Olive Branch” in the meantime." in visible_text(response.text)
    assert 'value="Olive Oil"' in response.text
    assert 'value="oil@example.org"' in response.text
    again = dict(HIDDEN.findall(response.text)) | {"name": "Olive Oil", "email": "oil@example.org"}
    assert admin.post(f"{OLIVE}/Edit", **again).status_code == 303
    assert stored(web_app, "P-1").name == "Olive Oil"


def test_what_another_editor_changed_meanwhile_stays_unless_both_changed_it(web_app: Flask, admin: WebClient) -> None:
    before = opened(admin)
    admin.post(f"{OLIVE}/Edit", **before, name="Olive Branch")
    late = before | {"name": before["base_name"], "timezone": "Europe/Vienna"}
    assert admin.post(f"{OLIVE}/Edit", **late).status_code == 303
    account = stored(web_app, "P-1")
    assert (account.name, account.timezone) == ("Olive Branch", "Europe/Vienna")


def test_deactivation_is_explained_done_and_undone(web_app: Flask, admin: WebClient) -> None:
    assert "It gets no more messages" in admin.get(f"{OLIVE}/Deactivate").text
    page = visible_text(admin.get(admin.post(f"{OLIVE}/Deactivate").headers["Location"]).text)
    assert "This account was deactivated" in page
    assert "Olive Owner Deactivated" in visible_text(admin.get(f"{URL}?status=deactivated").text)
    assert "Olive Owner" not in admin.get(f"{URL}?status=active").text
    assert admin.post(f"{OLIVE}/Reactivate").status_code == 303
    assert stored(web_app, "P-1").active


def test_session_ends_with_the_account(number_owner: WebClient, admin: WebClient) -> None:
    assert number_owner.get("/MyAccount/PhoneNumbers").status_code == 200
    admin.post(f"{OLIVE}/Deactivate")
    assert number_owner.get("/MyAccount/PhoneNumbers").status_code == 303


def test_nobody_signs_in_to_a_deactivated_account(
    web_app: Flask, admin: WebClient, visitor: WebClient, mailbox: list[OutgoingEmail]
) -> None:
    sign_in_by_invitation(admin, visitor, mailbox)
    admin.post(f"{OLIVE}/Deactivate")
    assert "is incorrect" in visitor.sign_in("P-1").text


def sign_in_by_invitation(admin: WebClient, visitor: WebClient, mailbox: list[OutgoingEmail]) -> str:
    """Set a password by the link; return its path."""
    admin.post(f"{OLIVE}/Invite")
    link = re.search(rf"{PUBLIC_URL}(/SetPassword/\S+)", mailbox[-1].text)
    assert link
    response = visitor.post(link[1], password=PASSWORD, password_confirm=PASSWORD)
    assert response.headers["Location"] == "/SignIn"
    return link[1]


def test_invitation_sets_a_password_once(
    web_app: Flask, admin: WebClient, visitor: WebClient, mailbox: list[OutgoingEmail]
) -> None:
    assert "Invite to set a password" in admin.get(OLIVE).text
    link = sign_in_by_invitation(admin, visitor, mailbox)
    assert mailbox[0].to == "owner@example.org"
    assert visitor.get(link).headers["Location"] == "/ForgotPassword"
    assert visitor.sign_in("P-1").status_code == 302
    assert "Invite to set a password" not in admin.get(OLIVE).text
    assert "has a password already" in visible_text(admin.get(admin.post(f"{OLIVE}/Invite").headers["Location"]).text)


def test_weak_password_is_refused_at_its_field(
    admin: WebClient, visitor: WebClient, mailbox: list[OutgoingEmail]
) -> None:
    admin.post(f"{OLIVE}/Invite")
    link = re.search(r"/SetPassword/\S+", mailbox[-1].text)
    assert link
    assert visitor.post(link[0], password="short", password_confirm="short").status_code == 422
    assert visitor.post("/SetPassword/forged", password=PASSWORD, password_confirm=PASSWORD).status_code == 302


def test_invitation_that_the_mail_server_refused_is_said_to_be_so(
    admin: WebClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(account_emails, "send_mail", lambda *_arguments: NotSent("no answer"))
    page = visible_text(admin.get(admin.post(f"{OLIVE}/Invite").headers["Location"]).text)
    assert "nobody was invited" in page


def test_sysadmin_gives_roles_but_not_to_themselves(web_app: Flask, sysadmin: WebClient) -> None:
    assert sysadmin.post(f"{OLIVE}/Edit", **opened(sysadmin), role="admin").status_code == 303
    assert stored(web_app, "P-1").role == "admin"
    own = f"{URL}/{stored(web_app, 'S-1').id}/Edit"
    response = sysadmin.post(own, **opened(sysadmin, own), role="user")
    assert "You cannot change your own role." in visible_text(response.text)


def merge_form(admin: WebClient, address: str) -> dict[str, str]:
    return dict(
        re.findall(r'<input type="hidden" name="(with_id|fingerprint)" value="([^"]*)">', admin.get(address).text)
    )


def test_two_accounts_are_found_previewed_and_merged(web_app: Flask, admin: WebClient, sms_enabled: None) -> None:
    stan = f"{URL}/2/Merge"
    assert "Merge with another account…" in admin.get(f"{URL}/2").text
    assert f"{stan}?with=1" in admin.get(f"{stan}?q=olive").text
    preview = visible_text(admin.get(f"{stan}?with=1").text)
    assert "Phone number (202) 555-0101: gets texts, and goes on getting them" in preview
    assert "A merge cannot be undone." in preview
    assert admin.post(stan, **merge_form(admin, f"{stan}?with=1")).status_code == 303
    assert "(202) 555-0101" in admin.get(f"{URL}/2").text
    merged = visible_text(admin.get(OLIVE).text)
    assert "This account was merged" in merged
    assert "Stan Stranger, P-2" in merged


def test_choice_is_asked_again_and_what_was_chosen_is_kept(web_app: Flask, admin: WebClient, sms_enabled: None) -> None:
    admin.post(f"{URL}/2/numbers", number="(202) 555-0101")
    form = merge_form(admin, f"{URL}/2/Merge?with=1")
    response = admin.post(f"{URL}/2/Merge", **form)
    assert response.status_code == 422
    assert "Choose what is kept wherever both accounts have something." in visible_text(response.text)
    form["number:+12025550101"] = "leaving"
    kept = admin.post(f"{URL}/2/Merge", **{**form, "fingerprint": "old"})
    assert 'value="leaving" required checked' in kept.text
    assert admin.post(f"{URL}/2/Merge", **form).status_code == 303


def test_merge_with_itself_is_refused_in_words(admin: WebClient) -> None:
    response = admin.get(f"{OLIVE}/Merge?with=1")
    assert "cannot be merged with itself" in admin.get(response.headers["Location"]).text
