"""The consent pages for administrators, also while texts are off."""

import html
import io
import json
import re
import time
from datetime import date

import pytest
from flask import Flask
from sqlalchemy import select
from werkzeug.test import TestResponse

from portal.accounts.tables.accounts import Account
from portal.accounts.tables.phone_numbers import PhoneNumber, PhoneState
from portal.consent import inbound_processing, recording
from portal.consent.rules.consent_state import EventKind
from portal.consent.tables.inbound_messages import InboundMessage
from portal.consent.tables.ledger import ChainHead, ConsentEvent
from portal.core.extensions import db
from portal.core.transaction import transaction
from portal.messages.tables.communications import Delivery
from portal.settings import setting_changes
from portal.web.admin import consent_pages
from tests.support.html_checks import find_page_problems
from tests.support.web_client import PUBLIC_URL, WebClient

OWNERS, OTHER, NEW = "+12025550101", "+12025550155", "+12025550166"
LEDGER = "/Admin/Consent"
NUMBER = f"{LEDGER}/Numbers/{OWNERS}"
OPT_OUT = f"{LEDGER}/OptOut"
REPLIES = f"{LEDGER}/Replies"
STOPS, OPT_INS = f"{LEDGER}/Import/OptOuts", f"{LEDGER}/Import/OptIns"
HTMX = {"HX_Request": "true"}
PAGES = [
    LEDGER,
    f"{LEDGER}?q=olive&kind=stop&from=2026-01-01&to=2026-12-31",
    f"{LEDGER}?q=nobody",
    f"{LEDGER}?account=1",
    f"{LEDGER}/Verify",
    NUMBER,
    f"{LEDGER}/Numbers/{OTHER}",
    f"{LEDGER}/Numbers/+19995550000",
    f"{NUMBER}/Move/2",
    f"{OPT_OUT}?number=%2B12025550101",
    REPLIES,
    f"{REPLIES}?show=decided",
    STOPS,
    OPT_INS,
    f"{LEDGER}/Evidence/print",
    f"{LEDGER}/Evidence/print?number=%2B12025550101",
]
FILES = [f"{LEDGER}/Evidence/csv", f"{LEDGER}/Evidence/json?account=1"]


@pytest.fixture
def consent_history(web_app: Flask, sms_enabled: None) -> None:
    """The owner's and the stranger's number said STOP and START; a text that a person has to read came too."""
    with web_app.app_context():
        stranger = db.session.scalars(select(Account.id).where(Account.external_id == "P-2")).one()
        with transaction() as session:
            session.add(PhoneNumber(account_id=stranger, number=OWNERS, created_at_ms=1))
            session.add(PhoneNumber(account_id=stranger, number=OTHER, created_at_ms=1))
    for body, number in (
        ("STOP", OWNERS),
        ("please stop texting me", OTHER),
        ("who is this <b>?", OTHER),
    ):
        receive_text(web_app, body, number)
    with web_app.app_context(), transaction():
        recording.record(OWNERS, EventKind.START, "handset", current_ms(), current_ms(), text="START")


def current_ms() -> int:
    return time.time_ns() // 1_000_000


def receive_text(app: Flask, body: str, number: str) -> None:
    with app.app_context():
        form = {"MessageSid": f"SM{time.time_ns()}", "From": number, "To": "+12025550199", "Body": body}
        inbound_processing.receive_inbound(form, current_ms())


def is_stopped(app: Flask, number: str) -> bool:
    with app.app_context():
        handset = db.session.get(PhoneState, number)
        return handset is not None and handset.stopped_at_ms is not None


def ledger_kinds(app: Flask) -> list[str]:
    with app.app_context():
        return list(db.session.scalars(select(ConsentEvent.kind).order_by(ConsentEvent.id)))


def upload(visitor: WebClient, path: str, content: bytes, file_name: str = "stops.csv", **fields: str) -> TestResponse:
    data = {"csrf_token": visitor.csrf_token(), "file": (io.BytesIO(content), file_name), **fields}
    return visitor.client.post(path, data=data, base_url=PUBLIC_URL, headers={"Referer": f"{PUBLIC_URL}/"})


