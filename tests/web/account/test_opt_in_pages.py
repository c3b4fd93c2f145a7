"""Request texts as the owner or an administrator, on the page and in the dialog."""

import re
import time
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select
from werkzeug.test import TestResponse

from portal.accounts.tables.accounts import Account, find_by_external_id
from portal.accounts.tables.phone_numbers import PhoneNumber, phones_of
from portal.consent import consent_notifications, inbound_processing, recording
from portal.consent.rules.consent_state import EventKind
from portal.consent.tables.ledger import ConsentEvent
from portal.content import content_blocks
from portal.content.message_templates import TemplateDraft, create_template
from portal.content.rules import content_block_checks
from portal.core.extensions import db
from portal.core.transaction import transaction
from portal.messages.tables.communications import Communication, Delivery
from portal.sends.fan_out import fan_out_send
from portal.sends.send_creation import create_send
from portal.settings import app_settings
from tests.support.html_checks import find_page_problems
from tests.support.web_client import NOW_MS, PUBLIC_URL, WebClient

NUMBER, SHOWN = "+12025550142", "(202) 555-0142"
MINUTE_MS, HOUR_MS = 60_000, 3_600_000
LIST = "/MyAccount/PhoneNumbers"
ROW = f"{LIST}/1"
ASK = f"{ROW}/EnableTexts"
HTMX = {"HX-Request": "true"}
SMS_WORDS = re.compile(r"\bSMS\b|\btexts?\b|\btexted\b", re.IGNORECASE)


@pytest.fixture(autouse=True)
def number_without_history(web_app: Flask) -> None:
    """The owner's number has no ledger events yet."""
    with web_app.app_context():
        phone = db.session.scalars(select(PhoneNumber)).one()
        phone.number, phone.receives_sms, phone.receives_sms_since_ms = NUMBER, False, None
        db.session.commit()


def current_ms() -> int:
    return time.time_ns() // 1_000_000


def account_id(external_id: str = "P-1") -> int:
    found = find_by_external_id(external_id)
    assert found
    return found.id


def record_event(app: Flask, kind: EventKind, ago_ms: int = 0, **more: Any) -> int:
    """Record a ledger event for the owner's number, `ago_ms` in the past."""
    with app.app_context(), transaction():
        at_ms = current_ms() - ago_ms
        return recording.record(more.pop("number", NUMBER), kind, "handset", at_ms, at_ms, **more)


def record_invitation(app: Flask, ago_ms: int, state: str = "delivered", whose: str = "P-1") -> None:
    """Record an invitation sent `ago_ms` in the past, with the given delivery state."""
    with app.app_context(), transaction():
        client, at_ms = account_id(whose), current_ms() - ago_ms
        event_id = recording.record(NUMBER, EventKind.INVITED, "portal", at_ms, at_ms, account_id=client)
        consent_notifications.send_invitation(client, NUMBER, event_id, at_ms)
        db.session.scalars(select(Delivery).order_by(Delivery.id.desc())).first().state = state  # type: ignore[union-attr]


def record_enabled(app: Flask, ago_ms: int = 0) -> None:
    with app.app_context():
        client = account_id()
    record_event(app, EventKind.OPT_IN, ago_ms, account_id=client)


def events(app: Flask, kind: EventKind = EventKind.INVITED) -> list[ConsentEvent]:
    with app.app_context():
        return list(db.session.scalars(select(ConsentEvent).where(ConsentEvent.kind == kind)))


def prompt_version_in(page: str) -> str:
    found = re.search(r'name="version" value="(\d+)"', page)
    assert found
    return found.group(1)


def submit_request(client: WebClient, path: str = ASK, **fields: str) -> TestResponse:
    """Submit the form of the plain page."""
    return client.post(path, **{"version": prompt_version_in(client.get(path).text), **fields})


def submit_in_dialog(client: WebClient, path: str = ASK, version: str = "0") -> TestResponse:
    return client.post_without_token(path, {"csrf_token": client.csrf_token(), "version": version}, HX_Request="true")


def get_row(client: WebClient, path: str = ROW, seen: str = "") -> TestResponse:
    return client.get(f"{path}?seen={seen}", headers=HTMX)


