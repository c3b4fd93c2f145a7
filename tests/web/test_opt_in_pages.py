"""Asking for texts: by its owner, by an administrator, never by a stranger; as a plain page and in the dialog."""

import re
import time
from typing import Any

import pytest
from flask import Flask
from linting import problems_of
from sqlalchemy import func, select
from web_people import NOW, PUBLIC_URL, Visitor
from werkzeug.test import TestResponse

from portal.actions import consent, content, follow_up, inbound
from portal.actions import settings as app_settings
from portal.actions.expansion import expand_send
from portal.actions.sends import create_send
from portal.actions.templates import TemplateDraft, create_template
from portal.actions.transaction import transaction
from portal.domain import wording
from portal.domain.consent import Kind
from portal.extensions import db
from portal.models.account import Account, by_external_id
from portal.models.communication import Communication, Delivery
from portal.models.consent import ConsentEvent
from portal.models.phone import PhoneNumber, numbers_of

NUMBER, SHOWN = "+12025550142", "(202) 555-0142"
MINUTE_MS, HOUR_MS = 60_000, 3_600_000
LIST = "/MyAccount/PhoneNumbers"
ROW = f"{LIST}/1"
ASK = f"{ROW}/EnableTexts"
HTMX = {"HX-Request": "true"}
SMS_WORDS = re.compile(r"\bSMS\b|\btexts?\b|\btexted\b", re.IGNORECASE)


@pytest.fixture(autouse=True)
def a_number_nobody_was_asked_about(web_app: Flask) -> None:
    """The owner's, with nothing in the ledger yet."""
    with web_app.app_context():
        phone = db.session.scalars(select(PhoneNumber)).one()
        phone.number, phone.holds_sms, phone.holds_sms_since_ms = NUMBER, False, None
        db.session.commit()


def now() -> int:
    return time.time_ns() // 1_000_000


def account_id(external_id: str = "P-1") -> int:
    found = by_external_id(external_id)
    assert found
    return found.id


def note(app: Flask, kind: Kind, ago_ms: int = 0, **more: Any) -> int:
    """An event of the ledger for the owner's number, so long ago."""
    with app.app_context(), transaction():
        at_ms = now() - ago_ms
        return consent.note(more.pop("number", NUMBER), kind, "handset", at_ms, at_ms, **more)


def invited(app: Flask, ago_ms: int, state: str = "delivered", whose: str = "P-1") -> None:
    """An invitation that left so long ago, and what became of its text."""
    with app.app_context(), transaction():
        who, at_ms = account_id(whose), now() - ago_ms
        event_id = consent.note(NUMBER, Kind.INVITED, "portal", at_ms, at_ms, account_id=who)
        follow_up.invite(who, NUMBER, event_id, at_ms)
        db.session.scalars(select(Delivery).order_by(Delivery.id.desc())).first().state = state  # type: ignore[union-attr]


def enabled(app: Flask, ago_ms: int = 0) -> None:
    with app.app_context():
        who = account_id()
    note(app, Kind.OPT_IN, ago_ms, account_id=who)


def events(app: Flask, kind: Kind = Kind.INVITED) -> list[ConsentEvent]:
    with app.app_context():
        return list(db.session.scalars(select(ConsentEvent).where(ConsentEvent.kind == kind)))


def version_on(page: str) -> str:
    found = re.search(r'name="version" value="(\d+)"', page)
    assert found
    return found.group(1)


def press(who: Visitor, path: str = ASK, **fields: str) -> TestResponse:
    """The button of the plain page, after reading it."""
    return who.post(path, **{"version": version_on(who.get(path).text), **fields})


def press_in_dialog(who: Visitor, path: str = ASK, version: str = "0") -> TestResponse:
    return who.bare_post(path, {"csrf_token": who.token(), "version": version}, HX_Request="true")


def row(who: Visitor, path: str = ROW, seen: str = "") -> TestResponse:
    return who.get(f"{path}?seen={seen}", headers=HTMX)


def set_texts(app: Flask, on: bool) -> None:
    with app.app_context():
        app_settings.set_setting("EnableSmsNotifications", str(on).lower(), None, NOW)


def profile_of(app: Flask, external_id: str = "P-1") -> str:
    with app.app_context():
        return f"/Admin/Accounts/{account_id(external_id)}"