def submit_pasted(visitor: WebClient, path: str, text: str, **fields: str) -> TestResponse:
    """As a browser sends a form that can also take a file."""
    return upload(visitor, path, b"", text=text, file_name="", **fields)


def confirmed_digest(answer: TestResponse) -> str:
    found = re.search(r'name="confirmed" value="([0-9a-f]{64})"', answer.text)
    assert found
    return found.group(1)


@pytest.mark.parametrize("path", PAGES)
def test_every_page_is_valid_html(admin: WebClient, consent_history: None, path: str) -> None:
    answer = admin.get(path)
    assert answer.status_code == 200
    assert find_page_problems(answer.text) == []


def switch_texts_off(app: Flask) -> None:
    with app.app_context():
        setting_changes.set_setting("EnableSmsNotifications", "false", None, current_ms())


def test_administrators_manage_consent_while_texts_are_off(
    web_app: Flask, admin: WebClient, sysadmin: WebClient, number_owner: WebClient, consent_history: None
) -> None:
    switch_texts_off(web_app)
    for path in PAGES:
        page = admin.get(path).text
        assert find_page_problems(page) == [], path
        assert (sysadmin.get(path).status_code, number_owner.get(path).status_code) == (200, 404), path
    for path in FILES:
        assert "digest" in admin.get(path).text, path
    assert "Texts are switched off, so nothing is texted." in admin.get(LEDGER).text
    assert 'href="/Admin/Consent"' in admin.get("/Admin/Accounts").text
    assert "Consent" not in number_owner.get("/MyAccount/PhoneNumbers").text


def test_imports_and_replies_work_before_going_live(
    web_app: Flask, admin: WebClient, sysadmin: WebClient, consent_history: None
) -> None:
    switch_texts_off(web_app)
    preview = admin.post(STOPS, text=NEW)
    assert sysadmin.post(STOPS, text=NEW, confirmed=confirmed_digest(preview)).status_code == 303
    assert admin.post(f"{REPLIES}/{reply_id(web_app)}", decision="stop").status_code == 303
    assert is_stopped(web_app, NEW)
    assert is_stopped(web_app, OTHER)
    assert admin.post(f"{NUMBER}/Move/2").status_code == 303
    with web_app.app_context():
        assert {row.state for row in db.session.scalars(select(Delivery).where(Delivery.channel == "email"))} <= {
            "skipped"
        }


@pytest.mark.parametrize("path", [*PAGES, *FILES])
def test_only_administrators_see_the_pages(
    visitor: WebClient, number_owner: WebClient, consent_history: None, path: str
) -> None:
    assert number_owner.get(path).status_code == 404
    assert visitor.get(path).status_code == 303


@pytest.mark.parametrize("path", [OPT_OUT, f"{NUMBER}/Move/2", f"{REPLIES}/1", STOPS, OPT_INS])
def test_only_administrators_may_change_consent(
    web_app: Flask, number_owner: WebClient, consent_history: None, path: str
) -> None:
    before = ledger_kinds(web_app)
    fields = {"number": OWNERS, "channel": "phone", "reason": "x", "decision": "stop", "text": OWNERS}
    assert number_owner.post(path, **fields).status_code == 404
    assert ledger_kinds(web_app) == before


@pytest.mark.parametrize(
    "path",
    [
        f"{LEDGER}/Numbers/12025550101",
        f"{LEDGER}/Numbers/+1%00",
        f"{LEDGER}/Numbers/nobody",
        f"{NUMBER}/Move/99999",
        f"{LEDGER}/Evidence/csv?number=nobody",
        f"{LEDGER}/Evidence/xml",
    ],
)
def test_invalid_number_account_or_format_is_not_found(admin: WebClient, consent_history: None, path: str) -> None:
    assert admin.get(path).status_code == 404