def switch_texts(app: Flask, on: bool) -> None:
    with app.app_context():
        app_settings.set_setting("EnableSmsNotifications", str(on).lower(), None, NOW_MS)


def profile_path(app: Flask, external_id: str = "P-1") -> str:
    with app.app_context():
        return f"/Admin/Accounts/{account_id(external_id)}"


def visible_text(page: str) -> str:
    """The page without its markup."""
    return " ".join(re.sub(r"<[^>]*>", " ", re.sub(r"</?(span|time|strong)\b[^>]*>", "", page)).split())


@pytest.mark.usefixtures("sms_enabled")
def test_owner_requests_texts_without_javascript(web_app: Flask, number_owner: WebClient) -> None:
    page = number_owner.get(ASK).text
    assert find_page_problems(page) == []
    assert "Board of Examples</strong> can text you" in page
    assert SHOWN in page
    assert "checkbox" not in page
    answer = submit_request(number_owner)
    assert (answer.status_code, answer.location) == (303, LIST)
    after = number_owner.get(LIST).text
    assert f"The invitation is on its way to {SHOWN}" in after
    assert "Invitation on its way" in after
    assert find_page_problems(after) == []


@pytest.mark.usefixtures("sms_enabled")
def test_ledger_records_requester_origin_and_prompt(web_app: Flask, number_owner: WebClient) -> None:
    number_owner.post_without_token(
        ASK, {"csrf_token": number_owner.csrf_token(), "version": "0"}, User_Agent="Browser " + "x" * 900
    )
    (event,) = events(web_app)
    with web_app.app_context():
        assert event.account_id == event.actor_id == account_id()
        assert event.text == content_blocks.render_block(content_block_checks.OPT_IN_PROMPT, NUMBER).text
        text = db.session.scalars(select(Delivery)).one()
        assert (text.channel, text.address, text.lane) == ("sms", NUMBER, 0)
    assert (event.wording, event.wording_version, event.ip) == (content_block_checks.OPT_IN_PROMPT, 0, "127.0.0.1")
    assert event.user_agent == "Browser " + "x" * 292


@pytest.mark.usefixtures("sms_enabled")
def test_dialog_has_the_prompt_and_answers_with_the_status(web_app: Flask, number_owner: WebClient) -> None:
    fragment = number_owner.get(ASK, headers=HTMX)
    assert fragment.text.lstrip().startswith("<article>")
    assert "can text you" in fragment.text
    assert 'id="dialog-heading"' in fragment.text
    assert "HX-Request" in fragment.headers["Vary"]
    answer = submit_in_dialog(number_owner, version=prompt_version_in(fragment.text))
    assert answer.status_code == 200
    assert answer.text.lstrip().startswith('<div class="number-status" id="number-1-state"')
    assert "Invitation on its way" in answer.text
    assert "HX-Retarget" not in answer.headers
    assert len(events(web_app)) == 1


@pytest.mark.usefixtures("sms_enabled")
def test_administrators_request_names_both_people(web_app: Flask, admin: WebClient) -> None:
    home = profile_path(web_app)
    path = f"{home}/numbers/1/EnableTexts"
    page = admin.get(path).text
    assert find_page_problems(page) == []
    assert "You are acting for Olive Owner, P-1" in visible_text(page)
    assert "only if they have asked for texts" in visible_text(page)
    assert submit_request(admin, path).location == home
    (event,) = events(web_app)
    with web_app.app_context():
        assert (event.account_id, event.actor_id) == (account_id("P-1"), account_id("A-1"))
    assert "Invitation on its way" in admin.get(home).text
    assert find_page_problems(admin.get(f"{home}/numbers/1").text) == []


