"""The pictures in the documents: which page of the demo each shows, at a fixed time with fixed data."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

import time_machine
from flask import Flask
from flask_migrate import upgrade
from passlib.context import CryptContext
from playwright.sync_api import Browser, Page
from sqlalchemy import ColumnElement, select

from portal import create_app
from portal.accounts.password_hashing import LimitedPasswordContext
from portal.accounts.tables.accounts import find_by_external_id
from portal.consent import inbound_processing
from portal.core.config import load_settings
from portal.core.extensions import db, security
from portal.core.rules.delivery_status import DeliveryState
from portal.delivery import maintenance
from portal.demo import loader
from portal.messages.tables.communications import Communication, Delivery
from portal.sends.fan_out import fan_out_send
from portal.sends.send_creation import create_send
from tests.support import servers
from tests.support.browser.served_pages import serve_pages
from tests.support.web_client import FAST_ARGON2, PUBLIC_URL, signed_in_client

FOLDER = servers.ROOT / "docs" / "guide" / "pictures"
NOW_MS = 1_796_659_140_000
"""Monday, December 7, 2026, 10:59 in New York, where the administrator of the demo is."""
_ADMIN, _SYSADMIN, _RECIPIENT = "STAFF-1", "STAFF-2", "P-1002"
_QUESTION = {
    "MessageSid": f"SM{7:032}",
    "From": "+12025550102",
    "To": "+12025550100",
    "Body": "Can I upload the certificates from my phone?",
}
"""A text that somebody must answer."""
_NAVIGATION_TIMEOUT_MS = 120_000
"""For machines on which a browser is slow to start."""


@dataclass(frozen=True)
class Picture:
    """`account` is signed in. `path` may name the ids in `DemoPortal.ids`."""

    name: str
    account: str
    path: str
    width: int
    height: int

    @property
    def file(self) -> Path:
        return FOLDER / f"{self.name}.webp"


PICTURES = (
    Picture("template", _ADMIN, "/Admin/Automations/Templates/3", 1280, 860),
    Picture("send", _ADMIN, "/Admin/Sends/{send}", 1280, 540),
    Picture("history", _ADMIN, "/Admin/Communications/{undelivered}", 1280, 600),
    Picture("phone", _RECIPIENT, "/MyAccount/CommunicationsHistory/{message}", 390, 720),
    Picture("history-list", _RECIPIENT, "/MyAccount/CommunicationsHistory", 390, 640),
    Picture("numbers", _RECIPIENT, "/MyAccount/PhoneNumbers", 390, 520),
    Picture("new-send", _ADMIN, "/Admin/Sends/new?template=audit-selected", 1280, 760),
    Picture("schedule", _ADMIN, "/Admin/Schedules/1", 1280, 720),
    Picture("dashboard", _ADMIN, "/Admin", 1280, 820),
    Picture("replies", _ADMIN, "/Admin/Consent/Replies", 1280, 480),
    Picture("account", _ADMIN, "/Admin/Accounts/{account}", 1280, 760),
    Picture("setup", _SYSADMIN, "/SysAdmin/Setup", 1280, 760),
    Picture("registration", _SYSADMIN, "/SysAdmin/Registration", 1280, 640),
    Picture("settings", _SYSADMIN, "/SysAdmin/AppConfig", 1280, 760),
    Picture("queues", _SYSADMIN, "/SysAdmin/Queues", 1280, 760),
)


@dataclass(frozen=True)
class DemoPortal:
    app: Flask
    ids: dict[str, int]

    @contextmanager
    def open(self, browser: Browser, picture: Picture) -> Iterator[tuple[Page, str]]:
        """The page in the browser, and its HTML as the server sent it."""
        size = {"width": picture.width, "height": picture.height}
        context = browser.new_context(viewport=size, color_scheme="light", reduced_motion="reduce")  # type: ignore[arg-type]
        with time_machine.travel(NOW_MS / 1000, tick=False):
            client = signed_in_client(self.app, picture.account)
        context.set_default_navigation_timeout(_NAVIGATION_TIMEOUT_MS)
        serve_pages(context, client, NOW_MS)
        page = context.new_page()
        response = page.goto(PUBLIC_URL + picture.path.format(**self.ids))
        assert response is not None
        yield page, response.text()
        context.close()


@contextmanager
def demo_portal(folder: Path, redis_url: str) -> Iterator[DemoPortal]:
    """The demo with a send in progress. Raises what the migrations raise if `folder` has an old database."""
    app = create_app(load_settings(_environ(folder, redis_url)))
    security.pwd_context = LimitedPasswordContext(CryptContext(schemes=["argon2"], **FAST_ARGON2))
    numbers = random.Random(0)
    with app.app_context():
        upgrade(directory=str(servers.ROOT / "migrations"))
        with (
            time_machine.travel(NOW_MS / 1000, tick=False),
            patch("portal.content.links.token_bytes", numbers.randbytes),
        ):
            loader.load_demo(NOW_MS)
            ids = _add_send_in_progress()
            inbound_processing.receive_inbound(_QUESTION, NOW_MS)
        db.session.remove()
        yield DemoPortal(app, ids)
        db.session.remove()
        db.engine.dispose()


def _environ(folder: Path, redis_url: str) -> dict[str, str]:
    """The environment of `portal up --demo`."""
    return {
        "PORTAL_INSTANCE": str(folder),
        "PORTAL_SECOND_FACTOR": "optional",
        "PORTAL_PUBLIC_URL": PUBLIC_URL,
        "PORTAL_REDIS_URL": redis_url,
        "PORTAL_TWILIO_API_URL": "http://127.0.0.1:8001",
        "PORTAL_SMTP_URL": "smtp://127.0.0.1:8002",
        "PORTAL_ORGANISATION": "Northfield Board",
        "PORTAL_MAIL_FROM": "Northfield Board <notifications@example.org>",
        "PORTAL_ENCRYPTION_KEY": "MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTI=",
    }


def _add_send_in_progress() -> dict[str, int]:
    """Add a send to everyone, whose emails and first 15 texts have left. Return the ids that the pictures need."""
    author, recipient = find_by_external_id(_ADMIN), find_by_external_id(_RECIPIENT)
    assert author
    assert recipient
    with patch("portal.gateways.queue.enqueue"):
        send_id = create_send("audit-selected", {"all": True}, {"due_date": "December 18, 2026"}, author.id, NOW_MS)
        fan_out_send(send_id, lambda: NOW_MS)
    for kind in ("worker:work", "worker:email", "worker:sms", "scheduler"):
        maintenance.record_heartbeat(kind, kind, NOW_MS)
    deliveries = list(db.session.scalars(select(Delivery).where(Delivery.send_id == send_id).order_by(Delivery.id)))
    for email in (delivery for delivery in deliveries if delivery.channel == "email"):
        email.state = DeliveryState.HANDED_OFF
    texts = [delivery for delivery in deliveries if delivery.state == DeliveryState.READY]
    for index, text in enumerate(texts[:15]):
        text.state = DeliveryState.UNDELIVERED if index in (4, 9) else DeliveryState.DELIVERED
    texts[14].state = DeliveryState.SENT
    db.session.commit()
    undelivered = Delivery.state == DeliveryState.UNDELIVERED, Delivery.send_id < send_id
    own_message = Communication.account_id == recipient.id, Communication.send_id == send_id
    return {
        "send": send_id,
        "message": _communication_id(*own_message),
        "undelivered": _communication_id(*undelivered),
        "account": recipient.id,
    }


def _communication_id(*conditions: ColumnElement[bool]) -> int:
    query = select(Communication.id).join(Delivery, Delivery.communication_id == Communication.id).where(*conditions)
    return db.session.scalars(query.order_by(Communication.id)).first() or 0