def test_ledger_page_describes_each_event_and_its_effect(admin: WebClient, consent_history: None) -> None:
    page = admin.get(LEDGER).text
    assert "STOP from the phone" in page
    assert "An opt-out in other words, read as STOP." in page
    assert "Texts go to Olive Owner, P-1 from now on." in page
    assert page.index("START from the phone") < page.index("STOP from the phone"), "newest first"


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("q=555-0155", {OTHER}),
        ("q=%28202%29+555-0101", {OWNERS}),
        ("q=stranger@example.org", set()),
        ("q=olive", {OWNERS}),
        ("kind=start", {OWNERS}),
        ("kind=nonsense", {OWNERS, OTHER}),
        ("from=2026-01-01&to=nonsense", {OWNERS, OTHER}),
        ("to=2000-01-01", set()),
        ("account=999999", set()),
    ],
)
def test_ledger_page_is_filtered(admin: WebClient, consent_history: None, query: str, found: set[str]) -> None:
    page = admin.get(f"{LEDGER}?{query}").text
    assert {number for number in (OWNERS, OTHER) if f"/Numbers/{number}" in page} == found


def test_htmx_gets_only_the_list(admin: WebClient, consent_history: None) -> None:
    assert admin.get(LEDGER, headers={"HX-Request": "true"}).text.lstrip().startswith('<section id="events"')


def test_ledger_page_is_paginated(web_app: Flask, admin: WebClient, sms_enabled: None) -> None:
    with web_app.app_context(), transaction():
        for place in range(50):
            recording.record(f"+1202555{1000 + place}", EventKind.STOP, "handset", current_ms(), current_ms())
    first = admin.get(LEDGER).text
    older = re.search(r"before=\d+", first)
    assert older
    second = admin.get(f"{LEDGER}?{older.group()}").text
    assert first.count("<tbody>") == second.count("<tbody>") == 1
    assert "/Numbers/+12025551049" in first
    assert "/Numbers/+12025551000" in second
    assert "/Numbers/+12025551000" not in first


def test_intact_ledger_page_shows_the_last_digest(web_app: Flask, admin: WebClient, consent_history: None) -> None:
    page = admin.get(f"{LEDGER}/Verify").text
    with web_app.app_context():
        assert db.session.scalars(select(ChainHead.digest)).one() in page
    assert "The ledger is unbroken" in page


def test_tampered_ledger_page_names_the_event(web_app: Flask, admin: WebClient, consent_history: None) -> None:
    with web_app.app_context():
        connection = db.session.connection()
        connection.exec_driver_sql("DROP TRIGGER consent_event_no_update")
        connection.exec_driver_sql("UPDATE consent_event SET text = 'START' WHERE id = 2")
        db.session.commit()
    page = admin.get(f"{LEDGER}/Verify", headers={"HX-Request": "true"}).text
    assert "Event 2 does not fit: it was changed after it was written." in page


def test_long_ledger_is_verified_on_the_command_line(
    admin: WebClient, consent_history: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consent_pages, "MAX_EVENTS_VERIFIED", 1)
    assert "portal consent verify" in admin.get(f"{LEDGER}/Verify").text
    assert "unbroken" not in admin.get(f"{LEDGER}/Verify").text


def test_number_page_shows_accounts_status_and_history(admin: WebClient, consent_history: None) -> None:
    page = admin.get(NUMBER).text
    assert "Enabled for texts" in page
    assert "Gets its texts" in page
    assert "Olive Owner" in page
    assert "Stan Stranger" in page
    stopped = admin.get(f"{LEDGER}/Numbers/{OTHER}").text
    assert "No button undoes that: only a text with the word" in stopped
    assert "/Move/" not in stopped
    assert "who is this &lt;b&gt;?" in stopped


def test_ineffective_yes_is_shown_with_what_would_work(web_app: Flask, admin: WebClient, consent_history: None) -> None:
    with web_app.app_context():
        sender = {"FromNumber": "+12025550199", "NumberType": "toll_free"}
        setting_changes.set_setting("SmsGatewaySettings", json.dumps(sender), None, current_ms())
        stop, yes = current_ms() - 600_000, current_ms() - 300_000
        for at_ms, body in ((stop, "STOP"), (yes, "YES")):
            form = {"MessageSid": f"SM{body}", "From": NEW, "To": "+12025550199", "Body": body}
            inbound_processing.receive_inbound(form, at_ms)
    page = admin.get(REPLIES).text
    assert "This does not turn texts on, because the number is opted out." in page
    assert "Give the texts to" not in page
    assert "only START or UNSTOP clears a STOP there" in admin.get(f"{LEDGER}/Numbers/{NEW}").text
    assert is_stopped(web_app, NEW)


