"""The form for a test text: sending numbers, and rejected input."""

import json
import re

import pytest
from flask import Flask

from portal.settings import setting_changes
from tests.support import servers
from tests.support.html_checks import find_page_problems
from tests.support.page_queries import visible_text
from tests.support.web_client import NOW_MS, WebClient

PAGE = "/SysAdmin/SmsNotificationsTestHarness"
SECOND = "+12025550101"
PHONE = "+14155550123"


@pytest.fixture
def several_numbers(web_app: Flask) -> None:
    sender = {"FromNumber": servers.FROM_NUMBER, "MoreNumbers": [SECOND]}
    set_up(web_app, SmsGatewayAuthentication=servers.LIVE_CREDENTIALS, SmsGatewaySettings=sender)


def set_up(app: Flask, **values: object) -> None:
    with app.app_context():
        for name, value in values.items():
            setting_changes.set_setting(name, json.dumps(value), None, NOW_MS)


def choices(page: str) -> list[str]:
    select = re.search(r'<select id="field-sender".*?</select>', page, re.DOTALL)
    return re.findall(r"<option[^>]*>([^<]+)</option>", select[0]) if select else []


def test_each_of_several_sending_numbers_can_be_chosen(several_numbers: None, sysadmin: WebClient) -> None:
    page = sysadmin.get(PAGE).text
    assert choices(page) == ["The usual number", "(202) 555-0100", "(202) 555-0101"]
    assert find_page_problems(page) == []
    steps = sysadmin.get(sysadmin.post(f"{PAGE}/texts", number=PHONE, sender=SECOND, body="Is it there?").location)
    assert "+1 ••• 0123, from +1 ••• 0101" in visible_text(steps.text)


def test_single_sending_number_needs_no_choice(web_app: Flask, sysadmin: WebClient) -> None:
    set_up(
        web_app,
        SmsGatewayAuthentication=servers.LIVE_CREDENTIALS,
        SmsGatewaySettings={"FromNumber": servers.FROM_NUMBER},
    )
    assert choices(sysadmin.get(PAGE).text) == []
    steps = sysadmin.get(sysadmin.post(f"{PAGE}/texts", number=PHONE, body="Is it there?").location)
    assert "+1 ••• 0123" in visible_text(steps.text)
    assert ", from" not in visible_text(steps.text)


def test_test_mode_offers_no_choice_of_number(several_numbers: None, web_app: Flask, sysadmin: WebClient) -> None:
    test_sender = {"FromNumber": "+15005550006"}
    set_up(web_app, TestSmsGatewayAuthentication=servers.TEST_CREDENTIALS, TestSmsGatewaySettings=test_sender)
    set_up(web_app, EnableSmsTestMode=True)
    assert choices(sysadmin.get(PAGE).text) == []


def test_removed_sending_number_is_rejected_at_its_field(
    several_numbers: None, web_app: Flask, sysadmin: WebClient
) -> None:
    set_up(web_app, SmsGatewaySettings={"FromNumber": servers.FROM_NUMBER})
    answer = sysadmin.post(f"{PAGE}/texts", number=PHONE, sender=SECOND, body="My very own text")
    assert answer.status_code == 422
    assert 'id="field-sender-error">The settings changed, and this number no longer sends texts' in answer.text
    assert "My very own text" in answer.text
    assert PHONE in answer.text
    assert find_page_problems(answer.text) == []


def test_invalid_phone_number_keeps_the_chosen_sending_number(several_numbers: None, sysadmin: WebClient) -> None:
    answer = sysadmin.post(f"{PAGE}/texts", number="123", sender=SECOND, body="Is it there?")
    assert answer.status_code == 422
    assert f'<option value="{SECOND}" selected>' in answer.text


def test_only_sysadmins_send_test_texts(several_numbers: None, admin: WebClient, number_owner: WebClient) -> None:
    for other in (admin, number_owner):
        assert other.post(f"{PAGE}/texts", number=PHONE, body="Is it there?").status_code == 404
