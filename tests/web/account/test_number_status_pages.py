"""The status of a phone number, its polling, and the communications that follow from consent."""

import re

import pytest
from flask import Flask
from sqlalchemy import select

from portal.accounts.tables.accounts import Account, find_by_external_id
from portal.accounts.tables.phone_numbers import phones_of
from portal.consent import consent_notifications
from portal.consent.rules.consent_state import EventKind
from portal.content import content_blocks
from portal.content.message_templates import TemplateDraft, create_template
from portal.content.rules import content_block_checks
from portal.core.extensions import db
from portal.core.rules.routing import TextKind
from portal.core.transaction import transaction
from portal.messages.tables.communications import Communication, Delivery
from portal.sends.fan_out import fan_out_send
from portal.sends.send_creation import create_send
from tests.support.html_checks import find_page_problems
from tests.support.web_client import NOW_MS, WebClient
from tests.web.account.opt_in_helpers import (
    ASK,
    HOUR_MS,
    LIST,
    MINUTE_MS,
    NUMBER,
    ROW,
    SHOWN,
    account_id,
    current_ms,
    events,
    fingerprint_in,
    get_row,
    profile_path,
    receive_start,
    record_enabled,
    record_event,
    record_invitation,
    recorded_statements,
    submit_in_dialog,
    submit_request,
    switch_texts,
    visible_text,
)

pytestmark = pytest.mark.usefixtures("number_without_history")


@pytest.mark.usefixtures("sms_enabled")
@pytest.mark.parametrize(
    ("email", "viewer", "expected"),
    [
        ("p-2@example.org", "other_user", "If another account gets them now, START moves them to this one."),
        ("OWNER@example.org", "other_user", "START moves them from Olive Owner, P-1, which"),
        ("p-2@example.org", "admin", "START moves them from Olive Owner, P-1, which"),
    ],
)
def test_displaced_account_is_named_only_to_those_allowed(
    web_app: Flask, other_user: WebClient, admin: WebClient, email: str, viewer: str, expected: str
) -> None:
    record_enabled(web_app, HOUR_MS)
    other_user.post(LIST, number=NUMBER)
    with web_app.app_context(), transaction():
        find_by_external_id("P-1").email = "owner@example.org"  # type: ignore[union-attr]
        find_by_external_id("P-2").email = email  # type: ignore[union-attr]
    profile = f"{profile_path(web_app, 'P-2')}/numbers/2/EnableTexts"
    page = other_user.get(f"{LIST}/2/EnableTexts").text if viewer == "other_user" else admin.get(profile).text
    assert expected in visible_text(page)
    assert ("Olive" in page) == ("Olive" in expected)


@pytest.mark.usefixtures("sms_enabled")
def test_undecided_start_is_shown_to_the_former_recipient_only(
    web_app: Flask, number_owner: WebClient, other_user: WebClient, admin: WebClient
) -> None:
    record_enabled(web_app, 3 * HOUR_MS)
    record_event(web_app, EventKind.STOP, 2 * HOUR_MS, text="STOP")
    other_user.post(LIST, number=NUMBER)
    assert "An administrator would then decide" in admin.get(f"/Admin/Consent/Numbers/{NUMBER}").text
    receive_start(web_app)
    assert "Waiting for a decision" in number_owner.get(LIST).text
    assert "Not enabled for texts" in other_user.get(LIST).text
    assert "decision" not in other_user.get(LIST).text


@pytest.mark.usefixtures("sms_enabled")
@pytest.mark.parametrize("stopped", [False, True])
@pytest.mark.parametrize("removed", [False, True])
def test_history_shows_phone_events_to_former_recipients_only(
    web_app: Flask, number_owner: WebClient, other_user: WebClient, stopped: bool, removed: bool
) -> None:
    record_enabled(web_app, 3 * HOUR_MS)
    other_user.post(LIST, number=NUMBER)
    with web_app.app_context():
        (added,) = [phone.id for phone in phones_of(account_id("P-2"))]
    if stopped:
        record_event(web_app, EventKind.STOP, 2 * HOUR_MS, text="STOP")
    pages = sms_statuses_in_history(web_app)
    if removed:
        other_user.post(f"{LIST}/{added}/remove")
    assert "No phone number of yours was enabled for texts." in other_user.get(pages["P-2"]).text
    assert ("phone were stopped" in number_owner.get(pages["P-1"]).text) == stopped