def words(page: str) -> str:
    """What a person reads."""
    return " ".join(re.sub(r"<[^>]*>", " ", re.sub(r"</?(span|time|strong)\b[^>]*>", "", page)).split())


@pytest.mark.usefixtures("texts_on")
def test_its_owner_reads_what_it_means_and_asks_for_the_invitation_without_javascript(
    web_app: Flask, owner: Visitor
) -> None:
    page = owner.get(ASK).text
    assert problems_of(page) == []
    assert "Board of Examples</strong> can text you" in page
    assert SHOWN in page
    assert "checkbox" not in page
    answer = press(owner)
    assert (answer.status_code, answer.location) == (303, LIST)
    after = owner.get(LIST).text
    assert f"The invitation is on its way to {SHOWN}" in after
    assert "Invitation on its way" in after
    assert problems_of(after) == []


@pytest.mark.usefixtures("texts_on")
def test_the_ledger_keeps_who_asked_where_from_and_the_words_they_read(web_app: Flask, owner: Visitor) -> None:
    owner.bare_post(ASK, {"csrf_token": owner.token(), "version": "0"}, User_Agent="Browser " + "x" * 900)
    (event,) = events(web_app)
    with web_app.app_context():
        assert event.account_id == event.actor_id == account_id()
        assert event.words == content.words_of(wording.PROMPT, NUMBER).text
        text = db.session.scalars(select(Delivery)).one()
        assert (text.channel, text.address, text.lane) == ("sms", NUMBER, 0)
    assert (event.wording, event.wording_version, event.ip) == (wording.PROMPT, 0, "127.0.0.1")
    assert event.user_agent == "Browser " + "x" * 292


@pytest.mark.usefixtures("texts_on")
def test_the_dialog_gets_the_same_words_alone_and_its_answer_is_the_numbers_state(
    web_app: Flask, owner: Visitor
) -> None:
    fragment = owner.get(ASK, headers=HTMX)
    assert fragment.text.lstrip().startswith("<article>")
    assert "can text you" in fragment.text
    assert 'id="dialog-heading"' in fragment.text
    assert "HX-Request" in fragment.headers["Vary"]
    answer = press_in_dialog(owner, version=version_on(fragment.text))
    assert answer.status_code == 200
    assert answer.text.lstrip().startswith('<div class="state" id="number-1-state"')
    assert "Invitation on its way" in answer.text
    assert "HX-Retarget" not in answer.headers
    assert len(events(web_app)) == 1


@pytest.mark.usefixtures("texts_on")
def test_an_administrator_is_told_for_whom_they_act_and_is_named_in_the_ledger(web_app: Flask, admin: Visitor) -> None:
    home = profile_of(web_app)
    path = f"{home}/numbers/1/EnableTexts"
    page = admin.get(path).text
    assert problems_of(page) == []
    assert "You act for Olive Owner, P-1" in words(page)
    assert "only if they have asked for texts" in words(page)
    assert press(admin, path).location == home
    (event,) = events(web_app)
    with web_app.app_context():
        assert (event.account_id, event.actor_id) == (account_id("P-1"), account_id("A-1"))
    assert "Invitation on its way" in admin.get(home).text
    assert problems_of(admin.get(f"{home}/numbers/1").text) == []


@pytest.mark.usefixtures("texts_on")
def test_a_stranger_gets_404_for_somebody_elses_number_just_as_for_one_that_never_was(
    web_app: Flask, stranger: Visitor, admin: Visitor
) -> None:
    profile, other = profile_of(web_app), profile_of(web_app, "P-2")
    stranger.post(LIST, number="(202) 555-0150")
    for who, paths in (
        (stranger, [ROW, ASK, f"{profile}/numbers/1", f"{profile}/numbers/1/EnableTexts"]),
        (admin, [ROW, ASK, f"{other}/numbers/1", f"{other}/numbers/1/EnableTexts", "/Admin/Accounts/999/numbers/1"]),
    ):
        assert {path: who.get(path).status_code for path in paths} == dict.fromkeys(paths, 404)
    for path in (ASK, f"{ROW}/confirm", f"{profile}/numbers/1/EnableTexts", f"{profile}/numbers/1/confirm"):
        assert stranger.post(path, version="0").status_code == 404
    never = row(stranger, f"{LIST}/999")
    assert (row(stranger).status_code, row(stranger).text) == (404, never.text.replace("999", "1"))
    assert events(web_app) == []


