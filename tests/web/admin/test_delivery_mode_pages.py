"""Pages show test mode, overrides and provider outages."""

import pytest
from flask import Flask

from portal.content.message_templates import TemplateDraft, create_template
from portal.core.clock import now_ms
from portal.core.extensions import db
from portal.messages.tables.communications import Attempt, Delivery
from portal.settings.setting_changes import set_setting
from portal.settings.tables.sending_numbers import SendingNumber
from tests.support.html_checks import find_page_problems
from tests.support.page_queries import app_transaction, visible_text
from tests.support.web_client import WebClient

OVERRIDE, RECIPIENT = "+1 ••• 0177", "(202) 555-0101"


def set_delivery_state(app: Flask, delivery_id: int, state: str, mode: str, code: str = "") -> int:
    """Record an attempt in that mode, and return the id of the communication."""
    times = dict.fromkeys(("started_at_ms", "slot_at_ms", "lease_until_ms", "finished_at_ms"), 1)
    with app_transaction(app):
        delivery = db.session.get_one(Delivery, delivery_id)
        delivery.state, delivery.attempt_count, delivery.error_code = state, 1, code
        db.session.add(
            Attempt(id="a", delivery_id=delivery_id, mode=mode, destination="+12025550177", outcome="accepted", **times)
        )
        return delivery.communication_id


def test_pages_show_a_text_sent_to_the_override_number(
    web_app: Flask, number_owner: WebClient, admin: WebClient, ready_text_id: int
) -> None:
    communication_id = set_delivery_state(web_app, ready_text_id, "delivered", "override")
    for page in (
        number_owner.get(f"/MyAccount/CommunicationsHistory/{communication_id}").text,
        admin.get(f"/Admin/Communications/{communication_id}").text,
    ):
        assert "Override: delivered" in visible_text(page)
        assert f"It went to the override number {OVERRIDE}. It was meant for {RECIPIENT}." in visible_text(page)
        assert f"to {RECIPIENT}</span>" not in page
        assert find_page_problems(page) == []
    assert "Override: delivered" in visible_text(admin.get("/Admin/Communications").text)


@pytest.mark.parametrize(("state", "code"), [("simulated", ""), ("simulated_rejected", "21610")])
def test_pages_show_a_simulated_text(
    web_app: Flask, number_owner: WebClient, admin: WebClient, ready_text_id: int, state: str, code: str
) -> None:
    communication_id = set_delivery_state(web_app, ready_text_id, state, "test", code)
    page = visible_text(number_owner.get(f"/MyAccount/CommunicationsHistory/{communication_id}").text)
    assert f"Test mode: nothing was really sent. It was meant for {RECIPIENT}." in page
    assert "STOP" not in page
    assert f"to {RECIPIENT}</span>" not in admin.get(f"/Admin/Communications/{communication_id}").text
    progress = admin.get("/Admin/Sends/1").text
    assert "1 of 1 sent or simulated" in visible_text(progress)
    assert 'data-group="simulated"' in progress
    assert "“Simulated”: test mode was on, so nothing was really sent" in progress
    assert find_page_problems(progress) == []
    assert "1 simulated" in visible_text(admin.get("/Admin/Sends").text)
    assert "Notice for Olive Owner" in admin.get("/Admin/Communications?group=simulated&channel=sms").text
    assert "Notice for Olive Owner" not in admin.get("/Admin/Communications?group=delivered&channel=sms").text


