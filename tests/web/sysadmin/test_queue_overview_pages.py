"""System → queues: access, the overview and its buttons."""

import re

import pytest
from flask import Flask

from portal.consent import recording
from portal.consent.rules.consent_state import EventKind, EventSource
from portal.consent.tables.consent_reports import ReportState, end_reports
from portal.core.clock import now_ms
from portal.core.extensions import db
from portal.delivery import maintenance
from portal.messages.tables.communications import Attempt
from portal.messages.tables.lane_state import all_lanes
from portal.sends.fan_out import fan_out_send
from portal.sends.send_creation import create_send
from portal.settings.tables.sending_numbers import SendingNumber
from tests.support import settings_cache
from tests.support.html_checks import find_page_problems
from tests.support.page_queries import (
    AUDIT_LOG_PATH,
    QUEUES_PATH,
    SENT_NOTICE,
    UNRESOLVED_TEXTS_PATH,
    app_transaction,
    audit_entries,
    visible_text,
)
from tests.support.web_client import NOW_MS, WebClient

ADDRESSES = (QUEUES_PATH, f"{QUEUES_PATH}/now", AUDIT_LOG_PATH)
POSTS = (
    f"{QUEUES_PATH}/everything/pause",
    f"{QUEUES_PATH}/lanes/sms/bulk/pause",
    f"{QUEUES_PATH}/sends/1/pause",
    f"{QUEUES_PATH}/senders/resume",
    f"{QUEUES_PATH}/mail/try",
    f"{QUEUES_PATH}/consent/try",
)


def paused_lanes(app: Flask) -> list[tuple[str, int]]:
    with app.app_context():
        return [(row.channel, row.lane) for row in all_lanes() if row.paused_at_ms]


@pytest.mark.parametrize("address", ADDRESSES)
def test_pages_are_for_sysadmins_only(
    number_owner: WebClient,
    admin: WebClient,
    visitor: WebClient,
    sysadmin: WebClient,
    unknown_text_id: int,
    address: str,
) -> None:
    clients = (number_owner, admin, visitor, sysadmin)
    assert [client.get(address).status_code for client in clients] == [
        404,
        404,
        303,
        200,
    ]


@pytest.mark.parametrize("address", POSTS)
def test_only_sysadmins_control_the_queues(
    number_owner: WebClient, admin: WebClient, web_app: Flask, sent_communications: dict[str, int], address: str
) -> None:
    assert number_owner.post(address).status_code == admin.post(address).status_code == 404
    assert paused_lanes(web_app) == []
    done = [entry for entry in audit_entries(web_app) if entry[0] != "access_denied"]
    assert done == SENT_NOTICE


def test_empty_pages_are_valid(web_app: Flask, sysadmin: WebClient, admin: WebClient, sms_enabled: None) -> None:
    for address in (QUEUES_PATH, AUDIT_LOG_PATH):
        assert find_page_problems(sysadmin.get(address).text) == []


def test_pages_are_valid_while_texts_are_being_sent(
    web_app: Flask, sysadmin: WebClient, admin: WebClient, foreign_account_text_id: int
) -> None:
    sysadmin.post(f"{QUEUES_PATH}/lanes/sms/bulk/pause")
    admin.post("/Admin/Sends/1/pause")
    with app_transaction(web_app):
        db.session.add(SendingNumber(number="+12025550199", paused_reason="20003: wrong", paused_at_ms=NOW_MS))
    for address in (
        QUEUES_PATH,
        f"{UNRESOLVED_TEXTS_PATH}/{foreign_account_text_id}",
        AUDIT_LOG_PATH,
        "/Admin/Sends",
        "/Admin/Sends/1",
        "/Admin/Sends/1/cancel",
    ):
        assert find_page_problems(sysadmin.get(address).text) == [], address


def test_overview_fragment_polls_and_matches_the_page(sysadmin: WebClient, ready_text_id: int) -> None:
    overview = sysadmin.get(f"{QUEUES_PATH}/now").text
    assert overview.lstrip().startswith('<div id="queues"')
    assert f'hx-get="{QUEUES_PATH}/now" hx-trigger="every 5s"' in overview
    assert visible_text(overview) in visible_text(sysadmin.get(QUEUES_PATH).text)