def sms_statuses_in_history(app: Flask) -> dict[str, str]:
    """Send a notification to everybody; the path of each copy by account number."""
    with app.app_context():
        create_template(TemplateDraft("notice", "Notice", "Notice", "Hello.", False, True), None, current_ms())
        fan_out_send(create_send("notice", {"all": True}, {}, None, current_ms()), current_ms)
        query = select(Account.external_id, Communication.id).join(Communication.account)
        found = db.session.execute(query.where(Communication.send_id.is_not(None)))
        return {external_id: f"/MyAccount/CommunicationsHistory/{at}" for external_id, at in found}


@pytest.mark.usefixtures("sms_enabled")
def test_displaced_account_is_notified(web_app: Flask, number_owner: WebClient, other_user: WebClient) -> None:
    record_enabled(web_app, 3 * HOUR_MS)
    other_user.post(LIST, number=NUMBER)
    with web_app.app_context():
        other = account_id("P-2")
    record_event(web_app, EventKind.MOVED, HOUR_MS, account_id=other)
    assert "START moves them from another account, which" in visible_text(number_owner.get(ASK).text)
    page = sms_statuses_in_history(web_app)["P-1"]
    assert "Texts to your phone number go to another account." in number_owner.get(page).text


@pytest.mark.usefixtures("sms_enabled")
def test_stop_after_an_invitation_is_shown_to_its_account_only(
    web_app: Flask, number_owner: WebClient, other_user: WebClient
) -> None:
    other_user.post(LIST, number=NUMBER)
    record_invitation(web_app, 20 * MINUTE_MS)
    record_event(web_app, EventKind.STOP, 10 * MINUTE_MS, text="STOP")
    assert "Texts stopped" in number_owner.get(LIST).text
    assert "Not enabled for texts" in other_user.get(LIST).text
    assert "Stopped" not in other_user.get(LIST).text


@pytest.mark.usefixtures("sms_enabled")
def test_unreachable_number_is_confirmed_once(web_app: Flask, number_owner: WebClient) -> None:
    record_enabled(web_app, 3 * HOUR_MS)
    record_event(web_app, EventKind.UNREACHABLE, 2 * HOUR_MS, detail={"code": "30005"})
    page = number_owner.get(LIST).text
    assert re.search(r"Cannot receive texts since \S", visible_text(page))
    assert find_page_problems(page) == []
    assert "Confirm it first" in number_owner.get(ASK).text
    for _ in range(2):
        assert number_owner.post(f"{ROW}/confirm").status_code == 303
    assert "This number is marked as correct" in number_owner.get(LIST).text
    assert "Enabled for texts" in number_owner.get(LIST).text
    assert len(events(web_app, EventKind.CONFIRMED)) == 1


@pytest.mark.usefixtures("sms_enabled")
def test_new_account_of_an_unreachable_number_can_confirm_it(web_app: Flask, other_user: WebClient) -> None:
    record_event(web_app, EventKind.UNREACHABLE, HOUR_MS, detail={"code": "30005"})
    other_user.post(LIST, number=NUMBER)
    path = re.findall(rf"{LIST}/\d+/confirm", other_user.get(LIST).text)[0]
    assert other_user.post(path).status_code == 303
    assert "Enable texts…" in other_user.get(LIST).text


@pytest.mark.usefixtures("sms_enabled")
def test_row_polls_until_answered_and_gets_changes_only(web_app: Flask, number_owner: WebClient) -> None:
    record_invitation(web_app, 5_000, "ready")
    assert "Invitation on its way" in number_owner.get(LIST).text
    with web_app.app_context(), transaction():
        db.session.scalars(select(Delivery)).one().state = "delivered"
    sent = get_row(number_owner).text
    assert "Invitation sent, waiting for START" in sent
    assert 'hx-trigger="every 2s"' in sent
    fingerprint = fingerprint_in(sent)
    unchanged = get_row(number_owner, seen=fingerprint)
    assert (unchanged.status_code, unchanged.text) == (204, "")
    with web_app.app_context():
        owner_id = account_id()
    record_event(web_app, EventKind.START, text="START", account_id=owner_id)
    response_text = get_row(number_owner, seen=fingerprint).text
    assert "Enabled for texts" in response_text
    assert 'hx-trigger="every 5s"' in response_text