@pytest.mark.usefixtures("sms_enabled")
def test_other_accounts_number_is_404_like_an_unknown_one(
    web_app: Flask, other_user: WebClient, admin: WebClient
) -> None:
    profile, other = profile_path(web_app), profile_path(web_app, "P-2")
    other_user.post(LIST, number="(202) 555-0150")
    for client, paths in (
        (other_user, [ROW, ASK, f"{profile}/numbers/1", f"{profile}/numbers/1/EnableTexts"]),
        (admin, [ROW, ASK, f"{other}/numbers/1", f"{other}/numbers/1/EnableTexts", "/Admin/Accounts/999/numbers/1"]),
    ):
        assert {path: client.get(path).status_code for path in paths} == dict.fromkeys(paths, 404)
    for path in (ASK, f"{ROW}/confirm", f"{profile}/numbers/1/EnableTexts", f"{profile}/numbers/1/confirm"):
        assert other_user.post(path, version="0").status_code == 404
    never = get_row(other_user, f"{LIST}/999")
    assert (get_row(other_user).status_code, get_row(other_user).text) == (404, never.text.replace("999", "1"))
    assert events(web_app) == []


def test_no_requests_are_offered_while_texts_are_off(web_app: Flask, number_owner: WebClient, admin: WebClient) -> None:
    profile = profile_path(web_app)
    for client, base in ((number_owner, LIST), (admin, f"{profile}/numbers")):
        assert client.get(f"{base}/1/EnableTexts").status_code == 404
        assert client.post(f"{base}/1/EnableTexts", version="0").status_code == 404
        assert client.post(f"{base}/1/confirm").status_code == 404
        assert get_row(client, f"{base}/1").status_code == 200
        assert "hx-trigger" not in get_row(client, f"{base}/1").text
    number_owner.post(LIST, number="(202) 555-0144")
    assert SMS_WORDS.findall(visible_text(number_owner.get(LIST).text)) == []
    assert SMS_WORDS.findall(visible_text(number_owner.get(ROW).text)) == []


@pytest.mark.usefixtures("sms_enabled")
def test_second_invitation_is_refused_with_the_retry_time(web_app: Flask, number_owner: WebClient) -> None:
    record_invitation(web_app, 2 * MINUTE_MS)
    for answer in (
        number_owner.get(ASK),
        number_owner.get(ASK, headers=HTMX),
        submit_in_dialog(number_owner),
        number_owner.post(ASK, version="0"),
    ):
        assert "This number was invited a moment ago. You can try again in 7 minutes." in visible_text(answer.text)
        assert re.search(r'title="[^"]+ E[SD]T">in 7 minutes', answer.text), "the absolute time in the reader's zone"
        assert "Send the invitation" not in answer.text
    refused = submit_in_dialog(number_owner)
    assert refused.status_code == 422
    assert (refused.headers["HX-Retarget"], refused.headers["HX-Reswap"]) == ("#dialog", "innerHTML")
    plain = number_owner.post(ASK, version="0")
    assert plain.status_code == 422
    assert find_page_problems(plain.text) == []
    assert len(events(web_app)) == 1


@pytest.mark.usefixtures("sms_enabled")
def test_account_limit_does_not_bind_administrators(web_app: Flask, number_owner: WebClient, admin: WebClient) -> None:
    with web_app.app_context():
        client = account_id()
    for place in range(10):
        record_event(web_app, EventKind.INVITED, HOUR_MS, account_id=client, number=f"+1202555020{place}")
    assert "many invitations today" in number_owner.post(ASK, version="0").text
    assert submit_request(admin, f"{profile_path(web_app)}/numbers/1/EnableTexts").status_code == 303


@pytest.mark.usefixtures("sms_enabled")
def test_changed_prompt_must_be_read_again(web_app: Flask, number_owner: WebClient) -> None:
    read = prompt_version_in(number_owner.get(ASK).text)
    with web_app.app_context():
        content_blocks.save_block(content_block_checks.OPT_IN_PROMPT, "Entirely **new words**.", None, NOW_MS)
    for again in (submit_in_dialog(number_owner, version=read), number_owner.post(ASK, version=read)):
        assert again.status_code == 422
        assert "Entirely <strong>new words</strong>." in again.text
        assert "Please read it again" in again.text
    assert events(web_app) == []
    assert number_owner.post(ASK, version=prompt_version_in(again.text)).status_code == 303
    assert [(event.text, event.wording_version) for event in events(web_app)] == [("Entirely **new words**.", 1)]


