"""Diagnostics on the test harness: access, results and buttons, with and without JavaScript."""

import json
import re
from dataclasses import replace

import pytest
import requests
from flask import Flask
from twilio.request_validator import RequestValidator

from portal.core.transaction import transaction
from portal.settings import setting_changes
from portal.settings.tables.sending_numbers import SendingNumber, paused_senders
from tests.operations.diagnostics.helpers import CHECK_COUNT
from tests.support import servers
from tests.support.html_checks import find_page_problems
from tests.support.web_client import AUTH_TOKEN, NOW_MS, PUBLIC_URL, WebClient

PAGE = "/SysAdmin/SmsNotificationsTestHarness"
CHECK = "/webhooks/twilio/check"
HTMX = {"HX_Request": "true"}


@pytest.fixture
def gateway_is_simulator(web_app: Flask, simulator: servers.SimulatorClient) -> servers.SimulatorClient:
    """The gateway is the simulator, and nothing listens at the public address."""
    portal = web_app.config["PORTAL"]
    public_url = f"https://127.0.0.1:{servers.free_port()}"
    web_app.config["PORTAL"] = replace(
        portal,
        twilio_api_url=simulator.url,
        smtp_url=simulator.smtp_url,
        public_url=public_url,
        trusted_hosts=("portal.example.org",),
    )
    values = {
        "EnableSmsNotifications": "false",
        "SmsGatewayAuthentication": json.dumps(servers.LIVE_CREDENTIALS),
        "SmsGatewaySettings": json.dumps({"FromNumber": servers.FROM_NUMBER}),
    }
    with web_app.app_context():
        for name, value in values.items():
            setting_changes.set_setting(name, value, None, NOW_MS)
    return simulator


@pytest.fixture
def paused_gateway(web_app: Flask, gateway_is_simulator: servers.SimulatorClient) -> None:
    with web_app.app_context(), transaction() as session:
        row = {"next_free_at_us": 0, "paused_reason": "The account is not active.", "paused_at_ms": NOW_MS}
        session.add(SendingNumber(number=servers.FROM_NUMBER, **row))


def verdicts_by_name(page: str) -> dict[str, str]:
    """In the order of the page."""
    rows = re.findall(r'<span class="tag"[^>]*>([^<]+)</span>\s*<strong>([^<]+)</strong>', page)
    return {name: verdict for verdict, name in rows}


@pytest.mark.parametrize("path", ["", "/doctor"])
def test_test_harness_is_for_sysadmins_only(
    visitor: WebClient, number_owner: WebClient, admin: WebClient, sysadmin: WebClient, path: str
) -> None:
    assert visitor.get(PAGE + path).status_code == 303
    assert number_owner.get(PAGE + path).status_code == admin.get(PAGE + path).status_code == 404
    assert sysadmin.get(PAGE + path, follow_redirects=True).status_code == 200
    assert PAGE in sysadmin.get("/Admin/Sends").text
    assert PAGE not in admin.get("/Admin/Sends").text


@pytest.mark.parametrize("step", ["doctor", "webhooks", "resume"])
def test_only_sysadmins_may_use_its_buttons(
    admin: WebClient, number_owner: WebClient, sysadmin: WebClient, step: str
) -> None:
    assert admin.post(f"{PAGE}/{step}").status_code == number_owner.post(f"{PAGE}/{step}").status_code == 404
    assert sysadmin.post_without_token(f"{PAGE}/{step}", {}).status_code == 400, "the form token is missing"
    assert sysadmin.get(f"{PAGE}/{step}").location == PAGE


def test_page_runs_no_checks_before_the_button_is_pressed(
    sysadmin: WebClient, gateway_is_simulator: servers.SimulatorClient
) -> None:
    page = sysadmin.get(PAGE)
    assert page.status_code == 200
    assert "Run diagnostics" in page.text
    assert verdicts_by_name(page.text) == {}
    assert find_page_problems(page.text) == []
    assert gateway_is_simulator.get("/simulator/log")["log"] == []


def test_whole_page_has_the_results_without_javascript(
    sysadmin: WebClient, gateway_is_simulator: servers.SimulatorClient
) -> None:
    answer = sysadmin.post(f"{PAGE}/doctor")
    assert answer.status_code == 200
    assert find_page_problems(answer.text) == []
    verdicts = verdicts_by_name(answer.text)
    assert len(verdicts) == CHECK_COUNT
    assert verdicts["Credentials"] == verdicts["Sending number"] == verdicts["Mail server"] == "OK"
    assert verdicts["Inbound address"] == verdicts["Signature round trip"] == verdicts["Workers"] == "Failing"
    assert verdicts["Registration"] == "Not checked"
    assert verdicts["Mode"] == "Warning"


