"""Request texts as the owner or an administrator, on the page and in the dialog."""

import re

import pytest
from flask import Flask
from sqlalchemy import func, select

from portal.accounts.tables.phone_numbers import PhoneNumber
from portal.consent.rules.consent_state import EventKind
from portal.content import content_blocks
from portal.content.rules import content_block_checks
from portal.core.extensions import db
from portal.core.organisation import ROW_ID, OrganisationProfile
from portal.core.transaction import transaction
from portal.messages.tables.communications import Delivery
from tests.support.html_checks import find_page_problems
from tests.support.web_client import NOW_MS, PUBLIC_URL, WebClient
from tests.web.account.opt_in_helpers import (
    ASK,
    HOUR_MS,
    HTMX,
    LIST,
    MINUTE_MS,
    NUMBER,
    ROW,
    SHOWN,
    account_id,
    current_prompt,
    events,
    get_row,
    profile_path,
    prompt_in,
    receive_start,
    record_enabled,
    record_event,
    record_invitation,
    submit_in_dialog,
    submit_request,
    visible_text,
)

pytestmark = pytest.mark.usefixtures("number_without_history")
SMS_WORDS = re.compile(r"\bSMS\b|\btexts?\b|\btexted\b", re.IGNORECASE)


@pytest.mark.usefixtures("sms_enabled")
def test_owner_requests_texts_without_javascript(web_app: Flask, number_owner: WebClient) -> None:
    page = number_owner.get(ASK).text
    assert find_page_problems(page) == []
    assert "Board of Examples</strong> can text you" in page
    assert SHOWN in page
    assert "checkbox" not in page
    response = submit_request(number_owner)
    assert (response.status_code, response.location) == (303, LIST)
    after = number_owner.get(LIST).text
    assert f"The invitation is on its way to {SHOWN}" in after
    assert "Invitation on its way" in after
    assert find_page_problems(after) == []


@pytest.mark.usefixtures("sms_enabled")
def test_ledger_records_requester_origin_and_prompt(web_app: Flask, number_owner: WebClient) -> None:
    number_owner.post_without_token(
        ASK,
        {"csrf_token": number_owner.csrf_token(), "wording": current_prompt(web_app)},
        User_Agent="Browser " + "x" * 900,
    )
    (event,) = events(web_app)
    with web_app.app_context():
        assert event.account_id == event.actor_id == account_id()
        assert event.text == content_blocks.render_block(content_block_checks.OPT_IN_PROMPT, NUMBER).text
        text = db.session.scalars(select(Delivery)).one()
        assert (text.channel, text.address, text.lane) == ("sms", NUMBER, 0)
    assert (event.content_block, event.content_block_version, event.ip) == (
        content_block_checks.OPT_IN_PROMPT,
        0,
        "127.0.0.1",
    )
    assert event.user_agent == "Browser " + "x" * 292


@pytest.mark.usefixtures("sms_enabled")
def test_dialog_has_the_prompt_and_answers_with_the_status(web_app: Flask, number_owner: WebClient) -> None:
    fragment = number_owner.get(ASK, headers=HTMX)
    assert fragment.text.lstrip().startswith("<article>")
    assert "can text you" in fragment.text
    assert 'id="dialog-heading"' in fragment.text
    assert "HX-Request" in fragment.headers["Vary"]
    response = submit_in_dialog(number_owner, wording=prompt_in(fragment.text))
    assert response.status_code == 200
    assert response.text.lstrip().startswith('<div class="number-status" id="number-1-state"')
    assert "Invitation on its way" in response.text
    assert "HX-Retarget" not in response.headers
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
        assert other_user.post(path, wording="0").status_code == 404
    never = get_row(other_user, f"{LIST}/999")
    assert (get_row(other_user).status_code, get_row(other_user).text) == (404, never.text.replace("999", "1"))
    assert events(web_app) == []


