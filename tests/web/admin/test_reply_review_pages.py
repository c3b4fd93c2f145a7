"""Replies to review: opt out, move, dismiss."""

import json
import re

import pytest
from flask import Flask
from sqlalchemy import select

from portal.accounts.tables.accounts import Account
from portal.accounts.tables.phone_numbers import PhoneNumber
from portal.consent import inbound_processing
from portal.core.extensions import db
from portal.core.transaction import transaction
from portal.settings import setting_changes
from tests.support.html_checks import find_page_problems
from tests.support.web_client import WebClient
from tests.web.admin.consent_helpers import (
    HTMX,
    LEDGER,
    NEW,
    OTHER,
    REPLIES,
    current_ms,
    is_stopped,
    ledger_kinds,
    receive_text,
    reply_id,
)


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


def test_reply_opt_out_needs_a_confirmation_page(web_app: Flask, admin: WebClient, consent_history: None) -> None:
    path = f"{REPLIES}/{reply_id(web_app)}/OptOut"
    assert path in admin.get(REPLIES).text
    page = admin.get(path).text
    assert find_page_problems(page) == []
    assert "Stan Stranger, P-2, gets no texts there now." in page
    assert "who is this &lt;b&gt;?" in page
    admin.post(f"{REPLIES}/{reply_id(web_app)}", decision="nothing")
    assert admin.get(path).status_code == 404


def test_menu_counts_replies_to_review(web_app: Flask, admin: WebClient, consent_history: None) -> None:
    assert re.search(r'id="open-replies-in-menu"[^>]*>1<', admin.get("/Admin/Accounts").text)
    admin.post(f"{REPLIES}/{reply_id(web_app)}", decision="nothing")
    assert re.search(r'id="open-replies-in-menu"[^>]* hidden>', admin.get("/Admin/Accounts").text)


def test_reply_is_decided_with_one_click_and_names_the_actor(
    web_app: Flask, admin: WebClient, consent_history: None
) -> None:
    assert "who is this &lt;b&gt;?" in admin.get(REPLIES).text
    response = admin.post(f"{REPLIES}/{reply_id(web_app)}", decision="stop")
    assert response.status_code == 303
    assert "No replies are waiting." in admin.get(REPLIES).text
    decided = admin.get(f"{REPLIES}?show=decided").text
    assert re.search(r"Opted the number out</span> Name of A-1, <time", decided)
    assert is_stopped(web_app, OTHER)


def test_htmx_gets_the_reply_and_the_new_counts(web_app: Flask, admin: WebClient, consent_history: None) -> None:
    fields = {"csrf_token": admin.csrf_token(), "decision": "nothing"}
    response = admin.post_without_token(f"{REPLIES}/{reply_id(web_app)}", fields, **HTMX)
    assert "Closed without action</span> Name of A-1" in response.text
    assert response.text.count('hx-swap-oob="true"') == 2


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
def test_unknown_decision_is_rejected(web_app: Flask, admin: WebClient, consent_history: None, decision: str) -> None:
    response = admin.post(f"{REPLIES}/{reply_id(web_app)}", decision=decision, account_id="x")
    assert response.status_code == 303
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
    assert "After this, its texts go to Name of V-2, V-2." in admin.get(f"{LEDGER}/Numbers/{OTHER}").text