def submit_opt_out(admin: WebClient, **fields: str) -> TestResponse:
    """By hand: the form, then what it would end is confirmed as it stands on the page."""
    asked = admin.post(OPT_OUT, **fields)
    assert asked.status_code == 200
    assert find_page_problems(asked.text) == []
    hidden = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', asked.text.partition("<main")[2])
    return admin.post(OPT_OUT, **{name: html.unescape(value) for name, value in hidden if name != "csrf_token"})


def test_number_is_opted_out_manually(web_app: Flask, admin: WebClient, consent_history: None) -> None:
    answer = submit_opt_out(admin, number="(202) 555-0101", channel="letter", reason="A letter\x00 of “today” & more")
    assert answer.status_code == 303
    assert answer.location.endswith(NUMBER)
    assert is_stopped(web_app, OWNERS)
    page = admin.get(NUMBER).text
    assert "(202) 555-0101 is opted out." in page
    assert "Opted out by an administrator: “A letter of “today” &amp; more”" in page
    assert "Asked for by: letter." in page


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (OWNERS, "Olive Owner, P-1, gets texts there now. They end, including those waiting to be sent."),
        (OWNERS, "Stan Stranger, P-2, gets no texts there now."),
        (OTHER, "Opted out</span>"),
        (NEW, "No account has this number. An account that adds it gets no texts there."),
    ],
)
def test_opt_out_page_names_the_accounts_and_what_ends(
    web_app: Flask, admin: WebClient, consent_history: None, number: str, said: str
) -> None:
    before = ledger_kinds(web_app)
    page = admin.post(OPT_OUT, number=number, channel="phone", reason="Rang <b>us</b>").text
    assert said in page
    assert "This cannot be undone here." in page
    assert "Rang &lt;b&gt;us&lt;/b&gt;" in page
    assert ledger_kinds(web_app) == before


def test_confirmation_holds_for_the_confirmed_number_only(
    web_app: Flask, admin: WebClient, consent_history: None
) -> None:
    page = admin.post(OPT_OUT, number=NEW, channel="phone", reason="Rang us", confirmed=OWNERS)
    assert "Opt out (202) 555-0166?" in page.text
    assert not is_stopped(web_app, NEW)


def test_reply_opt_out_needs_a_confirmation_page(web_app: Flask, admin: WebClient, consent_history: None) -> None:
    path = f"{REPLIES}/{reply_id(web_app)}/OptOut"
    assert path in admin.get(REPLIES).text
    page = admin.get(path).text
    assert find_page_problems(page) == []
    assert "Stan Stranger, P-2, gets no texts there now." in page
    assert "who is this &lt;b&gt;?" in page
    admin.post(f"{REPLIES}/{reply_id(web_app)}", decision="nothing")
    assert admin.get(path).status_code == 404


@pytest.mark.parametrize("person", ["number_owner", "admin"])
def test_removal_page_names_the_account_and_what_ends(
    request: pytest.FixtureRequest, admin: WebClient, consent_history: None, person: str
) -> None:
    who = request.getfixturevalue(person)
    home = {"number_owner": "/MyAccount/PhoneNumbers", "admin": "/Admin/Accounts/1"}[person]
    (path,) = re.findall(r'href="([^"]+/\d+/remove)"', who.get(home).text)
    page = who.get(path).text
    assert find_page_problems(page) == []
    assert "Olive Owner, P-1" in page
    assert "This account stops getting texts there" in page
    assert ("Stan Stranger" in page) == (person == "admin")
    assert who.post(path).status_code == 303
    assert who.get(path).status_code == 404