def test_while_texts_are_off_nobody_can_ask_for_them_or_sees_that_one_could(
    web_app: Flask, owner: Visitor, admin: Visitor
) -> None:
    profile = profile_of(web_app)
    for who, base in ((owner, LIST), (admin, f"{profile}/numbers")):
        assert who.get(f"{base}/1/EnableTexts").status_code == 404
        assert who.post(f"{base}/1/EnableTexts", version="0").status_code == 404
        assert who.post(f"{base}/1/confirm").status_code == 404
        assert row(who, f"{base}/1").status_code == 200
        assert "hx-trigger" not in row(who, f"{base}/1").text
    owner.post(LIST, number="(202) 555-0144")
    assert SMS_WORDS.findall(words(owner.get(LIST).text)) == []
    assert SMS_WORDS.findall(words(owner.get(ROW).text)) == []


@pytest.mark.usefixtures("texts_on")
def test_a_second_invitation_within_ten_minutes_is_refused_with_the_time_when_it_may_be(
    web_app: Flask, owner: Visitor
) -> None:
    invited(web_app, 2 * MINUTE_MS)
    for answer in (owner.get(ASK), owner.get(ASK, headers=HTMX), press_in_dialog(owner), owner.post(ASK, version="0")):
        assert "This number was invited a moment ago. You can try again in 7 minutes." in words(answer.text)
        assert re.search(r'title="[^"]+ E[SD]T">in 7 minutes', answer.text), "the absolute time in the reader's zone"
        assert "Send the invitation" not in answer.text
    refused = press_in_dialog(owner)
    assert refused.status_code == 422
    assert (refused.headers["HX-Retarget"], refused.headers["HX-Reswap"]) == ("#dialog", "innerHTML")
    plain = owner.post(ASK, version="0")
    assert plain.status_code == 422
    assert problems_of(plain.text) == []
    assert len(events(web_app)) == 1


@pytest.mark.usefixtures("texts_on")
def test_one_desk_may_invite_for_many_but_an_account_not_without_end(
    web_app: Flask, owner: Visitor, admin: Visitor
) -> None:
    with web_app.app_context():
        who = account_id()
    for place in range(10):
        note(web_app, Kind.INVITED, HOUR_MS, account_id=who, number=f"+1202555020{place}")
    assert "many invitations today" in owner.post(ASK, version="0").text
    assert press(admin, f"{profile_of(web_app)}/numbers/1/EnableTexts").status_code == 303


@pytest.mark.usefixtures("texts_on")
def test_words_that_changed_since_they_were_read_have_to_be_read_again(web_app: Flask, owner: Visitor) -> None:
    read = version_on(owner.get(ASK).text)
    with web_app.app_context():
        content.save_block(wording.PROMPT, "Entirely **new words**.", None, NOW)
    for again in (press_in_dialog(owner, version=read), owner.post(ASK, version=read)):
        assert again.status_code == 422
        assert "Entirely <strong>new words</strong>." in again.text
        assert "Please read it again" in again.text
    assert events(web_app) == []
    assert owner.post(ASK, version=version_on(again.text)).status_code == 303
    assert [(event.words, event.wording_version) for event in events(web_app)] == [("Entirely **new words**.", 1)]


@pytest.mark.usefixtures("texts_on")
@pytest.mark.parametrize("version", ["", "x", "-1", "²", "0\x00x", "9" * 5_000, "0.0"])
def test_whoever_does_not_say_which_words_they_read_is_shown_them(owner: Visitor, version: str) -> None:
    answer = owner.post(ASK, version=version)
    assert answer.status_code == 422
    assert "can text you" in answer.text


