"""The check of a send: its counts with the people, the price, blockers, the time to undo, and approval."""

import re

import pytest
from flask import Flask
from sqlalchemy import select, update

from portal.accounts.account_attributes import set_attributes
from portal.accounts.attribute_management import add_attribute
from portal.accounts.rules.attribute_values import AttributeDefinition, AttributeKind
from portal.accounts.tables.accounts import Account
from portal.content import message_templates
from portal.content.message_templates import TemplateDraft, create_template
from portal.core.clock import now_ms
from portal.core.extensions import db
from portal.sends.send_creation import create_send
from portal.sends.tables.sends import Send
from portal.settings import setting_changes
from tests.support.html_checks import find_page_problems
from tests.support.page_queries import app_transaction, audit_entries, visible_text
from tests.support.web_client import WebClient, signed_in_client

CONFIRM = {"template": "notice", "audience_type": "all", "include_staff": "yes"}
DATED = TemplateDraft("notice", "Notice", "Until {{ expires_on | date }}", "Hello.", False, True)


@pytest.fixture(autouse=True)
def template(web_app: Flask, sms_enabled: None) -> None:
    with web_app.app_context():
        create_template(
            TemplateDraft("notice", "Notice", "Notice for all", "Hello **{{ name }}**.", False, True), None, 1
        )


@pytest.fixture
def second_admin(web_app: Flask) -> WebClient:
    return signed_in_client(web_app, "S-1")


def change_setting(app: Flask, name: str, value: str) -> None:
    with app.app_context():
        setting_changes.set_setting(name, value, None, now_ms())


def hidden_fields(page: str) -> dict[str, str]:
    return dict(re.findall(r'<input type="hidden" name="([\w.]+)" value="([^"]*)">', page))


def create_from_page(client: WebClient) -> int:
    """Through the confirmation, as an administrator does; the id of the send."""
    fields = hidden_fields(client.post("/Admin/Sends/confirm", **CONFIRM).text) | {"csrf_token": client.csrf_token()}
    created = client.post("/Admin/Sends", **fields)
    assert created.status_code == 303, created.text
    return int(created.location.rpartition("/")[2])


def test_confirmation_shows_segments_and_price(web_app: Flask, admin: WebClient) -> None:
    page = visible_text(admin.post("/Admin/Sends/confirm", **CONFIRM).text)
    assert "6 emails and 1 text" in page
    assert "Texts: 1 segment" in page
    assert "$" not in page
    change_setting(web_app, "SmsPricePerSegment", "0.0079")
    assert "about $0.01." in visible_text(admin.post("/Admin/Sends/confirm", **CONFIRM).text)


def test_simulated_texts_have_no_price(web_app: Flask, admin: WebClient) -> None:
    change_setting(web_app, "SmsPricePerSegment", "0.5")
    change_setting(web_app, "TestSmsGatewaySettings", '{"FromNumber": "+15005550006"}')
    change_setting(web_app, "EnableSmsTestMode", "true")
    assert "$" not in visible_text(admin.post("/Admin/Sends/confirm", **CONFIRM).text)


def test_each_count_opens_its_people(admin: WebClient) -> None:
    page = admin.post("/Admin/Sends/confirm", **CONFIRM).text
    assert re.findall(r'name="people" value="(\w+)"', page) == ["everybody", "texted", "no_number"]
    fields = hidden_fields(page) | {"csrf_token": admin.csrf_token()}
    people = admin.post("/Admin/Sends/people", **fields | {"people": "texted"})
    assert find_page_problems(people.text) == []
    assert re.findall(r"/Admin/Accounts/\d+\">([^<]+)<", people.text) == ["Olive Owner"]
    back = hidden_fields(people.text) | {"csrf_token": admin.csrf_token()}
    assert "6 emails and 1 text" in visible_text(admin.post("/Admin/Sends/confirm", **back).text)


def test_people_of_an_unknown_count_are_404(admin: WebClient) -> None:
    assert admin.post("/Admin/Sends/people", **CONFIRM, people="strangers").status_code == 404
    assert admin.post("/Admin/Sends/people", template="nothing", people="texted").status_code == 404


def test_people_of_an_invalid_audience_lead_to_the_form(admin: WebClient) -> None:
    page = admin.post("/Admin/Sends/people", template="notice", audience_type="", people="everybody")
    assert page.status_code == 422
    assert "Choose everyone, an account type" in page.text


def test_blocker_names_the_way_out(web_app: Flask, admin: WebClient, sysadmin: WebClient) -> None:
    page = visible_text(admin.post("/Admin/Sends/confirm", **CONFIRM).text)
    assert "No worker for texts is running, so texts wait. Ask a system administrator." in page
    page = sysadmin.post("/Admin/Sends/confirm", **CONFIRM).text
    assert re.search(r'so texts wait\. <a href="/SysAdmin/[^"]+">Correct this</a>', page)