@pytest.mark.usefixtures("sms_enabled")
@pytest.mark.parametrize("version", ["", "x", "-1", "²", "0\x00x", "9" * 5_000, "0.0"])
def test_missing_prompt_version_shows_the_prompt(number_owner: WebClient, version: str) -> None:
    answer = number_owner.post(ASK, version=version)
    assert answer.status_code == 422
    assert "can text you" in answer.text


@pytest.mark.usefixtures("sms_enabled")
def test_stopped_number_offers_no_button_and_names_start(
    web_app: Flask, number_owner: WebClient, admin: WebClient
) -> None:
    record_enabled(web_app, 3 * HOUR_MS)
    assert re.search(r"Enabled for texts since \S", visible_text(number_owner.get(LIST).text))
    record_event(web_app, EventKind.STOP, 2 * HOUR_MS, text="STOP")
    for page in (number_owner.get(LIST).text, admin.get(profile_path(web_app)).text):
        assert re.search(r"Stopped by its owner since \S", visible_text(page))
        assert "No button here can undo that" in page
        assert "START from that phone to (202) 555-0199" in page
        assert "EnableTexts" not in page
        assert find_page_problems(page) == []
    assert "replied STOP" in number_owner.get(ASK).text
    refused = submit_in_dialog(number_owner)
    assert refused.status_code == 422
    assert "replied STOP" in refused.text
    assert events(web_app) == []


@pytest.mark.usefixtures("sms_enabled")
@pytest.mark.parametrize("by", ["page", "dialog", "administrator"])
def test_request_at_a_stopped_number_is_answered_by_start(
    web_app: Flask, other_user: WebClient, admin: WebClient, by: str
) -> None:
    """The former owner of the number expected STOP; it is the stranger's now."""
    record_enabled(web_app, 3 * HOUR_MS)
    record_event(web_app, EventKind.STOP, 2 * HOUR_MS, text="STOP")
    other_user.post(LIST, number=NUMBER)
    path = f"{LIST}/2/EnableTexts" if by != "administrator" else f"{profile_path(web_app, 'P-2')}/numbers/2/EnableTexts"
    client = admin if by == "administrator" else other_user
    asked = client.get(path, headers=HTMX if by == "dialog" else {}).text
    assert "Request texts" in asked
    assert "text START from that phone" not in asked, "the request is not recorded yet"
    version = prompt_version_in(asked)
    answer = submit_in_dialog(client, path, version) if by == "dialog" else client.post(path, version=version)
    assert "text START from that phone to (202) 555-0199." in answer.text
    assert ("hx-swap-oob" in answer.text) == (by == "dialog")
    assert by == "dialog" or find_page_problems(answer.text) == []
    (event,) = events(web_app, EventKind.REQUESTED)
    assert (event.wording, event.wording_version, event.ip) == (
        content_block_checks.OPT_IN_PROMPT,
        int(version),
        "127.0.0.1",
    )
    with web_app.app_context():
        assert event.text == content_blocks.render_block(content_block_checks.OPT_IN_PROMPT, NUMBER).text
        assert event.account_id == account_id("P-2")
        assert event.actor_id == account_id("A-1" if by == "administrator" else "P-2")
    assert "Asked for, waiting for START" in other_user.get(LIST).text
    receive_start(web_app)
    assert "Enabled for texts" in other_user.get(LIST).text


def receive_start(app: Flask) -> None:
    with app.app_context():
        form = {"MessageSid": f"SM{time.time_ns()}", "From": NUMBER, "To": "+12025550199", "Body": "START"}
        inbound_processing.receive_inbound(form, current_ms() + 10 * MINUTE_MS)


@pytest.mark.usefixtures("sms_enabled")
def test_former_account_may_request_after_reassignment(
    web_app: Flask, number_owner: WebClient, other_user: WebClient
) -> None:
    record_enabled(web_app, 3 * HOUR_MS)
    record_event(web_app, EventKind.STOP, 2 * HOUR_MS, text="STOP")
    assert "Request texts…" not in number_owner.get(LIST).text
    other_user.post(LIST, number=NUMBER)
    page = number_owner.get(LIST).text
    assert "Request texts…" in page
    assert "Stan" not in page
    assert "Stopped" not in other_user.get(LIST).text
    number_owner.post(ASK, version="0")
    receive_start(web_app)
    assert "Enabled for texts" in number_owner.get(LIST).text