def test_no_requests_are_offered_while_texts_are_off(web_app: Flask, number_owner: WebClient, admin: WebClient) -> None:
    profile = profile_path(web_app)
    for client, base in ((number_owner, LIST), (admin, f"{profile}/numbers")):
        assert client.get(f"{base}/1/EnableTexts").status_code == 404
        assert client.post(f"{base}/1/EnableTexts", wording="0").status_code == 404
        assert client.post(f"{base}/1/confirm").status_code == 404
        assert get_row(client, f"{base}/1").status_code == 200
        assert "hx-trigger" not in get_row(client, f"{base}/1").text
    number_owner.post(LIST, number="(202) 555-0144")
    assert SMS_WORDS.findall(visible_text(number_owner.get(LIST).text)) == []
    assert SMS_WORDS.findall(visible_text(number_owner.get(ROW).text)) == []


@pytest.mark.usefixtures("sms_enabled")
def test_second_invitation_is_refused_with_the_retry_time(web_app: Flask, number_owner: WebClient) -> None:
    record_invitation(web_app, 2 * MINUTE_MS)
    for response in (
        number_owner.get(ASK),
        number_owner.get(ASK, headers=HTMX),
        submit_in_dialog(number_owner, wording=current_prompt(web_app)),
        number_owner.post(ASK, wording=current_prompt(web_app)),
    ):
        assert "This number was invited a moment ago. You can try again in 7 minutes." in visible_text(response.text)
        assert re.search(r'title="[^"]+ E[SD]T">in 7 minutes', response.text), "the absolute time in the reader's zone"
        assert "Send the invitation" not in response.text
    rejected = submit_in_dialog(number_owner, wording=current_prompt(web_app))
    assert rejected.status_code == 422
    assert (rejected.headers["HX-Retarget"], rejected.headers["HX-Reswap"]) == ("#dialog", "innerHTML")
    plain = number_owner.post(ASK, wording=current_prompt(web_app))
    assert plain.status_code == 422
    assert find_page_problems(plain.text) == []
    assert len(events(web_app)) == 1


@pytest.mark.usefixtures("sms_enabled")
def test_account_limit_does_not_bind_administrators(web_app: Flask, number_owner: WebClient, admin: WebClient) -> None:
    with web_app.app_context():
        owner_id = account_id()
    for index in range(10):
        record_event(web_app, EventKind.INVITED, HOUR_MS, account_id=owner_id, number=f"+1202555020{index}")
    assert "many invitations today" in number_owner.post(ASK, wording=current_prompt(web_app)).text
    assert submit_request(admin, f"{profile_path(web_app)}/numbers/1/EnableTexts").status_code == 303


@pytest.mark.usefixtures("sms_enabled")
def test_changed_prompt_must_be_read_again(web_app: Flask, number_owner: WebClient) -> None:
    read = prompt_in(number_owner.get(ASK).text)
    with web_app.app_context():
        content_blocks.save_block(content_block_checks.OPT_IN_PROMPT, "Entirely **new words**.", None, NOW_MS)
    for response in (submit_in_dialog(number_owner, wording=read), number_owner.post(ASK, wording=read)):
        assert response.status_code == 422
        assert "Entirely <strong>new words</strong>." in response.text
        assert "Please read it again" in response.text
    assert events(web_app) == []
    assert number_owner.post(ASK, wording=prompt_in(response.text)).status_code == 303
    assert [(event.text, event.content_block_version) for event in events(web_app)] == [("Entirely **new words**.", 1)]


@pytest.mark.usefixtures("sms_enabled")
def test_prompt_with_another_organisation_must_be_read_again(web_app: Flask, number_owner: WebClient) -> None:
    read = prompt_in(number_owner.get(ASK).text)
    with web_app.app_context(), transaction() as session:
        session.add(OrganisationProfile(id=ROW_ID, name="Renamed Office", changed_at_ms=NOW_MS))
    response = number_owner.post(ASK, wording=read)
    assert (response.status_code, events(web_app)) == (422, [])
    assert "Please read it again" in response.text
    assert "Renamed Office" in response.text
    number_owner.post(ASK, wording=prompt_in(response.text))
    (event,) = events(web_app)
    assert "Renamed Office" in event.text


@pytest.mark.usefixtures("sms_enabled")
@pytest.mark.parametrize("wording", ["", "x", "0", "²", "0\x00x", "9" * 5_000, "0-"])
def test_unknown_wording_shows_the_prompt(number_owner: WebClient, wording: str) -> None:
    response = number_owner.post(ASK, wording=wording)
    assert response.status_code == 422
    assert "can text you" in response.text