@pytest.fixture
def needed_attribute(web_app: Flask) -> int:
    """The template needs a date, which one of the six accounts has. The id of that account."""
    definition = AttributeDefinition("expires_on", "Expires on", AttributeKind.DATE)
    with web_app.app_context():
        add_attribute(definition, None, now_ms())
        owner = db.session.scalars(select(Account.id).where(Account.external_id == "P-1")).one()
        set_attributes(owner, {"expires_on": "2027-05-28"}, None, now_ms())
        message_templates.save_template(1, DATED, None, now_ms())
        return owner


def test_people_without_a_needed_value_are_counted_apart(admin: WebClient, needed_attribute: int) -> None:
    page = admin.post("/Admin/Sends/confirm", **CONFIRM).text
    assert "Send 1 email and 1 text<" in page
    assert "5 people get nothing No value for Expires on: 5" in visible_text(page)
    assert find_page_problems(page) == []
    fields = hidden_fields(page) | {"csrf_token": admin.csrf_token()}
    people = admin.post("/Admin/Sends/people", **fields | {"people": "without:expires_on"}).text
    assert find_page_problems(people) == []
    listed = re.findall(r"/Admin/Accounts/(\d+)\">", people)
    assert len(listed) == 5
    assert str(needed_attribute) not in listed
    assert admin.post("/Admin/Sends/people", **fields | {"people": "without:nothing"}).status_code == 404


def test_send_to_approve_counts_people_without_a_needed_value_apart(
    web_app: Flask, admin: WebClient, second_admin: WebClient, needed_attribute: int
) -> None:
    change_setting(web_app, "SendApprovalRecipients", "1")
    set_dates(web_app, needed_attribute + 1, value="2027-06-01")
    send_id = create_from_page(admin)
    page = second_admin.get(f"/Admin/Sends/{send_id}/approval").text
    assert f'<a href="/Admin/Sends/{send_id}/people?people=without:expires_on">4<' in page
    set_dates(web_app, needed_attribute, needed_attribute + 1, value="")
    page = second_admin.get(f"/Admin/Sends/{send_id}/approval").text
    assert "so nobody gets this message" in page
    assert "/approve" not in page
    assert find_page_problems(page) == []


def set_dates(app: Flask, *account_ids: int, value: str) -> None:
    with app.app_context():
        for account_id in account_ids:
            set_attributes(account_id, {"expires_on": value}, None, now_ms())


def test_nothing_is_sent_if_everybody_lacks_a_needed_value(
    web_app: Flask, admin: WebClient, needed_attribute: int
) -> None:
    set_dates(web_app, needed_attribute, value="")
    page = admin.post("/Admin/Sends/confirm", **CONFIRM).text
    assert "Nobody in this audience has a value for Expires on, so nobody gets this message." in visible_text(page)
    assert '<a href="/Admin/Automations/Templates/1">Open the template</a>' in page
    assert not re.search("<button data-busy|0 emails|receives", page)
    assert find_page_problems(page) == []


def test_new_send_can_be_undone_and_changed(web_app: Flask, admin: WebClient) -> None:
    send_id = create_from_page(admin)
    page = admin.get(f"/Admin/Sends/{send_id}")
    assert re.search(r"Sending in (9|10) seconds…", page.text)
    assert find_page_problems(page.text) == []
    form = admin.client.post(
        f"/Admin/Sends/{send_id}/undo", base_url="https://portal.example.org", follow_redirects=True,
        data={"csrf_token": admin.csrf_token()}, headers={"Referer": "https://portal.example.org/"},
    )  # fmt: skip
    assert "Nothing was sent." in form.text
    assert re.search(r'name="audience_type" value="all" checked', form.text)
    assert "Undone just now by Name of A-1" in visible_text(admin.get(f"/Admin/Sends/{send_id}").text)
    assert ("send_undone", f"send {send_id}") in audit_entries(web_app)


def test_countdown_ends_with_the_progress(web_app: Flask, admin: WebClient) -> None:
    send_id = create_from_page(admin)
    counting = admin.get(f"/Admin/Sends/{send_id}/countdown")
    assert "HX-Retarget" not in counting.headers
    assert "every 1s" in counting.text
    with app_transaction(web_app):
        db.session.execute(update(Send).values(starts_at_ms=now_ms()))
    over = admin.get(f"/Admin/Sends/{send_id}/countdown")
    assert (over.headers["HX-Retarget"], 'id="progress"' in over.text) == ("#progress", True)
    assert "Undo" not in over.text


def test_undo_that_comes_too_late_says_what_is_possible(web_app: Flask, admin: WebClient) -> None:
    change_setting(web_app, "SendUndoSeconds", "0")
    send_id = create_from_page(admin)
    assert "Sending in" not in admin.get(f"/Admin/Sends/{send_id}").text
    assert admin.post(f"/Admin/Sends/{send_id}/undo").location == f"/Admin/Sends/{send_id}"
    assert "You can pause or cancel it." in admin.get(f"/Admin/Sends/{send_id}").text


