"""The page of a reply: answer, assign and note it, without losing what is typed."""

import re

import pytest
from flask import Flask
from sqlalchemy import select

from portal.accounts.tables.accounts import Account, find_by_external_id
from portal.consent.tables.inbound_messages import InboundMessage
from portal.core.extensions import db
from portal.core.rules.routing import TextKind
from portal.messages.tables.communications import Communication
from tests.support.html_checks import find_page_problems
from tests.support.page_queries import audit_entries, visible_text
from tests.support.web_client import WebClient
from tests.web.admin.consent_helpers import HTMX, NEW, OWNERS, REPLIES, receive_text, switch_texts_off

QUESTION, ANSWER = "Is the exam on <Friday>?", "Yes, at 9:30."


@pytest.fixture
def reply(web_app: Flask, sms_enabled: None) -> str:
    """The address of a question from the owner's phone."""
    return ask(web_app)


def ask(app: Flask, number: str = OWNERS, body: str = QUESTION) -> str:
    receive_text(app, body, number)
    with app.app_context():
        reply_id = db.session.scalars(select(InboundMessage.id).order_by(InboundMessage.id.desc())).first()
        return f"{REPLIES}/{reply_id}"


def account_id(app: Flask, external_id: str) -> str:
    with app.app_context():
        account = find_by_external_id(external_id)
        assert account
        return str(account.id)


def answer_fields(app: Flask, body: str = ANSWER, **changes: str) -> dict[str, str]:
    return {"body": body, "account": account_id(app, "P-1"), "by_text": "yes", "seen": "", "note": "", **changes}


def answers(app: Flask) -> list[tuple[str, list[str]]]:
    """The account number and the channels of each answer."""
    with app.app_context():
        query = select(Communication).where(Communication.kind == TextKind.ANSWER).order_by(Communication.id)
        rows = db.session.scalars(query)
        return [(row.account.external_id, [delivery.channel for delivery in row.deliveries]) for row in rows]


def test_page_says_beforehand_what_an_answer_does(admin: WebClient, reply: str) -> None:
    page = admin.get(reply).text
    assert find_page_problems(page) == []
    assert "The text goes to (202) 555-0101." in visible_text(page)
    assert re.search(r'value="\d+" checked required> Olive Owner, P-1: also by email to owner@example.org.', page)
    assert 'name="by_text" value="yes"' in page


def test_answer_is_shown_with_its_author_and_state(web_app: Flask, admin: WebClient, reply: str) -> None:
    response = admin.post(f"{reply}/Answer", **answer_fields(web_app))
    assert (response.status_code, response.location) == (303, reply)
    page = admin.get(reply).text
    assert find_page_problems(page) == []
    assert "The answer is on its way." in page
    assert "Answered Name of A-1, just now" in visible_text(page)
    assert ANSWER in page
    assert "Text: Waiting to be sent" in visible_text(page)
    assert re.search(r'href="/Admin/Communications/\d+">Delivery history', page)
    assert answers(web_app) == [("P-1", ["email", "sms"])]
    assert audit_entries(web_app)[-1] == ("reply_answered", reply.replace(f"{REPLIES}/", "reply "))
    assert "Answered Name of A-1" in visible_text(admin.get(f"{REPLIES}?show=decided").text)


def test_owner_reads_question_and_answer(web_app: Flask, admin: WebClient, number_owner: WebClient, reply: str) -> None:
    admin.post(f"{reply}/Notes", note="Owner is impatient.")
    admin.post(f"{reply}/Answer", **answer_fields(web_app))
    history = number_owner.get("/MyAccount/CommunicationsHistory").text
    path = re.findall(r'href="(/MyAccount/CommunicationsHistory/\d+)">Our answer to your text', history)[0]
    page = number_owner.get(path).text
    assert "Is the exam on &lt;Friday&gt;?" in page
    assert ANSWER in page
    assert "impatient" not in page


def test_account_without_consent_does_not_learn_of_a_stop(
    web_app: Flask, admin: WebClient, other_user: WebClient, reply: str
) -> None:
    other_user.post("/MyAccount/PhoneNumbers", number=OWNERS)
    receive_text(web_app, "STOP", OWNERS)
    admin.post(f"{reply}/Answer", **answer_fields(web_app, by_text="no", account=account_id(web_app, "P-2")))
    history = other_user.get("/MyAccount/CommunicationsHistory").text
    path = re.findall(r'href="(/MyAccount/CommunicationsHistory/\d+)">Our answer to your text', history)[0]
    page = other_user.get(path).text
    assert "No phone number of yours was enabled for texts." in page
    assert "is opted out" not in page