def test_provider_outage_shows_on_every_admin_page(
    web_app: Flask, number_owner: WebClient, admin: WebClient, sysadmin: WebClient, ready_text_id: int
) -> None:
    with app_transaction(web_app):
        db.session.add(SendingNumber(number="+12025550199", next_free_at_us=0, paused_reason="", down_since_ms=1))
    for page in (admin.get("/Admin/Sends").text, admin.get("/Admin/Accounts").text):
        assert "Twilio does not answer Texts wait, and none is lost." in visible_text(page)
        assert find_page_problems(page) == []
    assert "The SMS gateway is not responding, so the time of the last text is not known." in visible_text(
        admin.get("/Admin/Sends/1").text
    )
    assert "Not reachable The provider stopped responding" in visible_text(sysadmin.get("/SysAdmin/Queues").text)
    assert "does not answer" not in number_owner.get("/MyAccount/CommunicationsHistory").text
    with app_transaction(web_app):
        delivery = db.session.get_one(Delivery, ready_text_id)
        delivery.state, delivery.state_changed_at_ms = "unknown", now_ms()
    assert "Twilio does not answer" in visible_text(admin.get("/Admin/Sends").text)
    with app_transaction(web_app):
        db.session.get_one(Delivery, ready_text_id).state = "canceled"
    assert "does not answer" not in admin.get("/Admin/Sends").text, "no text is waiting"


SIMULATED_OUTCOMES = [
    # settings, banner texts, button label
    ({}, ["Live", "Texts reach real phones."], "Send 1 email and 1 text"),
    (
        {"EnableSmsTestMode": "true"},
        ["so none reaches a phone. Emails go to their recipients."],
        "Send 1 real email; 1 simulated text",
    ),
    (
        {"SmsOverrideNumber": "+14155550199", "EnableSmsOverrideNumber": "true"},
        ["Override → +1 ••• 0199", "Emails go to their recipients."],
        "Send 1 real email; 1 text to the override number",
    ),
    (
        {"EmailOverrideAddress": "rehearsals@example.org", "EnableEmailOverride": "true"},
        ["Texts reach real phones.", "Email override → r•••@example.org", "except emails about passwords"],
        "Send 1 email to the override address; 1 real text",
    ),
    (
        {"EmailOverrideAddress": "rehearsals@example.org", "EnableEmailOverride": "true", "EnableSmsTestMode": "true"},
        ["Emails go to the override address.", "Email override → r•••@example.org"],
        "Send 1 email to the override address; 1 simulated text",
    ),
]


@pytest.mark.parametrize(("changes", "banners", "button"), SIMULATED_OUTCOMES)
def test_banner_and_button_describe_the_delivery_mode(
    web_app: Flask, admin: WebClient, sms_enabled: None, changes: dict[str, str], banners: list[str], button: str
) -> None:
    test_settings = {
        "TestSmsGatewayAuthentication": f'{{"AccountSid": "AC{"1" * 32}", "AuthToken": "a-test-token"}}',
        "TestSmsGatewaySettings": '{"FromNumber": "+15005550006"}',
    }
    with web_app.app_context():
        for name, value in {**test_settings, **changes}.items():
            set_setting(name, value, None, now_ms())
        create_template(TemplateDraft("notice", "Notice", "Notice", "Hello.", True, True), None, now_ms())
    page = admin.post(
        "/Admin/Sends/confirm",
        template="notice",
        audience_type="external_ids",
        external_ids="P-1",
        form_id="n-0123456789",
    ).text
    assert f"{button}<" in page
    assert find_page_problems(page) == []
    for banner in banners:
        assert banner in visible_text(page)


def test_pages_show_an_email_sent_to_the_override_address(
    web_app: Flask, number_owner: WebClient, admin: WebClient, sent_communications: dict[str, int]
) -> None:
    with app_transaction(web_app):
        delivery = (
            db.session.query(Delivery).filter_by(communication_id=sent_communications["P-1"], channel="email").one()
        )
        delivery.state, delivery.attempt_count = "handed_off", 1
        times = dict.fromkeys(("started_at_ms", "slot_at_ms", "lease_until_ms", "finished_at_ms"), 1)
        db.session.add(
            Attempt(
                id="a",
                delivery_id=delivery.id,
                mode="override",
                destination="r@example.org",
                outcome="accepted",
                **times,
            )
        )
    for page in (
        number_owner.get(f"/MyAccount/CommunicationsHistory/{sent_communications['P-1']}").text,
        admin.get(f"/Admin/Communications/{sent_communications['P-1']}").text,
    ):
        assert "Override: sent" in visible_text(page)
        assert "It went to the override address r•••@example.org. It was meant for owner@example.org." in visible_text(
            page
        )