@pytest.mark.usefixtures("sms_enabled")
def test_stopped_number_offers_no_button_and_names_start(
    web_app: Flask, number_owner: WebClient, admin: WebClient
) -> None:
    record_enabled(web_app, 3 * HOUR_MS)
    assert re.search(r"Enabled for texts since \S", visible_text(number_owner.get(LIST).text))
    record_event(web_app, EventKind.STOP, 2 * HOUR_MS, text="STOP")
    for page in (number_owner.get(LIST).text, admin.get(profile_path(web_app)).text):
        assert re.search(r"Texts stopped since \S", visible_text(page))
        assert "Only a text with the word START" in page
        assert "START from that phone to (202) 555-0199" in page
        assert "EnableTexts" not in page
        assert find_page_problems(page) == []
    assert "is opted out" in number_owner.get(ASK).text
    rejected = submit_in_dialog(number_owner, wording=current_prompt(web_app))
    assert rejected.status_code == 422
    assert "is opted out" in rejected.text
    assert events(web_app) == []


@pytest.mark.usefixtures("sms_enabled")
@pytest.mark.parametrize("by", ["page", "dialog", "administrator"])
def test_request_at_a_stopped_number_is_answered_by_start(
    web_app: Flask, other_user: WebClient, admin: WebClient, by: str
) -> None:
    """The former owner of the number replied STOP; it belongs to another account now."""
    record_enabled(web_app, 3 * HOUR_MS)
    record_event(web_app, EventKind.STOP, 2 * HOUR_MS, text="STOP")
    other_user.post(LIST, number=NUMBER)
    path = f"{LIST}/2/EnableTexts" if by != "administrator" else f"{profile_path(web_app, 'P-2')}/numbers/2/EnableTexts"
    client = admin if by == "administrator" else other_user
    asked = client.get(path, headers=HTMX if by == "dialog" else {}).text
    assert "Request texts" in asked
    assert "text START from that phone" not in asked, "the request is not recorded yet"
    wording = prompt_in(asked)
    response = submit_in_dialog(client, path, wording) if by == "dialog" else client.post(path, wording=wording)
    assert "text START from that phone to (202) 555-0199." in response.text
    assert ("hx-swap-oob" in response.text) == (by == "dialog")
    assert by == "dialog" or find_page_problems(response.text) == []
    (event,) = events(web_app, EventKind.REQUESTED)
    assert (event.content_block, event.content_block_version, event.ip) == (
        content_block_checks.OPT_IN_PROMPT,
        0,
        "127.0.0.1",
    )
    with web_app.app_context():
        assert event.text == content_blocks.render_block(content_block_checks.OPT_IN_PROMPT, NUMBER).text
        assert event.account_id == account_id("P-2")
        assert event.actor_id == account_id("A-1" if by == "administrator" else "P-2")
    assert "Requested, waiting for START" in other_user.get(LIST).text
    receive_start(web_app)
    assert "Enabled for texts" in other_user.get(LIST).text


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
    number_owner.post(ASK, wording=current_prompt(web_app))
    receive_start(web_app)
    assert "Enabled for texts" in number_owner.get(LIST).text


@pytest.mark.usefixtures("sms_enabled")
def test_request_needs_the_csrf_token_of_the_page(web_app: Flask, number_owner: WebClient) -> None:
    assert number_owner.post_without_token(ASK, {"wording": "0"}).status_code == 400
    assert number_owner.client.post(ASK, data={"wording": "0"}, base_url=PUBLIC_URL).status_code == 400
    assert events(web_app) == []


@pytest.mark.usefixtures("sms_enabled")
def test_unsupported_country_is_refused_before_the_prompt(web_app: Flask, number_owner: WebClient) -> None:
    number_owner.post(LIST, number="+44 7400 123456")
    with web_app.app_context():
        number_id = db.session.scalar(select(func.max(PhoneNumber.id)))
    page = number_owner.get(f"{LIST}/{number_id}/EnableTexts").text
    assert "We can only text numbers in the United States." in page
    assert "Send the invitation" not in page
    assert find_page_problems(page) == []