def test_lane_shows_waiting_count_and_age(sysadmin: WebClient, ready_text_id: int) -> None:
    overview = visible_text(sysadmin.get(f"{QUEUES_PATH}/now").text)
    assert re.search(r"Bulk texts 1 0 \w{3} \d+, (\d{4}|\d+:\d\d [AP]M) Open Pause", overview)
    assert "Urgent texts 0 0 None Open" in overview
    assert re.search(r"Bulk emails 6 0 \w{3} \d", overview)


def test_lane_shows_texts_with_unknown_outcome(sysadmin: WebClient, unknown_text_id: int) -> None:
    assert "and 1 with unknown outcome" in visible_text(sysadmin.get(f"{QUEUES_PATH}/now").text)


def test_button_pauses_and_resumes_a_lane(web_app: Flask, sysadmin: WebClient, ready_text_id: int) -> None:
    answer = sysadmin.post(f"{QUEUES_PATH}/lanes/sms/bulk/pause")
    assert (answer.status_code, answer.location) == (303, QUEUES_PATH)
    page = visible_text(sysadmin.get(QUEUES_PATH).text)
    assert "The lane of bulk texts is paused." in page
    assert "Paused just now by Name of S-1" in page
    assert "Lane paused: bulk texts" in page
    assert "The lane of this send is paused" in page
    assert paused_lanes(web_app) == [("sms", 1)]
    sysadmin.post(f"{QUEUES_PATH}/lanes/sms/bulk/resume")
    assert "Lane paused" not in sysadmin.get(QUEUES_PATH).text
    assert audit_entries(web_app) == [*SENT_NOTICE, ("lane_paused", "sms bulk"), ("lane_resumed", "sms bulk")]


def test_all_lanes_are_paused_and_resumed_at_once(web_app: Flask, sysadmin: WebClient) -> None:
    sysadmin.post(f"{QUEUES_PATH}/everything/pause")
    assert len(paused_lanes(web_app)) == 4
    page = sysadmin.get(QUEUES_PATH).text
    assert "Resume everything" in page
    assert "Pause everything" not in page
    sysadmin.post(f"{QUEUES_PATH}/everything/resume")
    assert paused_lanes(web_app) == []


def test_page_works_without_redis(sysadmin: WebClient, ready_text_id: int) -> None:
    page = visible_text(sysadmin.get(QUEUES_PATH).text)
    assert "The queue accepts no work. The socket in PORTAL_REDIS_URL does not exist." in page
    assert "Nothing is lost" in page
    assert "Redis Accepts no work" in page


def test_missing_processes_are_named(web_app: Flask, sysadmin: WebClient, ready_text_id: int) -> None:
    with web_app.app_context():
        maintenance.record_heartbeat("another", "worker:email", now_ms() - 600_000)
    page = visible_text(sysadmin.get(QUEUES_PATH).text)
    assert "Worker for email: not running. Its last heartbeat was 10 minutes ago" in page
    assert "Scheduler: not running. It has never had a heartbeat" in page
    assert "Worker for texts: not running" not in page


def test_sending_number_shows_rates_and_why_it_is_blocked(
    web_app: Flask, sysadmin: WebClient, unknown_text_id: int
) -> None:
    with app_transaction(web_app):
        db.session.get_one(Attempt, "attempt-1").slot_at_ms = now_ms() - 1_000
        db.session.add(SendingNumber(number="+12025550199", paused_reason="20003: No", paused_at_ms=now_ms() - 120_000))
        db.session.add(
            SendingNumber(number="+12025550188", consecutive_failures=9, retry_at_us=(now_ms() + 45_000) * 1000)
        )
    page = visible_text(sysadmin.get(QUEUES_PATH).text)
    assert "1 segment/s 0.1/s 10 %" in page
    assert "Paused 2 minutes ago 20003: No Resume sending" in page
    assert "Waiting No response to 9 calls in a row" in page
    assert "Not in use" in page