@pytest.mark.usefixtures("sms_enabled")
@pytest.mark.parametrize(
    ("first", "then", "label"),
    [
        (EventKind.START, EventKind.STOP, "Texts stopped"),
        (EventKind.STOP, EventKind.START, "Enabled for texts"),
    ],
)
def test_open_page_follows_stop_and_start(
    web_app: Flask, number_owner: WebClient, first: EventKind, then: EventKind, label: str
) -> None:
    with web_app.app_context():
        owner_id = account_id()
    record_enabled(web_app, 2 * HOUR_MS)
    record_event(web_app, first, HOUR_MS, account_id=owner_id)
    fingerprint = fingerprint_in(get_row(number_owner).text)
    assert get_row(number_owner, seen=fingerprint).status_code == 204
    record_event(web_app, then, account_id=owner_id)
    assert label in get_row(number_owner, seen=fingerprint).text


@pytest.mark.usefixtures("sms_enabled")
def test_another_account_cannot_ask_whether_the_phone_replied_stop(
    web_app: Flask, number_owner: WebClient, other_user: WebClient
) -> None:
    """The owner may know, though the phone never agreed to texts: an import has evidence of an opt-in."""
    with web_app.app_context():
        owner_id = account_id()
    record_event(web_app, EventKind.EVIDENCE, 2 * HOUR_MS, account_id=owner_id)
    record_event(web_app, EventKind.STOP, HOUR_MS, text="STOP")
    other_user.post(LIST, number=NUMBER)
    seen = fingerprint_in(get_row(number_owner).text)
    assert get_row(number_owner, seen=seen).status_code == 204
    response = get_row(other_user, f"{LIST}/2", seen=seen)
    assert (response.status_code, "Not enabled for texts" in response.text) == (200, True)


@pytest.mark.usefixtures("sms_enabled")
def test_open_page_follows_the_request_of_another_account(
    web_app: Flask, number_owner: WebClient, other_user: WebClient
) -> None:
    record_enabled(web_app, 3 * HOUR_MS)
    record_event(web_app, EventKind.STOP, 2 * HOUR_MS, text="STOP")
    other_user.post(LIST, number=NUMBER)
    fingerprint = fingerprint_in(get_row(number_owner).text)
    with web_app.app_context():
        other_id = account_id("P-2")
    record_event(web_app, EventKind.REQUESTED, account_id=other_id)
    response = get_row(number_owner, seen=fingerprint)
    assert "START counts for the account that asked for texts last" in response.text


@pytest.mark.usefixtures("sms_enabled")
def test_open_page_follows_texts_being_switched_off(web_app: Flask, number_owner: WebClient) -> None:
    record_enabled(web_app)
    fingerprint = fingerprint_in(get_row(number_owner).text)
    switch_texts(web_app, on=False)
    response = get_row(number_owner, seen=fingerprint)
    assert response.status_code == 200
    assert "hx-trigger" not in response.text


@pytest.mark.usefixtures("sms_enabled")
def test_unchanged_answer_is_cheap(web_app: Flask, number_owner: WebClient) -> None:
    record_enabled(web_app)
    fingerprint = fingerprint_in(get_row(number_owner).text)
    with recorded_statements() as statements:
        response = get_row(number_owner, seen=fingerprint)
    assert (response.status_code, response.text) == (204, "")
    assert len(statements) <= 4, statements


@pytest.mark.usefixtures("sms_enabled")
def test_polling_does_not_extend_the_session(web_app: Flask, number_owner: WebClient) -> None:
    record_enabled(web_app)
    fingerprint = fingerprint_in(get_row(number_owner).text)
    for seen in (fingerprint, "another"):
        assert "Set-Cookie" not in get_row(number_owner, seen=seen).headers


@pytest.mark.usefixtures("sms_enabled")
@pytest.mark.parametrize(("ago_ms", "every"), [(5_000, 2), (2 * MINUTE_MS, 5), (30 * MINUTE_MS, 15)])
def test_row_polls_less_often_over_time(web_app: Flask, number_owner: WebClient, ago_ms: int, every: int) -> None:
    record_invitation(web_app, ago_ms)
    assert f'hx-trigger="every {every}s"' in get_row(number_owner).text


@pytest.mark.usefixtures("sms_enabled")
@pytest.mark.parametrize("state", ["delivered", "ready"])
def test_row_stops_polling_after_an_hour(web_app: Flask, number_owner: WebClient, state: str) -> None:
    record_invitation(web_app, HOUR_MS + MINUTE_MS, state)
    assert "hx-trigger" not in get_row(number_owner).text
    assert "Invitation" in get_row(number_owner).text


@pytest.mark.usefixtures("sms_enabled")
def test_undelivered_invitation_is_shown_and_can_be_resent(web_app: Flask, number_owner: WebClient) -> None:
    record_invitation(web_app, 20 * MINUTE_MS, "undelivered")
    page = number_owner.get(LIST).text
    assert "Invitation not delivered" in page
    assert "Send the invitation again…" in page
    assert submit_request(number_owner).status_code == 303


