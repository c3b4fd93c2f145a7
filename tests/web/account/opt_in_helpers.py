"""Request texts, and record ledger events for the number of account P-1."""

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from flask import Flask
from sqlalchemy import event, select
from sqlalchemy.engine import Engine
from werkzeug.test import TestResponse

from portal.accounts.tables.accounts import find_by_external_id
from portal.consent import consent_notifications, inbound_processing, invitations, recording
from portal.consent.rules.consent_state import EventKind
from portal.consent.tables.ledger import ConsentEvent
from portal.core.extensions import db
from portal.core.rules.routing import TextKind
from portal.core.transaction import transaction
from portal.messages.tables.communications import Delivery
from portal.settings import setting_changes
from tests.support.web_client import NOW_MS, WebClient

NUMBER, SHOWN = "+12025550142", "(202) 555-0142"
MINUTE_MS, HOUR_MS = 60_000, 3_600_000
LIST = "/MyAccount/PhoneNumbers"
ROW = f"{LIST}/1"
ASK = f"{ROW}/EnableTexts"
HTMX = {"HX-Request": "true"}


def current_ms() -> int:
    return time.time_ns() // 1_000_000


def account_id(external_id: str = "P-1") -> int:
    account = find_by_external_id(external_id)
    assert account
    return account.id


def record_event(app: Flask, kind: EventKind, ago_ms: int = 0, **more: Any) -> int:
    """Record a ledger event for the owner's number, `ago_ms` in the past."""
    with app.app_context(), transaction():
        at_ms = current_ms() - ago_ms
        return recording.record(more.pop("number", NUMBER), kind, "handset", at_ms, at_ms, **more)


def record_invitation(app: Flask, ago_ms: int, state: str = "delivered", whose: str = "P-1") -> None:
    """Record an invitation sent `ago_ms` in the past, with the given delivery state."""
    with app.app_context(), transaction():
        recipient_id, at_ms = account_id(whose), current_ms() - ago_ms
        event_id = recording.record(NUMBER, EventKind.INVITED, "portal", at_ms, at_ms, account_id=recipient_id)
        consent_notifications.send_text(TextKind.INVITATION, recipient_id, NUMBER, event_id, at_ms)
        db.session.scalars(select(Delivery).order_by(Delivery.id.desc())).first().state = state  # type: ignore[union-attr]


def record_enabled(app: Flask, ago_ms: int = 0) -> None:
    with app.app_context():
        owner_id = account_id()
    record_event(app, EventKind.OPT_IN, ago_ms, account_id=owner_id)


def events(app: Flask, kind: EventKind = EventKind.INVITED) -> list[ConsentEvent]:
    with app.app_context():
        return list(db.session.scalars(select(ConsentEvent).where(ConsentEvent.kind == kind).order_by(ConsentEvent.id)))


def prompt_in(page: str) -> str:
    """The fingerprint of the prompt that the page shows."""
    match = re.search(r'name="wording" value="([\w-]+)"', page)
    assert match
    return match.group(1)


def current_prompt(app: Flask) -> str:
    with app.app_context():
        return invitations.opt_in_prompt(NUMBER).fingerprint


def submit_request(client: WebClient, path: str = ASK, **fields: str) -> TestResponse:
    """Submit the form of the plain page."""
    return client.post(path, **{"wording": prompt_in(client.get(path).text), **fields})


def submit_in_dialog(client: WebClient, path: str = ASK, wording: str = "") -> TestResponse:
    return client.post_without_token(path, {"csrf_token": client.csrf_token(), "wording": wording}, HX_Request="true")


def get_row(client: WebClient, path: str = ROW, seen: str = "") -> TestResponse:
    return client.get(f"{path}?seen={seen}", headers=HTMX)


def fingerprint_in(row: str) -> str:
    """What the next poll of the row says it has seen."""
    match = re.search(r"seen=(\w+)", row)
    assert match
    return match.group(1)


@contextmanager
def recorded_statements() -> Iterator[list[str]]:
    """The SQL that the block executes."""
    statements: list[str] = []

    def record(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        if statement != "BEGIN":
            statements.append(statement)

    event.listen(Engine, "before_cursor_execute", record)
    try:
        yield statements
    finally:
        event.remove(Engine, "before_cursor_execute", record)


def switch_texts(app: Flask, on: bool) -> None:
    with app.app_context():
        setting_changes.set_setting("EnableSmsNotifications", str(on).lower(), None, NOW_MS)


def profile_path(app: Flask, external_id: str = "P-1") -> str:
    with app.app_context():
        return f"/Admin/Accounts/{account_id(external_id)}"


def visible_text(page: str) -> str:
    """The page without its markup."""
    return " ".join(re.sub(r"<[^>]*>", " ", re.sub(r"</?(span|time|strong)\b[^>]*>", "", page)).split())


def receive_start(app: Flask) -> None:
    with app.app_context():
        form = {"MessageSid": f"SM{time.time_ns()}", "From": NUMBER, "To": "+12025550199", "Body": "START"}
        inbound_processing.receive_inbound(form, current_ms() + 10 * MINUTE_MS)