def test_number_is_resumed_only_if_twilio_checks_pass(
    web_app: Flask, sysadmin: WebClient, ready_text_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    with app_transaction(web_app):
        db.session.add(SendingNumber(number="+12025550199", paused_reason="20003: No", paused_at_ms=NOW_MS))
    monkeypatch.setattr(
        "portal.operations.diagnostics.resume_blocker", lambda _checks: "Twilio refuses the credentials."
    )
    sysadmin.post(f"{QUEUES_PATH}/senders/resume")
    assert "Twilio refuses the credentials." in sysadmin.get(QUEUES_PATH).text
    assert audit_entries(web_app) == SENT_NOTICE
    monkeypatch.setattr("portal.operations.diagnostics.resume_blocker", lambda _checks: None)
    sysadmin.post(f"{QUEUES_PATH}/senders/resume")
    assert "Sending resumed" in sysadmin.get(QUEUES_PATH).text
    assert audit_entries(web_app) == [*SENT_NOTICE, ("sender_resumed", "the sending number")]


def test_send_in_progress_can_be_paused_and_resumed(web_app: Flask, sysadmin: WebClient, ready_text_id: int) -> None:
    page = visible_text(sysadmin.get(QUEUES_PATH).text)
    assert "Notice for [full name]" in page
    assert "100 %" in page
    assert re.search(r"About \d+:\d\d [AP]M", page)
    assert sysadmin.post(f"{QUEUES_PATH}/sends/1/pause").location == f"{QUEUES_PATH}#sends"
    assert "This send is paused" in sysadmin.get(QUEUES_PATH).text
    sysadmin.post(f"{QUEUES_PATH}/sends/1/resume")
    assert "This send is paused" not in sysadmin.get(QUEUES_PATH).text


def test_menu_links_the_pages_for_sysadmins(admin: WebClient, sysadmin: WebClient) -> None:
    for address, name in ((QUEUES_PATH, "Queues"), (AUDIT_LOG_PATH, "Audit log")):
        assert re.search(rf'href="{address}"[^>]*>{name}<', sysadmin.get("/Admin/Sends").text)
        assert f'href="{address}"' not in admin.get("/Admin/Sends").text


def test_new_send_is_shown_with_the_waiting_one(web_app: Flask, sysadmin: WebClient, ready_text_id: int) -> None:
    with web_app.app_context():
        second = create_send("notice", {"all": True}, {}, None, now_ms())
        fan_out_send(second, now_ms)
    assert visible_text(sysadmin.get(QUEUES_PATH).text).count(" 50 %") == 2


def test_pause_of_all_lanes_is_one_line_of_the_banner(sysadmin: WebClient, ready_text_id: int) -> None:
    sysadmin.post(f"{QUEUES_PATH}/everything/pause")
    banner = sysadmin.get("/Admin/Mode").text
    assert "Everything is paused" in banner
    assert "Lane paused" not in banner
    sysadmin.post(f"{QUEUES_PATH}/lanes/sms/bulk/resume")
    banner = sysadmin.get("/Admin/Mode").text
    assert "Everything is paused" not in banner
    assert banner.count("Lane paused") >= 3


def test_what_twilio_refused_to_learn_can_be_tried_again(web_app: Flask, sysadmin: WebClient) -> None:
    reason = "Twilio does not accept the phone number."
    with web_app.app_context():
        settings_cache.apply_settings({"ReportConsentToTwilio": "true"})
    with app_transaction(web_app):
        event_id = recording.record("+12025550177", EventKind.STOP, EventSource.MANUAL, NOW_MS, NOW_MS)
        end_reports([event_id], ReportState.REFUSED, NOW_MS, reason)
    assert reason in visible_text(sysadmin.get(QUEUES_PATH).text)
    sysadmin.post(f"{QUEUES_PATH}/consent/try")
    assert reason not in visible_text(sysadmin.get(QUEUES_PATH).text)