@pytest.mark.usefixtures("texts_on")
def test_a_stop_has_no_button_against_it_and_says_what_undoes_it(
    web_app: Flask, owner: Visitor, admin: Visitor
) -> None:
    enabled(web_app, 3 * HOUR_MS)
    assert re.search(r"Enabled for texts since \S", words(owner.get(LIST).text))
    note(web_app, Kind.STOP, 2 * HOUR_MS, words="STOP")
    for page in (owner.get(LIST).text, admin.get(profile_of(web_app)).text):
        assert re.search(r"Stopped by its owner since \S", words(page))
        assert "No button here can undo that" in page
        assert "START from that phone to (202) 555-0199" in page
        assert "EnableTexts" not in page
        assert problems_of(page) == []
    assert "replied STOP" in owner.get(ASK).text
    refused = press_in_dialog(owner)
    assert refused.status_code == 422
    assert "replied STOP" in refused.text
    assert events(web_app) == []


@pytest.mark.usefixtures("texts_on")
@pytest.mark.parametrize("by", ["page", "dialog", "administrator"])
def test_who_asks_for_texts_at_a_stopped_number_is_told_start_and_gets_them_by_it(
    web_app: Flask, stranger: Visitor, admin: Visitor, by: str
) -> None:
    """The former owner of the number said STOP; it is the stranger's now."""
    enabled(web_app, 3 * HOUR_MS)
    note(web_app, Kind.STOP, 2 * HOUR_MS, words="STOP")
    stranger.post(LIST, number=NUMBER)
    path = f"{LIST}/2/EnableTexts" if by != "administrator" else f"{profile_of(web_app, 'P-2')}/numbers/2/EnableTexts"
    who = admin if by == "administrator" else stranger
    asked = who.get(path, headers=HTMX if by == "dialog" else {}).text
    assert "Ask for texts" in asked
    assert "text START from that phone" not in asked, "first it has to be written down"
    version = version_on(asked)
    answer = press_in_dialog(who, path, version) if by == "dialog" else who.post(path, version=version)
    assert "text START from that phone to (202) 555-0199." in answer.text
    assert ("hx-swap-oob" in answer.text) == (by == "dialog")
    assert by == "dialog" or problems_of(answer.text) == []
    (event,) = events(web_app, Kind.WISHED)
    assert (event.wording, event.wording_version, event.ip) == (wording.PROMPT, int(version), "127.0.0.1")
    with web_app.app_context():
        assert event.words == content.words_of(wording.PROMPT, NUMBER).text
        assert event.account_id == account_id("P-2")
        assert event.actor_id == account_id("A-1" if by == "administrator" else "P-2")
    assert "Asked for, waiting for START" in stranger.get(LIST).text
    start(web_app)
    assert "Enabled for texts" in stranger.get(LIST).text


def start(app: Flask) -> None:
    with app.app_context():
        form = {"MessageSid": f"SM{time.time_ns()}", "From": NUMBER, "To": "+12025550199", "Body": "START"}
        inbound.take_inbound(form, now() + 10 * MINUTE_MS)


@pytest.mark.usefixtures("texts_on")
def test_the_former_owner_of_a_stopped_number_may_ask_too_once_start_would_not_mean_them(
    web_app: Flask, owner: Visitor, stranger: Visitor
) -> None:
    enabled(web_app, 3 * HOUR_MS)
    note(web_app, Kind.STOP, 2 * HOUR_MS, words="STOP")
    assert "Ask for texts…" not in owner.get(LIST).text
    stranger.post(LIST, number=NUMBER)
    page = owner.get(LIST).text
    assert "Ask for texts…" in page
    assert "Stan" not in page
    assert "Stopped" not in stranger.get(LIST).text
    owner.post(ASK, version="0")
    start(web_app)
    assert "Enabled for texts" in owner.get(LIST).text


@pytest.mark.usefixtures("texts_on")
@pytest.mark.parametrize(
    ("email", "viewer", "said"),
    [
        ("p-2@example.org", "stranger", "If another account gets them, START moves them to this one."),
        ("OWNER@example.org", "stranger", "START moves them from Olive Owner, P-1, whose notifications"),
        ("p-2@example.org", "admin", "START moves them from Olive Owner, P-1, whose notifications"),
    ],
)
def test_whose_texts_start_would_move_is_named_to_those_who_may_know_it(
    web_app: Flask, stranger: Visitor, admin: Visitor, email: str, viewer: str, said: str
) -> None:
    enabled(web_app, HOUR_MS)
    stranger.post(LIST, number=NUMBER)
    with web_app.app_context(), transaction():
        by_external_id("P-1").email = "owner@example.org"  # type: ignore[union-attr]
        by_external_id("P-2").email = email  # type: ignore[union-attr]
    profile = f"{profile_of(web_app, 'P-2')}/numbers/2/EnableTexts"
    page = stranger.get(f"{LIST}/2/EnableTexts").text if viewer == "stranger" else admin.get(profile).text
    assert said in words(page)
    assert ("Olive" in page) == ("Olive" in said)