def test_second_administrator_approves(web_app: Flask, admin: WebClient, second_admin: WebClient) -> None:
    change_setting(web_app, "SendApprovalRecipients", "5")
    assert "waits until another administrator approves it" in admin.post("/Admin/Sends/confirm", **CONFIRM).text
    send_id = create_from_page(admin)
    assert "Nothing is sent until another administrator has approved it." in admin.get(f"/Admin/Sends/{send_id}").text
    listing = second_admin.get("/Admin/Sends").text
    assert "Waiting for approval" in listing
    assert 'title="Sends that wait for approval"' in listing
    review = second_admin.get(f"/Admin/Sends/{send_id}/approval").text
    assert find_page_problems(review) == []
    assert "Approve: send 6 emails and 1 text" in visible_text(review)
    planned_at = re.search(r'name="planned_at_ms" value="(\d+)"', review)
    assert planned_at
    second_admin.post(f"/Admin/Sends/{send_id}/approve", planned_at_ms=planned_at[1])
    page = visible_text(second_admin.get(f"/Admin/Sends/{send_id}").text)
    assert "by Name of A-1" in page
    assert "Approved just now by Name of S-1" in page
    assert 'title="Sends that wait for approval"' not in second_admin.get("/Admin/Sends").text


def waiting_send(app: Flask) -> int:
    """Made by A-1."""
    change_setting(app, "SendApprovalRecipients", "5")
    with app.app_context():
        return create_send("notice", {"all": True}, {}, 5, now_ms())


def test_author_may_only_withdraw(web_app: Flask, admin: WebClient) -> None:
    send_id = waiting_send(web_app)
    page = admin.get(f"/Admin/Sends/{send_id}/approval").text
    assert "Approve: send" not in page
    assert "Decline the send" not in page
    admin.post(f"/Admin/Sends/{send_id}/approve", planned_at_ms=str(now_ms()))
    assert "another administrator must decide" in admin.get(f"/Admin/Sends/{send_id}").text
    assert admin.post(f"/Admin/Sends/{send_id}/withdraw").location == f"/Admin/Sends/{send_id}/form"
    assert "Withdrawn just now by Name of A-1" in visible_text(admin.get(f"/Admin/Sends/{send_id}").text)


@pytest.mark.parametrize("planned_at_ms", ["", "x", "1", "99999999999999"])
def test_old_numbers_are_not_approved(web_app: Flask, second_admin: WebClient, planned_at_ms: str) -> None:
    send_id = waiting_send(web_app)
    answer = second_admin.post(f"/Admin/Sends/{send_id}/approve", planned_at_ms=planned_at_ms)
    assert answer.location == f"/Admin/Sends/{send_id}/approval"
    assert "more than five minutes old" in second_admin.get(f"/Admin/Sends/{send_id}/approval").text


def test_late_send_is_approved_only_after_a_question(web_app: Flask, second_admin: WebClient) -> None:
    send_id = waiting_send(web_app)
    with app_transaction(web_app):
        db.session.execute(update(Send).values(start_deadline_ms=now_ms() - 3_600_000))
    path, planned_at_ms = f"/Admin/Sends/{send_id}/approve", str(now_ms())
    page = second_admin.post(path, planned_at_ms=planned_at_ms)
    assert (page.status_code, find_page_problems(page.text)) == (422, [])
    words = visible_text(page.text)
    assert "The limit of its schedule for late runs passed" in words
    assert "Confirm that it is to go out late" in words
    second_admin.post(path, planned_at_ms=planned_at_ms, late="yes")
    assert "Approved just now by Name of S-1" in visible_text(second_admin.get(f"/Admin/Sends/{send_id}").text)


def test_declined_send_shows_the_reason(web_app: Flask, admin: WebClient, second_admin: WebClient) -> None:
    send_id = waiting_send(web_app)
    page = second_admin.post(f"/Admin/Sends/{send_id}/decline", reason=" ")
    assert (page.status_code, "Enter a reason" in page.text) == (422, True)
    assert find_page_problems(page.text) == []
    second_admin.post(f"/Admin/Sends/{send_id}/decline", reason="Wrong <date>")
    assert "by Name of S-1: Wrong &lt;date&gt;" in admin.get(f"/Admin/Sends/{send_id}").text
    assert second_admin.get(f"/Admin/Sends/{send_id}/approval").status_code == 303


def test_people_of_a_waiting_send_are_listed(web_app: Flask, second_admin: WebClient) -> None:
    send_id = waiting_send(web_app)
    links = re.findall(rf'href="(/Admin/Sends/{send_id}/people\?people=\w+)"',
                       second_admin.get(f"/Admin/Sends/{send_id}/approval").text)  # fmt: skip
    assert len(links) == 3
    for link in links:
        assert find_page_problems(second_admin.get(link).text) == []
    assert "Stan Stranger" in second_admin.get(links[2]).text