def test_removal_page_hides_texts_while_they_are_off(
    web_app: Flask, number_owner: WebClient, consent_history: None
) -> None:
    switch_texts_off(web_app)
    (path,) = re.findall(r'href="([^"]+/\d+/remove)"', number_owner.get("/MyAccount/PhoneNumbers").text)
    assert not re.search(r"\btexts?\b|\bSTART\b|\bSMS\b", number_owner.get(path).text.partition("<main")[2])


def test_other_accounts_number_has_no_removal_page(
    other_user: WebClient, admin: WebClient, consent_history: None
) -> None:
    assert other_user.get("/MyAccount/PhoneNumbers/1/remove").status_code == 404
    assert other_user.get("/Admin/Accounts/1/numbers/1/remove").status_code == 404
    assert admin.get("/Admin/Accounts/2/numbers/1/remove").status_code == 404


@pytest.mark.parametrize("number", ["", "12", "\x00", "9" * 5000, "<script>"])
def test_invalid_form_keeps_everything_typed(
    web_app: Flask, admin: WebClient, consent_history: None, number: str
) -> None:
    before = ledger_kinds(web_app)
    answer = admin.post(OPT_OUT, number=number, channel="email", reason="Wrote “stop” & more")
    assert answer.status_code == 422
    assert find_page_problems(answer.text) == []
    assert "Wrote “stop” &amp; more" in answer.text
    assert re.search(r'value="email" checked', answer.text)
    assert ledger_kinds(web_app) == before


def test_move_page_names_effects_and_notified_accounts(web_app: Flask, admin: WebClient, consent_history: None) -> None:
    page = admin.get(f"{NUMBER}/Move/2").text
    assert "Those of Olive Owner, P-1, no longer do." in page
    assert "Both get an email" in page
    assert admin.post(f"{NUMBER}/Move/2").status_code == 303
    assert "Stan Stranger, P-2, gets the texts for (202) 555-0101 from now on." in admin.get(NUMBER).text
    with web_app.app_context():
        held = db.session.scalars(select(PhoneNumber).where(PhoneNumber.receives_sms == True)).one()  # noqa: E712
        assert held.account.external_id == "P-2"


def test_texts_cannot_be_moved_at_a_stopped_number(web_app: Flask, admin: WebClient, consent_history: None) -> None:
    before = ledger_kinds(web_app)
    path = f"{LEDGER}/Numbers/{OTHER}/Move/2"
    assert "cannot be moved" in admin.get(path).text
    answer = admin.post(path)
    assert answer.status_code == 422
    assert "Only a text with the word START" in answer.text
    assert ledger_kinds(web_app) == before


def reply_id(app: Flask) -> int:
    with app.app_context():
        return db.session.scalars(select(InboundMessage.id).where(InboundMessage.needs_review == True)).one()  # noqa: E712


def test_menu_counts_replies_to_review(web_app: Flask, admin: WebClient, consent_history: None) -> None:
    assert re.search(r'id="open-replies-in-menu"[^>]*>1<', admin.get("/Admin/Accounts").text)
    admin.post(f"{REPLIES}/{reply_id(web_app)}", decision="nothing")
    assert re.search(r'id="open-replies-in-menu"[^>]* hidden>', admin.get("/Admin/Accounts").text)


def test_reply_is_decided_with_one_click_and_names_the_actor(
    web_app: Flask, admin: WebClient, consent_history: None
) -> None:
    assert "who is this &lt;b&gt;?" in admin.get(REPLIES).text
    answer = admin.post(f"{REPLIES}/{reply_id(web_app)}", decision="stop")
    assert answer.status_code == 303
    assert "No replies are waiting." in admin.get(REPLIES).text
    decided = admin.get(f"{REPLIES}?show=decided").text
    assert re.search(r"Opted the number out</span> Name of A-1, <time", decided)
    assert is_stopped(web_app, OTHER)


def test_htmx_gets_the_reply_and_the_new_counts(web_app: Flask, admin: WebClient, consent_history: None) -> None:
    fields = {"csrf_token": admin.csrf_token(), "decision": "nothing"}
    answer = admin.post_without_token(f"{REPLIES}/{reply_id(web_app)}", fields, **HTMX)
    assert "Nothing to do</span> Name of A-1" in answer.text
    assert answer.text.count('hx-swap-oob="true"') == 2