@pytest.mark.usefixtures("texts_on")
def test_a_start_in_doubt_is_told_to_who_had_the_texts_and_to_no_stranger(
    web_app: Flask, owner: Visitor, stranger: Visitor, admin: Visitor
) -> None:
    enabled(web_app, 3 * HOUR_MS)
    note(web_app, Kind.STOP, 2 * HOUR_MS, words="STOP")
    stranger.post(LIST, number=NUMBER)
    assert "It would wait for a decision" in admin.get(f"/Admin/Consent/Numbers/{NUMBER}").text
    start(web_app)
    assert "Waits for a decision" in owner.get(LIST).text
    assert "Not enabled for texts" in stranger.get(LIST).text
    assert "decision" not in stranger.get(LIST).text


@pytest.mark.usefixtures("texts_on")
@pytest.mark.parametrize("stopped", [False, True])
@pytest.mark.parametrize("removed", [False, True])
def test_ones_history_tells_of_anothers_phone_only_who_has_had_its_texts(
    web_app: Flask, owner: Visitor, stranger: Visitor, stopped: bool, removed: bool
) -> None:
    enabled(web_app, 3 * HOUR_MS)
    stranger.post(LIST, number=NUMBER)
    with web_app.app_context():
        (added,) = [phone.id for phone in numbers_of(account_id("P-2"))]
    if stopped:
        note(web_app, Kind.STOP, 2 * HOUR_MS, words="STOP")
    pages = notified(web_app)
    if removed:
        stranger.post(f"{LIST}/{added}/remove")
    assert "No number on the account is enabled for texts." in stranger.get(pages["P-2"]).text
    assert ("replied STOP" in owner.get(pages["P-1"]).text) == stopped


def notified(app: Flask) -> dict[str, str]:
    """The page of everybody's copy of a notification, by account number."""
    with app.app_context():
        create_template(TemplateDraft("notice", "Notice", "Notice", "Hello.", False, True), None, now())
        expand_send(create_send("notice", {"all": True}, {}, None, now()), now)
        query = select(Account.external_id, Communication.id).join(Communication.account)
        found = db.session.execute(query.where(Communication.send_id.is_not(None)))
        return {external_id: f"/MyAccount/CommunicationsHistory/{at}" for external_id, at in found}


@pytest.mark.usefixtures("texts_on")
def test_who_has_had_the_texts_is_told_that_another_account_gets_them_now(
    web_app: Flask, owner: Visitor, stranger: Visitor
) -> None:
    enabled(web_app, 3 * HOUR_MS)
    stranger.post(LIST, number=NUMBER)
    with web_app.app_context():
        other = account_id("P-2")
    note(web_app, Kind.MOVED, HOUR_MS, account_id=other)
    assert "START moves them from another account, whose notifications" in words(owner.get(ASK).text)
    page = notified(web_app)["P-1"]
    assert "The number gets its texts for another account." in owner.get(page).text


@pytest.mark.usefixtures("texts_on")
def test_a_stop_in_answer_to_an_invitation_is_shown_to_whom_it_answers_and_to_nobody_else(
    web_app: Flask, owner: Visitor, stranger: Visitor
) -> None:
    stranger.post(LIST, number=NUMBER)
    invited(web_app, 20 * MINUTE_MS)
    note(web_app, Kind.STOP, 10 * MINUTE_MS, words="STOP")
    assert "Stopped by its owner" in owner.get(LIST).text
    assert "Not enabled for texts" in stranger.get(LIST).text
    assert "Stopped" not in stranger.get(LIST).text