@pytest.mark.usefixtures("sms_enabled")
def test_row_of_a_removed_number_stops_polling(number_owner: WebClient) -> None:
    number_owner.post(f"{ROW}/remove")
    gone = get_row(number_owner)
    assert gone.status_code == 404
    assert "no longer on the account" in gone.text
    assert "hx-trigger" not in gone.text
    assert "HX-Retarget" not in gone.headers
    assert submit_in_dialog(number_owner).status_code == 404


@pytest.mark.usefixtures("sms_enabled")
def test_number_has_its_own_page(number_owner: WebClient) -> None:
    page = number_owner.get(ROW).text
    assert find_page_problems(page) == []
    assert f"<h1>{SHOWN}</h1>" in page
    assert "Stopping texts and getting help" in page


@pytest.mark.usefixtures("sms_enabled")
def test_page_shows_the_stop_and_help_block(web_app: Flask, number_owner: WebClient, other_user: WebClient) -> None:
    assert "You cannot do this on this page." in number_owner.get(LIST).text
    with web_app.app_context():
        content_blocks.save_block(content_block_checks.STOP_HELP_INFO, "Say **STOP** and it stops.", None, NOW_MS)
    assert "Say <strong>STOP</strong> and it stops." in other_user.get(LIST).text


@pytest.mark.usefixtures("sms_enabled")
def test_added_number_message_says_how_to_enable_texts(
    web_app: Flask, number_owner: WebClient, admin: WebClient
) -> None:
    number_owner.post(LIST, number="(202) 555-0144")
    assert "choose “Enable texts…” next to it" in number_owner.get(LIST).text
    home = profile_path(web_app, "P-2")
    admin.post(f"{home}/numbers", number="(202) 555-0143")
    assert "choose “Enable texts…” next to it" in admin.get(home).text


@pytest.fixture
def consent_communications(web_app: Flask, sms_enabled: None) -> dict[str, int]:
    """One consent communication of each kind, all to the owner: ids by kind."""
    with web_app.app_context():
        owner_id = account_id()
        with transaction():
            consent_notifications.send_text(TextKind.INVITATION, owner_id, NUMBER, 1, current_ms())
            consent_notifications.send_text(TextKind.WELCOME, owner_id, NUMBER, 2, current_ms())
            consent_notifications.send_email("displaced", owner_id, NUMBER, 3, current_ms())
            consent_notifications.send_email("number_check", owner_id, NUMBER, 4, current_ms())
        return {kind: found for kind, found in db.session.execute(select(Communication.kind, Communication.id))}


def test_consent_notifications_read_well_in_the_history(
    number_owner: WebClient, consent_communications: dict[str, int]
) -> None:
    listing = number_owner.get("/MyAccount/CommunicationsHistory").text
    assert f"Invitation to get texts at {SHOWN}" in listing
    assert f"Texts to {SHOWN} now go to another account" in listing
    for kind, channel in (
        ("invitation", "text"),
        ("welcome", "text"),
        ("displaced", "email"),
        ("number_check", "email"),
    ):
        page = number_owner.get(f"/MyAccount/CommunicationsHistory/{consent_communications[kind]}").text
        assert find_page_problems(page) == []
        assert re.findall(r"<dt>By (\w+)</dt>", page) == [channel]


def test_administrators_see_an_email_only_where_there_was_one(
    web_app: Flask, admin: WebClient, consent_communications: dict[str, int]
) -> None:
    for kind, has_mail in (("invitation", False), ("welcome", False), ("displaced", True), ("number_check", True)):
        page = admin.get(f"/Admin/Communications/{consent_communications[kind]}").text
        assert find_page_problems(page) == []
        assert ("<iframe" in page) is has_mail
    for path in ("/Admin/Communications", profile_path(web_app)):
        page = admin.get(path).text
        invitation = next(line for line in page.split("<tr>") if "Invitation to get texts" in line)
        assert re.search(r'data-label="Email">\s*<span class="muted">Text only', invitation)
        assert re.search(r'data-label="Text">\s*<span class="tag"', invitation)


def test_consent_notifications_are_hidden_while_texts_are_off(
    web_app: Flask, number_owner: WebClient, admin: WebClient, consent_communications: dict[str, int]
) -> None:
    switch_texts(web_app, on=False)
    assert SHOWN not in number_owner.get("/MyAccount/CommunicationsHistory").text
    assert SHOWN not in admin.get("/Admin/Communications").text
    assert "Invitation" not in admin.get(profile_path(web_app)).text