def test_two_administrators_do_not_decide_twice(
    web_app: Flask, admin: WebClient, sysadmin: WebClient, consent_history: None
) -> None:
    waiting = reply_id(web_app)
    admin.post(f"{REPLIES}/{waiting}", decision="nothing")
    before = ledger_kinds(web_app)
    sysadmin.post(f"{REPLIES}/{waiting}", decision="stop")
    assert ledger_kinds(web_app) == before
    assert "Somebody has already decided on this reply." in sysadmin.get(REPLIES).text


@pytest.mark.parametrize("decision", ["", "moved", "nonsense", "\x00"])
def test_unknown_decision_is_refused(web_app: Flask, admin: WebClient, consent_history: None, decision: str) -> None:
    answer = admin.post(f"{REPLIES}/{reply_id(web_app)}", decision=decision, account_id="x")
    assert answer.status_code == 303
    assert "This decision is not possible for this reply." in admin.get(REPLIES).text


def test_unknown_reply_is_not_found(admin: WebClient, consent_history: None) -> None:
    fields = {"csrf_token": admin.csrf_token(), "decision": "nothing"}
    assert admin.post_without_token(f"{REPLIES}/99999", fields, **HTMX).status_code == 404


def test_unassigned_start_is_given_to_an_account(web_app: Flask, admin: WebClient, sms_enabled: None) -> None:
    with web_app.app_context():
        ids = list(db.session.scalars(select(Account.id).where(Account.external_id.in_(("V-1", "V-2")))))
        with transaction() as session:
            session.add_all(PhoneNumber(account_id=id, number=OTHER, created_at_ms=1) for id in ids)
    receive_text(web_app, "START", OTHER)
    page = admin.get(REPLIES).text
    assert "Give the texts to Name of V-1, V-1" in page
    assert "Opt this number out" not in page
    admin.post(f"{REPLIES}/{reply_id(web_app)}", decision="moved", account_id=str(ids[1]))
    assert "Texts go to Name of V-2, V-2 from now on." in admin.get(f"{LEDGER}/Numbers/{OTHER}").text


def test_page_actions_record_the_actor_and_address(
    web_app: Flask, admin: WebClient, number_owner: WebClient, consent_history: None
) -> None:
    """An opt-out by hand, a move, a decision, imports; and of the owner a confirmation and a removal."""
    with web_app.app_context(), transaction():
        last = recording.record(
            OWNERS, EventKind.UNREACHABLE, "twilio", current_ms(), current_ms(), detail={"error_code": "30005"}
        )
    for visitor in (admin, number_owner):
        visitor.client.environ_base |= {"REMOTE_ADDR": "203.0.113.9", "HTTP_USER_AGENT": "A browser"}
    number_owner.post("/MyAccount/PhoneNumbers/1/confirm")
    admin.post(f"{NUMBER}/Move/2")
    admin.post(f"{REPLIES}/{reply_id(web_app)}", decision="stop")
    stops, opt_ins = NEW, "external_id,phone,opted_in_at,evidence\nV-1,+12025550177,2026-01-02,Form"
    admin.post(STOPS, text=stops, confirmed=confirmed_digest(admin.post(STOPS, text=stops)))
    admin.post(OPT_INS, text=opt_ins, confirmed=confirmed_digest(admin.post(OPT_INS, text=opt_ins)))
    submit_opt_out(admin, number=OWNERS, channel="phone", reason="Rang us")
    number_owner.post("/MyAccount/PhoneNumbers/1/remove")
    with web_app.app_context():
        query = select(ConsentEvent).where(ConsentEvent.id > last).order_by(ConsentEvent.id)
        done = [(event.kind, event.ip, event.user_agent, bool(event.actor_id)) for event in db.session.scalars(query)]
    kinds = ["confirmed", "moved", "stop", "stop", "opt_in", "stop", "removed"]
    assert done == [(kind, "203.0.113.9", "A browser", True) for kind in kinds]


