"""The consent ledger: who may see it, search, verification and export."""

import json
import re
from datetime import date

import pytest
from flask import Flask
from sqlalchemy import select

from portal.accounts.tables.accounts import Account
from portal.consent import recording
from portal.consent.rules.consent_state import EventKind
from portal.consent.tables.ledger import ChainHead, ConsentEvent
from portal.core.extensions import db
from portal.core.transaction import transaction
from portal.web.admin import consent_pages
from tests.support.html_checks import find_page_problems
from tests.support.web_client import WebClient
from tests.web.admin.consent_helpers import (
    LEDGER,
    NEW,
    NUMBER,
    OPT_INS,
    OPT_OUT,
    OTHER,
    OWNERS,
    REPLIES,
    STOPS,
    confirmed_digest,
    current_ms,
    ledger_kinds,
    receive_text,
    reply_id,
    run_import_tasks,
    submit_opt_out,
    switch_texts_off,
)

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


def test_every_page_is_valid_html(admin: WebClient, consent_history: None) -> None:
    for path in PAGES:
        response = admin.get(path)
        assert (response.status_code, find_page_problems(response.text)) == (200, []), path


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
    assert "Texts are switched off, so none are sent." in admin.get(LEDGER).text
    assert 'href="/Admin/Consent"' in admin.get("/Admin/Accounts").text
    assert "Consent" not in number_owner.get("/MyAccount/PhoneNumbers").text


def test_only_administrators_see_the_pages(visitor: WebClient, number_owner: WebClient, consent_history: None) -> None:
    for path in [*PAGES, *FILES]:
        assert (number_owner.get(path).status_code, visitor.get(path).status_code) == (404, 303), path


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
    assert "After this, its texts go to Olive Owner, P-1." in page
    assert page.index("START from the phone") < page.index("STOP from the phone"), "newest first"


@pytest.mark.parametrize(
    ("query", "numbers"),
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
def test_ledger_page_is_filtered(admin: WebClient, consent_history: None, query: str, numbers: set[str]) -> None:
    page = admin.get(f"{LEDGER}?{query}").text
    assert {number for number in (OWNERS, OTHER) if f"/Numbers/{number}" in page} == numbers


def test_htmx_gets_only_the_list(admin: WebClient, consent_history: None) -> None:
    assert admin.get(LEDGER, headers={"HX-Request": "true"}).text.lstrip().startswith('<section id="events"')


def test_ledger_page_is_paginated(web_app: Flask, admin: WebClient, sms_enabled: None) -> None:
    with web_app.app_context(), transaction():
        for index in range(50):
            recording.record(f"+1202555{1000 + index}", EventKind.STOP, "handset", current_ms(), current_ms())
    first = admin.get(LEDGER).text
    older = re.search(r'href="([^"]+)" rel="next"', first)
    assert older
    second = admin.get(older.group(1)).text
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


def test_page_actions_record_the_actor_and_address(
    web_app: Flask, admin: WebClient, number_owner: WebClient, consent_history: None
) -> None:
    """An administrator opts out, moves, decides and imports; the owner confirms and removes a number."""
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
    run_import_tasks(web_app)
    admin.post(OPT_INS, text=opt_ins, confirmed=confirmed_digest(admin.post(OPT_INS, text=opt_ins)))
    run_import_tasks(web_app)
    submit_opt_out(admin, number=OWNERS, channel="phone", reason="Rang us")
    number_owner.post("/MyAccount/PhoneNumbers/1/remove")
    with web_app.app_context():
        query = select(ConsentEvent).where(ConsentEvent.id > last).order_by(ConsentEvent.id)
        recorded = [
            (event.kind, event.ip, event.user_agent, bool(event.actor_id)) for event in db.session.scalars(query)
        ]
    kinds = ["confirmed", "moved", "stop", "stop", "opt_in", "stop", "removed"]
    assert recorded == [(kind, "203.0.113.9", "A browser", True) for kind in kinds]


def test_evidence_is_exported_as_csv_json_and_print_page(admin: WebClient, consent_history: None) -> None:
    table = admin.get(f"{LEDGER}/Evidence/csv?kind=stop")
    assert table.mimetype == "text/csv"
    assert re.match(r"attachment; filename=consent-evidence-[\d-]{10}\.csv$", table.headers["Content-Disposition"])
    assert table.text.startswith('\ufeff"event","number","description",')
    assert len(table.text.splitlines()) == 3
    exported = json.loads(admin.get(f"{LEDGER}/Evidence/json?number=%2B12025550155").text)
    assert [event["event"]["text"] for event in exported["events"]] == ["please stop texting me"]
    assert exported["time_zone"] == "America/New_York"
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
        assert "SMS → Reply to STOP, version 0" in page, path


def test_export_file_name_does_not_contain_the_number(admin: WebClient, consent_history: None) -> None:
    response = admin.get(f"{LEDGER}/Evidence/csv?number=%2B12025550101")
    assert "5550101" not in response.headers["Content-Disposition"]


@pytest.mark.parametrize("day", ["2025-01-01", "2024-12-31", "2026-03-01"])
def test_day_is_shown_as_that_day_in_every_time_zone(
    web_app: Flask, admin: WebClient, consent_history: None, day: str
) -> None:
    """The reader's time zone is behind UTC: there, the day before has not ended when this day begins in UTC."""
    text = f"external_id,phone,opted_in_at,evidence\nV-1,{NEW},{day},Form\n"
    preview = admin.post(OPT_INS, text=text)
    assert admin.post(OPT_INS, text=text, confirmed=confirmed_digest(preview)).status_code == 303
    run_import_tasks(web_app)
    parsed = date.fromisoformat(day)
    time_element = f'<time datetime="{day}">{parsed:%b} {parsed.day}, {parsed.year}</time>'
    with web_app.app_context():
        account = db.session.scalars(select(Account.id).where(Account.external_id == "V-1")).one()
    assert time_element in admin.get(f"{LEDGER}?from={day}&to={day}").text
    assert time_element not in admin.get(f"{LEDGER}?from=2023-01-01&to=2024-12-30").text
    assert admin.get(f"{LEDGER}/Numbers/{NEW}").text.count(time_element) == 3
    assert f"since {time_element}" in admin.get(f"/Admin/Accounts/{account}").text
    assert f"since {time_element}" in admin.post(OPT_OUT, number=NEW, channel="phone", reason="Rang us").text
    assert f"{day} (only the day is known)" in admin.get(f"{LEDGER}/Evidence/print?number=%2B12025550166").text
    table = admin.get(f"{LEDGER}/Evidence/csv?number=%2B12025550166").text
    assert f'"{day}","{day}"' in table
    exported = json.loads(admin.get(f"{LEDGER}/Evidence/json?number=%2B12025550166").text)["events"][0]
    assert (exported["occurred_at"], exported["occurred_at_local"]) == (day, day)