def test_double_submit_sends_one_answer(web_app: Flask, admin: WebClient, reply: str) -> None:
    for _ in range(2):
        assert admin.post(f"{reply}/Answer", **answer_fields(web_app)).status_code == 303
    assert len(answers(web_app)) == 1


def test_second_administrator_keeps_what_was_typed(
    web_app: Flask, admin: WebClient, sysadmin: WebClient, reply: str
) -> None:
    admin.post(reply, decision="nothing")
    response = sysadmin.post(f"{reply}/Answer", **answer_fields(web_app, "My long answer", note="My note"))
    assert response.status_code == 422
    assert find_page_problems(response.text) == []
    assert "Name of A-1 chose: Closed without action." in response.text
    assert "This was not sent." in response.text
    assert "My long answer</textarea>" in response.text
    assert "My note</textarea>" in response.text
    assert answers(web_app) == []


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ("", "Write the answer."),
        ("\x00\x07\u200b", "Write the answer."),
        ("x" * 2_000, "Keep the answer to 480 characters; this has 2,000."),
    ],
)
def test_bad_answer_is_refused_at_its_field(
    web_app: Flask, admin: WebClient, reply: str, body: str, problem: str
) -> None:
    response = admin.post(f"{reply}/Answer", **answer_fields(web_app, body, note="half a note"))
    assert response.status_code == 422
    assert find_page_problems(response.text) == []
    assert f'id="field-body-error">{problem}<' in response.text
    assert "half a note</textarea>" in response.text
    assert body.strip("\x00\x07\u200b") in response.text


@pytest.mark.parametrize("account", ["", "x", "99999", "-1", "\x00"])
def test_unknown_account_is_refused_at_its_field(web_app: Flask, admin: WebClient, reply: str, account: str) -> None:
    response = admin.post(f"{reply}/Answer", **answer_fields(web_app, account=account))
    assert response.status_code == 422
    assert 'id="field-account-error">Choose whose question this is.<' in response.text
    assert f"{ANSWER}</textarea>" in response.text


def test_stop_since_the_page_was_opened_is_told(web_app: Flask, admin: WebClient, reply: str) -> None:
    receive_text(web_app, "STOP", OWNERS)
    response = admin.post(f"{reply}/Answer", **answer_fields(web_app))
    assert response.status_code == 422
    assert "this phone can no longer get texts" in response.text
    assert f"{ANSWER}</textarea>" in response.text
    assert "No text can go to this phone. The phone number is opted out" in visible_text(response.text)
    assert "No account: by text only" not in response.text
    admin.post(f"{reply}/Answer", **answer_fields(web_app, by_text="no"))
    page = visible_text(admin.get(reply).text)
    assert "Text: Email only" in page
    assert "The phone number is opted out" in page


def test_phone_on_no_account_is_answered_by_text(web_app: Flask, admin: WebClient, reply: str) -> None:
    unknown = ask(web_app, NEW)
    assert "No account has this number, so there is no email." in visible_text(admin.get(unknown).text)
    assert admin.post(f"{unknown}/Answer", **answer_fields(web_app, account="0")).status_code == 303
    assert answers(web_app) == [("A-1", ["sms"])]


def test_unreachable_person_is_told_to_administrators(web_app: Flask, admin: WebClient, reply: str) -> None:
    unknown = ask(web_app, NEW)
    switch_texts_off(web_app)
    page = admin.get(unknown).text
    assert find_page_problems(page) == []
    assert "Texts are switched off. No account has this number" in visible_text(page)
    assert "Send the answer" not in page


def test_preview_counts_segments(admin: WebClient, reply: str) -> None:
    fields = {"csrf_token": admin.csrf_token(), "body": "Bring \u201cit\u201d \U0001f600"}
    fragment = admin.post_without_token(f"{reply}/Answer/Preview", fields, **HTMX).text
    assert "<html" not in fragment
    assert "32 of 70 characters (UCS-2): 1 segment." in visible_text(fragment)
    fields["body"] = "x" * 481
    assert "1 character too long" in admin.post_without_token(f"{reply}/Answer/Preview", fields, **HTMX).text
    page = admin.post(f"{reply}/Answer/Preview", body="x" * 161, account="0").text
    assert find_page_problems(page) == []
    assert "180 of 306 characters (GSM-7): 2 segments." in page
    assert re.search(r'value="0" checked', page)