@pytest.mark.usefixtures("sms_enabled")
@pytest.mark.parametrize(
    ("email", "viewer", "expected"),
    [
        ("p-2@example.org", "other_user", "If another account gets them now, START moves them to this one."),
        ("OWNER@example.org", "other_user", "START moves them from Olive Owner, P-1, which"),
        ("p-2@example.org", "admin", "START moves them from Olive Owner, P-1, which"),
    ],
)
def test_displaced_account_is_named_to_those_allowed_only(
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
    assert "It would wait for a decision" in admin.get(f"/Admin/Consent/Numbers/{NUMBER}").text
    receive_start(web_app)
    assert "Waits for a decision" in number_owner.get(LIST).text
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
    assert "No number on the account is enabled for texts." in other_user.get(pages["P-2"]).text
    assert ("replied STOP" in number_owner.get(pages["P-1"]).text) == stopped


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
    assert "The number gets its texts for another account." in number_owner.get(page).text


@pytest.mark.usefixtures("sms_enabled")
def test_stop_after_an_invitation_is_shown_to_its_account_only(
    web_app: Flask, number_owner: WebClient, other_user: WebClient
) -> None:
    other_user.post(LIST, number=NUMBER)
    record_invitation(web_app, 20 * MINUTE_MS)
    record_event(web_app, EventKind.STOP, 10 * MINUTE_MS, text="STOP")
    assert "Stopped by its owner" in number_owner.get(LIST).text
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
    assert "Texts go to this number again" in number_owner.get(LIST).text
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
    seen = re.search(r"seen=(\w+)", sent)
    assert seen
    assert (get_row(number_owner, seen=seen.group(1)).status_code, get_row(number_owner, seen=seen.group(1)).text) == (
        204,
        "",
    )
    with web_app.app_context():
        client = account_id()
    record_event(web_app, EventKind.START, text="START", account_id=client)
    answered = get_row(number_owner, seen=seen.group(1)).text
    assert "Enabled for texts" in answered
    assert "hx-trigger" not in answered


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
    assert "No button here can do that for you." in number_owner.get(LIST).text
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
        client = account_id()
        with transaction():
            consent_notifications.send_invitation(client, NUMBER, 1, current_ms())
            consent_notifications.send_welcome(client, NUMBER, 2, current_ms())
            consent_notifications.notify_displaced(client, NUMBER, 3, current_ms())
            consent_notifications.request_number_confirmation(client, NUMBER, 4, current_ms())
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
        assert re.search(r'data-label="Email">\s*<span class="muted">No email', invitation)
        assert re.search(r'data-label="Text">\s*<span class="tag"', invitation)


def test_consent_notifications_are_hidden_while_texts_are_off(
    web_app: Flask, number_owner: WebClient, admin: WebClient, consent_communications: dict[str, int]
) -> None:
    switch_texts(web_app, on=False)
    assert SHOWN not in number_owner.get("/MyAccount/CommunicationsHistory").text
    assert SHOWN not in admin.get("/Admin/Communications").text
    assert "Invitation" not in admin.get(profile_path(web_app)).text


@pytest.mark.usefixtures("sms_enabled")
def test_request_needs_the_csrf_token_of_the_page(web_app: Flask, number_owner: WebClient) -> None:
    assert number_owner.post_without_token(ASK, {"version": "0"}).status_code == 400
    assert number_owner.client.post(ASK, data={"version": "0"}, base_url=PUBLIC_URL).status_code == 400
    assert events(web_app) == []


@pytest.mark.usefixtures("sms_enabled")
def test_unsupported_country_is_refused_before_the_prompt(web_app: Flask, number_owner: WebClient) -> None:
    number_owner.post(LIST, number="+44 7400 123456")
    with web_app.app_context():
        number_id = db.session.scalar(select(func.max(PhoneNumber.id)))
    page = number_owner.get(f"{LIST}/{number_id}/EnableTexts").text
    assert "Texts go to numbers in the United States only" in page
    assert "Send the invitation" not in page
    assert find_page_problems(page) == []