def test_htmx_gets_only_the_results_failing_first(
    sysadmin: WebClient, gateway_is_simulator: servers.SimulatorClient
) -> None:
    answer = sysadmin.post_without_token(f"{PAGE}/doctor", {"csrf_token": sysadmin.csrf_token()}, **HTMX)
    assert answer.text.lstrip().startswith('<div id="diagnostics">')
    assert "<h1" not in answer.text
    assert len(verdicts_by_name(answer.text)) == CHECK_COUNT
    headings = re.findall(r"<h3[^>]*>(\w+)</h3>", answer.text)
    assert headings == ["Twilio", "Portal", "Mail"]
    worst = {"Failing": 0, "Warning": 1, "Not checked": 2, "OK": 3}
    for part in answer.text.split("<h3")[1:]:
        ranks = [worst[verdict] for verdict in verdicts_by_name(part).values()]
        assert ranks == sorted(ranks)


def test_page_shows_no_number_in_full(sysadmin: WebClient, gateway_is_simulator: servers.SimulatorClient) -> None:
    page = sysadmin.post(f"{PAGE}/doctor").text
    assert "+1 ••• 0100" in page
    main = page[page.index("<main") :]
    assert servers.FROM_NUMBER not in main
    assert "555-0100" not in main
    assert servers.LIVE_CREDENTIALS["AuthToken"] not in page


@pytest.mark.parametrize("headers", [{}, HTMX], ids=["page", "htmx"])
def test_button_sets_both_addresses_at_twilio(
    web_app: Flask, sysadmin: WebClient, gateway_is_simulator: servers.SimulatorClient, headers: dict[str, str]
) -> None:
    page = sysadmin.post(f"{PAGE}/doctor").text
    assert page.count("Set both addresses at Twilio") == 1
    assert f"<code>{web_app.config['PORTAL'].public_url}/webhooks/twilio/inbound</code>" in page
    answer = sysadmin.post_without_token(f"{PAGE}/webhooks", {"csrf_token": sysadmin.csrf_token()}, **headers)
    assert answer.status_code == 200
    assert "Both addresses are set at Twilio." in answer.text
    assert verdicts_by_name(answer.text)["Inbound address"] == "OK"
    account_sid, auth_token = servers.LIVE_CREDENTIALS.values()
    account = f"{gateway_is_simulator.url}/2010-04-01/Accounts/{account_sid}/IncomingPhoneNumbers.json"
    (number,) = requests.get(account, auth=(account_sid, auth_token), timeout=10).json()["incoming_phone_numbers"]
    assert number["sms_url"] == f"{web_app.config['PORTAL'].public_url}/webhooks/twilio/inbound"


def test_refusal_by_twilio_is_shown_with_the_results(
    sysadmin: WebClient, gateway_is_simulator: servers.SimulatorClient
) -> None:
    gateway_is_simulator.set_faults(rules=[{"kind": "401", "call": "number"}])
    answer = sysadmin.post(f"{PAGE}/webhooks")
    assert answer.status_code == 409
    assert "Nothing was set at Twilio." in answer.text
    assert verdicts_by_name(answer.text)["Inbound address"] == "Failing"


@pytest.mark.usefixtures("paused_gateway")
def test_button_resumes_sending_once_the_twilio_checks_pass(
    web_app: Flask, sysadmin: WebClient, gateway_is_simulator: servers.SimulatorClient
) -> None:
    page = sysadmin.post(f"{PAGE}/doctor").text
    assert "Resume sending" in page
    gateway_is_simulator.set_faults(account={"status": "suspended"})
    rejected = sysadmin.post(f"{PAGE}/resume")
    assert rejected.status_code == 409
    assert "Sending stays paused. Account: The account is suspended." in rejected.text
    gateway_is_simulator.set_faults()
    sysadmin.post(f"{PAGE}/webhooks")
    resumed = sysadmin.post(f"{PAGE}/resume")
    assert resumed.status_code == 200
    assert "Sending resumed" in resumed.text
    assert "Resume sending" not in resumed.text
    with web_app.app_context():
        assert paused_senders() == []


def test_buttons_appear_only_for_what_they_fix(
    sysadmin: WebClient, gateway_is_simulator: servers.SimulatorClient
) -> None:
    sysadmin.post(f"{PAGE}/webhooks")
    page = sysadmin.post(f"{PAGE}/doctor").text
    assert "Set both addresses at Twilio" not in page
    assert "Resume sending" not in page


@pytest.mark.usefixtures("sms_enabled")
def test_check_webhook_accepts_signed_posts_only(visitor: WebClient) -> None:
    form = {"CheckOf": "signatures"}
    signature = RequestValidator(AUTH_TOKEN).compute_signature(f"{PUBLIC_URL}{CHECK}?attempt=1", form)
    headers = {"X-Twilio-Signature": signature}
    answer = visitor.client.post(f"{CHECK}?attempt=1", data=form, headers=headers)
    assert (answer.status_code, answer.data) == (204, b"")
    assert visitor.client.post(f"{CHECK}?attempt=2", data=form, headers=headers).status_code == 403
    assert visitor.client.post(CHECK, data=form).status_code == 403
    assert visitor.client.get(CHECK).status_code == 405