@pytest.mark.usefixtures("texts_on")
def test_a_number_that_cannot_be_reached_is_confirmed_once_by_whoever_has_it(web_app: Flask, owner: Visitor) -> None:
    enabled(web_app, 3 * HOUR_MS)
    note(web_app, Kind.UNREACHABLE, 2 * HOUR_MS, detail={"code": "30005"})
    page = owner.get(LIST).text
    assert re.search(r"Cannot receive texts since \S", words(page))
    assert problems_of(page) == []
    assert "Confirm it first" in owner.get(ASK).text
    for _ in range(2):
        assert owner.post(f"{ROW}/confirm").status_code == 303
    assert "the number counts as right again" in owner.get(LIST).text
    assert "Enabled for texts" in owner.get(LIST).text
    assert len(events(web_app, Kind.CONFIRMED)) == 1


@pytest.mark.usefixtures("texts_on")
def test_the_new_owner_of_a_number_that_was_dead_is_not_locked_out(web_app: Flask, stranger: Visitor) -> None:
    note(web_app, Kind.UNREACHABLE, HOUR_MS, detail={"code": "30005"})
    stranger.post(LIST, number=NUMBER)
    path = re.findall(rf"{LIST}/\d+/confirm", stranger.get(LIST).text)[0]
    assert stranger.post(path).status_code == 303
    assert "Enable texts…" in stranger.get(LIST).text


@pytest.mark.usefixtures("texts_on")
def test_a_row_looks_again_until_it_is_answered_and_is_told_only_what_is_new(web_app: Flask, owner: Visitor) -> None:
    invited(web_app, 5_000, "ready")
    assert "Invitation on its way" in owner.get(LIST).text
    with web_app.app_context(), transaction():
        db.session.scalars(select(Delivery)).one().state = "delivered"
    sent = row(owner).text
    assert "Invitation sent, waiting for START" in sent
    assert 'hx-trigger="every 2s"' in sent
    seen = re.search(r"seen=(\w+)", sent)
    assert seen
    assert (row(owner, seen=seen.group(1)).status_code, row(owner, seen=seen.group(1)).text) == (204, "")
    with web_app.app_context():
        who = account_id()
    note(web_app, Kind.START, words="START", account_id=who)
    answered = row(owner, seen=seen.group(1)).text
    assert "Enabled for texts" in answered
    assert "hx-trigger" not in answered


@pytest.mark.usefixtures("texts_on")
@pytest.mark.parametrize(("ago_ms", "every"), [(5_000, 2), (2 * MINUTE_MS, 5), (30 * MINUTE_MS, 15)])
def test_a_row_looks_less_often_as_time_goes_by(web_app: Flask, owner: Visitor, ago_ms: int, every: int) -> None:
    invited(web_app, ago_ms)
    assert f'hx-trigger="every {every}s"' in row(owner).text


@pytest.mark.usefixtures("texts_on")
@pytest.mark.parametrize("state", ["delivered", "ready"])
def test_after_an_hour_nobody_looks_any_more(web_app: Flask, owner: Visitor, state: str) -> None:
    invited(web_app, HOUR_MS + MINUTE_MS, state)
    assert "hx-trigger" not in row(owner).text
    assert "Invitation" in row(owner).text


@pytest.mark.usefixtures("texts_on")
def test_an_invitation_that_did_not_arrive_says_so_and_can_be_sent_again(web_app: Flask, owner: Visitor) -> None:
    invited(web_app, 20 * MINUTE_MS, "undelivered")
    page = owner.get(LIST).text
    assert "Invitation not delivered" in page
    assert "Send the invitation again…" in page
    assert press(owner).status_code == 303


@pytest.mark.usefixtures("texts_on")
def test_a_row_whose_number_was_removed_meanwhile_stops_looking(owner: Visitor) -> None:
    owner.post(f"{ROW}/remove")
    gone = row(owner)
    assert gone.status_code == 404
    assert "not on the account any more" in gone.text
    assert "hx-trigger" not in gone.text
    assert "HX-Retarget" not in gone.headers
    assert press_in_dialog(owner).status_code == 404


@pytest.mark.usefixtures("texts_on")
def test_a_number_has_a_page_of_its_own_for_a_browser(owner: Visitor) -> None:
    page = owner.get(ROW).text
    assert problems_of(page) == []
    assert f"<h1>{SHOWN}</h1>" in page
    assert "Stopping texts and getting help" in page


