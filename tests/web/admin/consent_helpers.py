"""Addresses and steps that the tests of the consent pages share."""

import html
import re
import time

from flask import Flask
from sqlalchemy import select
from werkzeug.test import TestResponse

from portal.accounts.tables.phone_numbers import PhoneState
from portal.consent import background_imports, inbound_processing
from portal.consent.tables.inbound_messages import InboundMessage
from portal.consent.tables.ledger import ConsentEvent
from portal.core.extensions import db
from portal.settings import setting_changes
from tests.support.html_checks import find_page_problems
from tests.support.web_client import WebClient

OWNERS, OTHER, NEW = "+12025550101", "+12025550155", "+12025550166"
LEDGER = "/Admin/Consent"
NUMBER = f"{LEDGER}/Numbers/{OWNERS}"
OPT_OUT = f"{LEDGER}/OptOut"
REPLIES = f"{LEDGER}/Replies"
STOPS, OPT_INS = f"{LEDGER}/Import/OptOuts", f"{LEDGER}/Import/OptIns"
HTMX = {"HX_Request": "true"}


def current_ms() -> int:
    return time.time_ns() // 1_000_000


def receive_text(app: Flask, body: str, number: str) -> None:
    with app.app_context():
        form = {"MessageSid": f"SM{time.time_ns()}", "From": number, "To": "+12025550199", "Body": body}
        inbound_processing.receive_inbound(form, current_ms())


def is_stopped(app: Flask, number: str) -> bool:
    with app.app_context():
        state = db.session.get(PhoneState, number)
        return state is not None and state.stopped_at_ms is not None


def ledger_kinds(app: Flask) -> list[str]:
    with app.app_context():
        return list(db.session.scalars(select(ConsentEvent.kind).order_by(ConsentEvent.id)))


def switch_texts_off(app: Flask) -> None:
    with app.app_context():
        setting_changes.set_setting("EnableSmsNotifications", "false", None, current_ms())


def run_import_tasks(app: Flask) -> None:
    """As a worker does that polls the database, because there is no Redis."""
    with app.app_context():
        for task_id in background_imports.unfinished_task_ids():
            background_imports.run_task(task_id, current_ms)


def confirmed_digest(response: TestResponse) -> str:
    match = re.search(r'name="confirmed" value="([0-9a-f]{64})"', response.text)
    assert match
    return match.group(1)


def reply_id(app: Flask) -> int:
    with app.app_context():
        return db.session.scalars(select(InboundMessage.id).where(InboundMessage.needs_review == True)).one()  # noqa: E712


def submit_opt_out(admin: WebClient, **fields: str) -> TestResponse:
    """Submit the form, then confirm the page that shows what ends."""
    page = admin.post(OPT_OUT, **fields)
    assert page.status_code == 200
    assert find_page_problems(page.text) == []
    hidden = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', page.text.partition("<main")[2])
    return admin.post(OPT_OUT, **{name: html.unescape(value) for name, value in hidden if name != "csrf_token"})