def test_opt_outs_are_previewed_then_imported(web_app: Flask, admin: WebClient, consent_history: None) -> None:
    text = f"{OWNERS}\r\n{OTHER}\r\n{OWNERS}"
    preview = admin.post(STOPS, text=text)
    assert "1 number gets no more texts." in preview.text
    assert "1 number is already opted out" in preview.text
    assert "1 line repeats a number." in preview.text
    assert not is_stopped(web_app, OWNERS)
    done = admin.post(STOPS, text=text, confirmed=confirmed_digest(preview))
    assert done.status_code == 303
    assert is_stopped(web_app, OWNERS)
    summary = "1 number was opted out. 1 was already opted out. 1 appeared more than once."
    assert summary in admin.get(LEDGER).text


def test_changed_import_is_previewed_again(web_app: Flask, admin: WebClient, consent_history: None) -> None:
    preview = admin.post(STOPS, text=OWNERS)
    again = admin.post(STOPS, text=f"{OWNERS}\n+12025550177", confirmed=confirmed_digest(preview))
    assert again.status_code == 200
    assert "2 numbers get no more texts." in again.text
    assert not is_stopped(web_app, OWNERS)


def test_row_errors_are_listed_and_the_text_is_kept(web_app: Flask, admin: WebClient, consent_history: None) -> None:
    answer = admin.post(STOPS, text=f"{OWNERS}\n555 <b>\n")
    assert answer.status_code == 422
    assert find_page_problems(answer.text) == []
    assert "Nothing was imported: 1 mistake found." in answer.text
    assert "<li>Row 2, phone: This is not a phone number." in answer.text
    assert f"{OWNERS}\n555 &lt;b&gt;" in answer.text
    assert not is_stopped(web_app, OWNERS)


def test_uploaded_file_can_be_corrected_on_the_page(admin: WebClient, consent_history: None) -> None:
    answer = upload(admin, STOPS, b"\xef\xbb\xbfphone,reason\n555,left\n")
    assert answer.status_code == 422
    assert "phone,reason\n555,left" in answer.text


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"\x00", b"caf\x81", b" "])
def test_binary_file_is_rejected_and_pasted_text_kept(admin: WebClient, consent_history: None, content: bytes) -> None:
    answer = upload(admin, STOPS, content, text="+12025550177")
    assert answer.status_code == 422
    assert "+12025550177</textarea>" in answer.text


def test_an_empty_import_is_refused(admin: WebClient, consent_history: None) -> None:
    for path in (STOPS, OPT_INS):
        answer = admin.post(path, text="\x00")
        assert answer.status_code == 422
        assert find_page_problems(answer.text) == []


def test_large_pasted_file_is_accepted(web_app: Flask, admin: WebClient, sms_enabled: None) -> None:
    lines = [f"+1202{200 + place // 10_000}{place % 10_000:04d},,{'r' * 60}" for place in range(15_000)]
    text = "\n".join(["phone,stopped_at,reason", *lines])
    assert len(text) > 1_048_576
    preview = submit_pasted(admin, STOPS, text)
    assert "15,000 numbers get no more texts." in preview.text
    assert submit_pasted(admin, STOPS, text, confirmed=confirmed_digest(preview)).status_code == 303
    assert len(ledger_kinds(web_app)) == 15_000 + 1


def test_too_large_file_is_rejected_with_a_page(admin: WebClient, sms_enabled: None) -> None:
    answer = upload(admin, OPT_INS, b"1" * 17 * 1024 * 1024)
    assert answer.status_code == 413
    assert find_page_problems(answer.text) == []
    assert "Split it and import its parts" in answer.text
    assert "<h2>Import opt-ins</h2>" in answer.text


def test_opt_in_preview_gives_reasons_for_evidence_only(
    web_app: Flask, admin: WebClient, consent_history: None
) -> None:
    lines = [f"P-1,{OTHER},2026-01-02,Form", f"P-2,{OWNERS},2026-01-02,Form", "V-1,+12025550177,2026-01-02,Form"]
    text = "\n".join(["external_id,phone,opted_in_at,evidence", *lines])
    preview = admin.post(OPT_INS, text=text)
    assert find_page_problems(preview.text) == []
    assert "Row 2, P-1, (202) 555-0155: The number is opted out" in preview.text
    assert "Row 3, P-2, (202) 555-0101: Another account gets this number’s texts." in preview.text
    admin.post(OPT_INS, text=text, confirmed=confirmed_digest(preview))
    page = admin.get(LEDGER).text
    assert "1 opt-in is in force. 2 are kept as evidence only. 2 numbers were added to an account." in page
    assert is_stopped(web_app, OTHER)