@pytest.mark.usefixtures("texts_on")
def test_the_page_says_how_texts_stop_in_the_words_of_the_block(
    web_app: Flask, owner: Visitor, stranger: Visitor
) -> None:
    assert "No button here can do that for you." in owner.get(LIST).text
    with web_app.app_context():
        content.save_block(wording.STOP_HELP_INFO, "Say **STOP** and it stops.", None, NOW)
    assert "Say <strong>STOP</strong> and it stops." in stranger.get(LIST).text


@pytest.mark.usefixtures("texts_on")
def test_whoever_adds_a_number_is_told_how_to_get_texts_there(web_app: Flask, owner: Visitor, admin: Visitor) -> None:
    owner.post(LIST, number="(202) 555-0144")
    assert "choose “Enable texts…” beside it" in owner.get(LIST).text
    home = profile_of(web_app, "P-2")
    admin.post(f"{home}/numbers", number="(202) 555-0143")
    assert "choose “Enable texts…” beside it" in admin.get(home).text


@pytest.fixture
def told(web_app: Flask, texts_on: None) -> dict[str, int]:
    """One of each communication that follows from consent, all to the owner: kind to id."""
    with web_app.app_context():
        who = account_id()
        with transaction():
            follow_up.invite(who, NUMBER, 1, now())
            follow_up.welcome(who, NUMBER, 2, now())
            follow_up.tell_displaced(who, NUMBER, 3, now())
            follow_up.ask_to_confirm(who, NUMBER, 4, now())
        return {kind: found for kind, found in db.session.execute(select(Communication.kind, Communication.id))}


def test_what_followed_from_consent_reads_well_in_ones_history(owner: Visitor, told: dict[str, int]) -> None:
    listing = owner.get("/MyAccount/CommunicationsHistory").text
    assert f"Invitation to get texts at {SHOWN}" in listing
    assert f"Texts to {SHOWN} now go to another account" in listing
    for kind, channel in (
        ("invitation", "text"),
        ("welcome", "text"),
        ("displaced", "email"),
        ("number_check", "email"),
    ):
        page = owner.get(f"/MyAccount/CommunicationsHistory/{told[kind]}").text
        assert problems_of(page) == []
        assert re.findall(r"<dt>By (\w+)</dt>", page) == [channel]


def test_administrators_see_an_email_only_where_there_was_one(
    web_app: Flask, admin: Visitor, told: dict[str, int]
) -> None:
    for kind, has_mail in (("invitation", False), ("welcome", False), ("displaced", True), ("number_check", True)):
        page = admin.get(f"/Admin/Communications/{told[kind]}").text
        assert problems_of(page) == []
        assert ("<iframe" in page) is has_mail
    for path in ("/Admin/Communications", profile_of(web_app)):
        page = admin.get(path).text
        invitation = next(line for line in page.split("<tr>") if "Invitation to get texts" in line)
        assert re.search(r'data-label="Email">\s*<span class="at">No email', invitation)
        assert re.search(r'data-label="Text">\s*<span class="tag"', invitation)


def test_while_texts_are_off_what_followed_from_consent_is_not_listed(
    web_app: Flask, owner: Visitor, admin: Visitor, told: dict[str, int]
) -> None:
    set_texts(web_app, on=False)
    assert SHOWN not in owner.get("/MyAccount/CommunicationsHistory").text
    assert SHOWN not in admin.get("/Admin/Communications").text
    assert "Invitation" not in admin.get(profile_of(web_app)).text


@pytest.mark.usefixtures("texts_on")
def test_nobody_asks_without_the_token_of_their_own_page(web_app: Flask, owner: Visitor) -> None:
    assert owner.bare_post(ASK, {"version": "0"}).status_code == 400
    assert owner.client.post(ASK, data={"version": "0"}, base_url=PUBLIC_URL).status_code == 400
    assert events(web_app) == []


@pytest.mark.usefixtures("texts_on")
def test_a_number_abroad_is_refused_before_anybody_asks(web_app: Flask, owner: Visitor) -> None:
    owner.post(LIST, number="+44 7400 123456")
    with web_app.app_context():
        number_id = db.session.scalar(select(func.max(PhoneNumber.id)))
    page = owner.get(f"{LIST}/{number_id}/EnableTexts").text
    assert "Texts go to numbers in the United States only" in page
    assert "Send the invitation" not in page
    assert problems_of(page) == []
