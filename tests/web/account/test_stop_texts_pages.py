"""Stopping texts on a page, and the ways back: START by one tap, by a code or by hand."""

import re

import pytest
from flask import Flask

from portal.consent.rules.consent_state import EventKind, EventSource
from portal.core.clock import now_ms
from portal.settings import setting_changes
from tests.support.html_checks import find_page_problems
from tests.support.web_client import WebClient
from tests.web.account.opt_in_helpers import (
    HOUR_MS,
    HTMX,
    LIST,
    NUMBER,
    ROW,
    SHOWN,
    account_id,
    current_ms,
    events,
    fingerprint_in,
    get_row,
    record_enabled,
    record_event,
    record_invitation,
    switch_texts,
)

pytestmark = pytest.mark.usefixtures("number_without_history", "sms_enabled")
STOP = f"{ROW}/StopTexts"


def test_stop_on_a_page_is_recorded_like_a_stop_and_shown_at_once(web_app: Flask, number_owner: WebClient) -> None:
    record_enabled(web_app, HOUR_MS)
    seen = fingerprint_in(get_row(number_owner).text)
    confirmation = number_owner.get(STOP).text
    assert find_page_problems(confirmation) == []
    assert "Only a text with the word START from that phone does." in confirmation
    for _click in range(2):
        assert number_owner.post(STOP).status_code == 303
    (event,) = events(web_app, EventKind.STOP)
    with web_app.app_context():
        assert (event.number, event.source) == (NUMBER, EventSource.PORTAL)
        assert event.account_id == event.actor_id == account_id()
        assert event.ip
    page = number_owner.get(LIST).text
    assert f"Texts to {SHOWN} are stopped." in page
    assert "Last change: Texts stopped on a page of the portal" in page
    assert "Texts stopped" in get_row(number_owner, seen=seen).text
    record_event(web_app, EventKind.START, text="START")
    assert "Last change: START from the phone" in number_owner.get(LIST).text


def test_only_the_account_that_gets_the_texts_can_stop_them(
    web_app: Flask, number_owner: WebClient, other_user: WebClient
) -> None:
    record_enabled(web_app, HOUR_MS)
    other_user.post(LIST, number=NUMBER)
    assert "Stop texts" not in other_user.get(LIST).text
    assert other_user.get(STOP).status_code == other_user.post(STOP).status_code == 404
    assert (
        other_user.get(f"{LIST}/2/StopTexts").status_code == other_user.post(f"{LIST}/2/StopTexts").status_code == 303
    )
    assert "This account gets no texts at this number." in other_user.get(LIST).text
    switch_texts(web_app, on=False)
    assert number_owner.post(STOP).status_code == 404
    assert events(web_app, EventKind.STOP) == []


def test_start_is_one_tap_or_a_code_away_where_it_helps(web_app: Flask, number_owner: WebClient) -> None:
    with web_app.app_context():
        setting_changes.set_setting("SmsGatewaySettings", '{"FromNumber": "+12025550199"}', None, now_ms())
    record_invitation(web_app, HOUR_MS)
    assert "sms:" in number_owner.get(LIST).text
    record_enabled(web_app)
    assert "sms:" not in number_owner.get(LIST).text
    number_owner.post(STOP)
    page = number_owner.get(LIST).text
    assert find_page_problems(page) == []
    assert 'href="sms:+12025550199?&amp;body=START"' in page
    assert re.search(r'<svg role="img" aria-label="[^"]*START to \(202\) 555-0199"', page)


def test_open_page_stops_asking_after_an_hour_and_offers_a_link(web_app: Flask, number_owner: WebClient) -> None:
    record_enabled(web_app, HOUR_MS)
    seen, at_ms = fingerprint_in(get_row(number_owner).text), current_ms()
    assert number_owner.get(f"{ROW}?seen={seen}&until={at_ms + HOUR_MS}", headers=HTMX).status_code == 204
    settled = number_owner.get(f"{ROW}?seen={seen}&until={at_ms - 1}", headers=HTMX).text
    assert "hx-trigger" not in settled
    assert "<noscript>" not in settled
    assert re.search(rf'href="{ROW}">Check again', settled)
    assert re.search(rf'<noscript><p><a href="{ROW}">Check again', number_owner.get(LIST).text)