def test_assignment_is_shown_and_filtered(web_app: Flask, admin: WebClient, sysadmin: WebClient, reply: str) -> None:
    other = ask(web_app, NEW, "Another question")
    admin.post(f"{reply}/Assign", take="yes", seen="")
    pages = {name: admin.get(f"{REPLIES}?assigned={name}").text for name in ("me", "nobody", "", "else")}
    shown = {name: (f'href="{reply}"' in page, f'href="{other}"' in page) for name, page in pages.items()}
    assert shown == {"me": (True, False), "nobody": (False, True), "": (True, True), "else": (True, True)}
    assert "No replies match." in sysadmin.get(f"{REPLIES}?assigned=me").text
    assert all(re.search(r'id="open-replies-in-menu"[^>]*>2<', page) for page in pages.values())
    assert "Assigned to Name of A-1." in sysadmin.get(reply).text
    sysadmin.post(f"{reply}/Assign", assignee="", seen=account_id(web_app, "A-1"))
    assert "Not assigned." in admin.get(reply).text


def test_filter_gets_only_the_list(admin: WebClient, reply: str) -> None:
    response = admin.get(f"{REPLIES}?assigned=nobody", headers={"HX-Request": "true"})
    assert response.text.lstrip().startswith('<section id="replies"')
    assert "HX-Request" in response.headers["Vary"]


def test_take_it_in_the_list_gives_the_card_back(admin: WebClient, sysadmin: WebClient, reply: str) -> None:
    fields = {"take": "yes", "seen": "", "in_list": "yes"}
    card = admin.post_without_token(f"{reply}/Assign", {"csrf_token": admin.csrf_token(), **fields}, **HTMX).text
    assert "Assigned to Name of A-1" in card
    assert "Assign to me" not in card
    late = sysadmin.post_without_token(f"{reply}/Assign", {"csrf_token": sysadmin.csrf_token(), **fields}, **HTMX)
    assert "meanwhile the reply was assigned to Name of A-1" in late.text
    assert admin.post(f"{reply}/Assign", **fields).location == REPLIES


@pytest.mark.parametrize("assignee", ["99999", "x9", "P-1"])
def test_unknown_assignee_changes_nothing(web_app: Flask, admin: WebClient, reply: str, assignee: str) -> None:
    chosen = account_id(web_app, "P-1") if assignee == "P-1" else assignee
    response = admin.post(f"{reply}/Assign", assignee=chosen, seen="", body="half an answer")
    assert response.status_code in (200, 422)
    assert "half an answer</textarea>" in response.text
    assert "Not assigned." in admin.get(reply).text


def test_note_keeps_the_answer_that_is_being_written(admin: WebClient, reply: str) -> None:
    response = admin.post(f"{reply}/Notes", note="Called <b>back</b>.", body="half an answer", account="0")
    assert response.status_code == 200
    assert find_page_problems(response.text) == []
    assert "half an answer</textarea>" in response.text
    assert "Called &lt;b&gt;back&lt;/b&gt;." in response.text
    assert "Name of A-1, just now" in visible_text(response.text)
    assert admin.post(f"{reply}/Notes", note="Again.").status_code == 303
    assert "2 notes" in admin.get(REPLIES).text


def test_bad_note_is_refused_at_its_field(admin: WebClient, reply: str) -> None:
    response = admin.post(f"{reply}/Notes", note="x" * 2_000, body="half an answer")
    assert response.status_code == 422
    assert 'id="field-note-error">Keep the note to 1,000 characters; this has 2,000.<' in response.text
    assert "half an answer</textarea>" in response.text
    assert 'id="field-note-error">Write the note.<' in admin.post(f"{reply}/Notes", note=" ").text


def test_only_administrators_reach_a_reply(number_owner: WebClient, admin: WebClient, reply: str) -> None:
    assert number_owner.get(reply).status_code == 404
    for action in ("Answer", "Answer/Preview", "Assign", "Notes"):
        assert number_owner.post(f"{reply}/{action}").status_code == 404
        assert admin.post(f"{REPLIES}/99999/{action}", body="x", note="x", take="yes").status_code == 404


def test_account_names_are_escaped(web_app: Flask, admin: WebClient, reply: str) -> None:
    with web_app.app_context():
        db.session.get_one(Account, int(account_id(web_app, "P-1"))).name = "<i>Olive</i>"
        db.session.commit()
    assert "<i>Olive" not in admin.get(reply).text
