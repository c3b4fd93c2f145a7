"""Pages show why texts wait: an exhausted limit or a paused sending number."""

import pytest
from flask import Flask
from markupsafe import escape

from portal.core.clock import now_ms
from portal.core.extensions import db
from portal.gateways.rules.provider_codes import CODES, explain_error_code
from portal.settings.tables.sending_numbers import SendingNumber
from tests.support.html_checks import find_page_problems
from tests.support.page_queries import app_transaction, visible_text
from tests.support.web_client import WebClient

SENDER = "+12025550199"
QUEUES = "/SysAdmin/Queues"


@pytest.mark.parametrize("code", [code for code, explanation in CODES.items() if explanation.cooldown][::3])
def test_exhausted_limit_is_shown_with_its_end(
    web_app: Flask, number_owner: WebClient, admin: WebClient, sysadmin: WebClient, ready_text_id: int, code: str
) -> None:
    until_ms = now_ms() + 5 * 3_600_000
    with app_transaction(web_app):
        db.session.add(SendingNumber(number=SENDER, limit_code=code, limit_resets_at_ms=until_ms))
    sentence = str(escape(explain_error_code(code).sentence))
    link = f'href="https://www.twilio.com/docs/api/errors/{code}"'
    banners, queues, send = (admin.get("/Admin/Mode").text, sysadmin.get(QUEUES).text, admin.get("/Admin/Sends/1").text)
    banner = f"Limit reached Nothing is sent from (202) 555-0199: {sentence} Texts wait, and none is lost."
    assert banner in visible_text(banners)
    assert "It ends" in visible_text(banners)
    assert f"Waiting {sentence} Code {code} . Sending resumes" in visible_text(queues)
    assert "Resume sending" in visible_text(queues)
    assert f"{sentence} Texts wait until" in visible_text(send)
    assert "Estimated time of the last text:" in visible_text(send)
    for page in (banners, queues, send):
        assert link in page
    assert find_page_problems(queues) == find_page_problems(send) == []
    assert sentence not in number_owner.get("/MyAccount/CommunicationsHistory").text


def test_limit_that_has_reset_is_not_shown(web_app: Flask, sysadmin: WebClient, ready_text_id: int) -> None:
    with app_transaction(web_app):
        db.session.add(SendingNumber(number=SENDER, limit_code="63038", limit_resets_at_ms=now_ms() - 1))
    for address in ("/Admin/Mode", QUEUES, "/Admin/Sends/1"):
        assert "63038" not in sysadmin.get(address).text


@pytest.mark.parametrize("code", ["30990", "21999", "403", "20003"])
def test_pause_is_shown_with_its_code_and_documentation(
    web_app: Flask, admin: WebClient, sysadmin: WebClient, ready_text_id: int, code: str
) -> None:
    with app_transaction(web_app):
        db.session.add(SendingNumber(number=SENDER, paused_reason=f"{code}: Refused", paused_at_ms=now_ms()))
    link = f'href="https://www.twilio.com/docs/api/errors/{code}"'
    for page in (admin.get("/Admin/Mode").text, sysadmin.get(QUEUES).text):
        assert f"{code}: Refused" in visible_text(page)
        assert link in page


def test_manual_pause_has_no_code(web_app: Flask, sysadmin: WebClient, ready_text_id: int) -> None:
    with app_transaction(web_app):
        db.session.add(SendingNumber(number=SENDER, paused_reason="by hand", paused_at_ms=now_ms()))
    assert "docs/api/errors" not in sysadmin.get(QUEUES).text + sysadmin.get("/Admin/Mode").text