def test_evidence_is_exported_as_csv_json_and_print_page(admin: WebClient, consent_history: None) -> None:
    table = admin.get(f"{LEDGER}/Evidence/csv?kind=stop")
    assert table.mimetype == "text/csv"
    assert re.match(r"attachment; filename=consent-evidence-[\d-]{10}\.csv$", table.headers["Content-Disposition"])
    assert table.text.startswith('\ufeff"event","number","description",')
    assert len(table.text.splitlines()) == 3
    found = json.loads(admin.get(f"{LEDGER}/Evidence/json?number=%2B12025550155").text)
    assert [event["event"]["text"] for event in found["events"]] == ["please stop texting me"]
    assert found["time_zone"] == "America/New_York"
    printed = admin.get(f"{LEDGER}/Evidence/print?number=%2B12025550101").text
    assert "print.css" in printed
    assert "the number (202) 555-0101 (+12025550101)" in printed
    assert len(re.findall(r"<code>[0-9a-f]{64}</code>", printed)) == 2 * 3 + 1


def test_auto_reply_is_in_the_history_and_the_print_page(
    web_app: Flask, admin: WebClient, consent_history: None
) -> None:
    receive_text(web_app, "no more texts", NEW)
    for path in (f"{LEDGER}/Numbers/{NEW}", f"{LEDGER}/Evidence/print?number=%2B12025550166"):
        page = admin.get(path).text
        assert "you are opted out and will get no more texts" in page, path
        assert "SMS → Answer to STOP, version 0" in page, path


def test_export_file_name_does_not_contain_the_number(admin: WebClient, consent_history: None) -> None:
    answer = admin.get(f"{LEDGER}/Evidence/csv?number=%2B12025550101")
    assert "5550101" not in answer.headers["Content-Disposition"]


@pytest.mark.parametrize("day", ["2025-01-01", "2024-12-31", "2026-03-01"])
def test_day_is_shown_as_that_day_in_every_time_zone(
    web_app: Flask, admin: WebClient, consent_history: None, day: str
) -> None:
    """The reader's zone is behind UTC, in which the day before has not ended when this one begins."""
    text = f"external_id,phone,opted_in_at,evidence\nV-1,{NEW},{day},Form\n"
    preview = admin.post(OPT_INS, text=text)
    assert admin.post(OPT_INS, text=text, confirmed=confirmed_digest(preview)).status_code == 303
    found = date.fromisoformat(day)
    shown = f'<time datetime="{day}">{found.day} {found:%B %Y}</time>'
    with web_app.app_context():
        account = db.session.scalars(select(Account.id).where(Account.external_id == "V-1")).one()
    assert shown in admin.get(f"{LEDGER}?from={day}&to={day}").text
    assert shown not in admin.get(f"{LEDGER}?from=2023-01-01&to=2024-12-30").text
    assert admin.get(f"{LEDGER}/Numbers/{NEW}").text.count(shown) == 3
    assert f"since {shown}" in admin.get(f"/Admin/Accounts/{account}").text
    assert f"since {shown}" in admin.post(OPT_OUT, number=NEW, channel="phone", reason="Rang us").text
    assert f"{day} (only the day is known)" in admin.get(f"{LEDGER}/Evidence/print?number=%2B12025550166").text
    table = admin.get(f"{LEDGER}/Evidence/csv?number=%2B12025550166").text
    assert f'"{day}","{day}"' in table
    exported = json.loads(admin.get(f"{LEDGER}/Evidence/json?number=%2B12025550166").text)["events"][0]
    assert (exported["occurred_at"], exported["occurred_at_local"]) == (day, day)
