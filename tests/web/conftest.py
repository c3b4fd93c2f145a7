"""A portal with accounts, and clients that act like browsers: cookies, forms and CSRF tokens."""

import functools
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask_security import hash_password
from passlib.context import CryptContext
from sqlalchemy import select, text, update

from portal import create_app
from portal.accounts.account_management import NewAccount, create_account
from portal.accounts.password_hashing import LimitedPasswordContext
from portal.accounts.tables.accounts import Account
from portal.accounts.tables.phone_numbers import PhoneNumber
from portal.consent.recording import record
from portal.consent.rules.consent_state import EventKind
from portal.content.message_templates import TemplateDraft, create_template
from portal.core.clock import now_ms
from portal.core.config import load_settings
from portal.core.extensions import db, security
from portal.core.transaction import transaction
from portal.delivery import maintenance
from portal.gateways.rules.email_message import OutgoingEmail
from portal.messages.tables.communications import Attempt, Communication, Delivery
from portal.sends.fan_out import fan_out_send
from portal.sends.send_creation import create_send
from portal.sends.tables.saved_audiences import SavedAudience
from portal.settings import setting_changes
from portal.web.account import account_emails
from tests.support import scenario, settings_cache
from tests.support.databases.remembered_data import remembered
from tests.support.page_queries import app_transaction
from tests.support.pages.page_data import add_account_import, add_attribute_import, add_export, add_topic_for_pages
from tests.support.schedules.schedule_scenario import add_schedules_for_pages
from tests.support.spreadsheets.recipient_file_scenario import add_exam_template, upload_checked
from tests.support.template_checks import fail_on_missing_attributes
from tests.support.web_client import (
    ACCOUNT_SID,
    AUTH_TOKEN,
    FAST_ARGON2,
    NOW_MS,
    PASSWORD,
    PUBLIC_URL,
    WebClient,
    signed_in_client,
)

SAVED_AUDIENCE: dict[str, Any] = {"name": "P-1", "name_folded": "p-1", "created_at_ms": NOW_MS, "changed_at_ms": NOW_MS}
SAVED_DEFINITION = {
    "conditions": [
        {"field": "account_type", "operator": "is", "value": "Ιατρός"},
        {"field": "timezone", "operator": "any_of", "value": ["America/New_York", "UTC"]},
        {"field": "sms_state", "operator": "is_not", "value": "no_number"},
        {"field": "send", "operator": "not_reached_by", "value": "1"},
    ],
    "match": "any",
}


@pytest.fixture(scope="session")
def accounts_template_db(tmp_path_factory: pytest.TempPathFactory, sqlite_template_file: Path) -> Path:
    """A database with accounts, to be copied for each test."""
    folder = tmp_path_factory.mktemp("people")
    shutil.copy(sqlite_template_file, folder / "portal.sqlite")
    with _create_app_in(folder).app_context():
        _create_accounts()
        db.session.execute(text("PRAGMA wal_checkpoint(TRUNCATE)"))
        db.session.remove()
        db.engine.dispose()
    return folder / "portal.sqlite"


@pytest.fixture
def web_app(tmp_path: Path, accounts_template_db: Path) -> Iterator[Flask]:
    shutil.copy(accounts_template_db, tmp_path / "portal.sqlite")
    app = _create_app_in(tmp_path)
    yield app
    with app.app_context():
        db.session.remove()
        db.engine.dispose()


def _create_app_in(folder: Path) -> Flask:
    environ = {
        "PORTAL_INSTANCE": str(folder),
        "PORTAL_ENCRYPTION_KEY": "MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTI=",
        "PORTAL_PUBLIC_URL": PUBLIC_URL,
        "PORTAL_REDIS_URL": f"unix://{folder}/nobody.sock",
        "PORTAL_ORGANISATION": "Board of Examples",
        "PORTAL_QUIET_HOURS": "off",
        "PORTAL_FREQUENCY_CAP": "off",
        "PORTAL_SECOND_FACTOR": "optional",
    }
    app = create_app(load_settings(environ))
    fail_on_missing_attributes(app)
    security.pwd_context = LimitedPasswordContext(CryptContext(schemes=["argon2"], **FAST_ARGON2))
    return app


@pytest.fixture
def visitor(web_app: Flask) -> WebClient:
    """A client without a session."""
    return WebClient(web_app.test_client())


@pytest.fixture
def number_owner(web_app: Flask) -> WebClient:
    return signed_in_client(web_app, "P-1")


@pytest.fixture
def other_user(web_app: Flask) -> WebClient:
    return signed_in_client(web_app, "P-2")


@pytest.fixture
def admin(web_app: Flask) -> WebClient:
    return signed_in_client(web_app, "A-1")


@pytest.fixture
def sysadmin(web_app: Flask) -> WebClient:
    return signed_in_client(web_app, "S-1")


@pytest.fixture
def sms_enabled(web_app: Flask) -> None:
    values = {
        "EnableSmsNotifications": "true",
        "SmsGatewayType": "Twilio",
        "SmsGatewayAuthentication": json.dumps({"AccountSid": ACCOUNT_SID, "AuthToken": AUTH_TOKEN}),
        "SmsGatewaySettings": json.dumps({"FromNumber": "+12025550199"}),
    }
    with web_app.app_context():
        settings_cache.apply_settings(values, NOW_MS)


@pytest.fixture
def sent_communications(web_app: Flask) -> dict[str, int]:
    """A send to every account, attributes, schedules, and a saved audience; maps external ids to communication ids."""
    with web_app.app_context():
        return remembered(_send_to_everybody)


@pytest.fixture
def recipient_file(web_app: Flask) -> int:
    """A checked file for a template of its own, with a good row and bad ones."""
    with web_app.app_context():
        add_exam_template()
        return upload_checked("external_id,exam_date,city\nP-1,2027-05-28,Reno\nP-9,May,\nP-1,May,Reno\n")


@pytest.fixture
def ready_text_id(web_app: Flask, sms_enabled: None, sent_communications: dict[str, int]) -> int:
    """The id of the only text of a send from which nothing has been sent yet."""
    with web_app.app_context():
        text_id = db.session.scalars(
            select(Delivery.id).where(Delivery.channel == "sms", Delivery.state == "ready")
        ).one()
        maintenance.record_heartbeat("a worker", "worker:sms", now_ms())
        return text_id


@pytest.fixture
def unknown_text_id(web_app: Flask, ready_text_id: int) -> int:
    """A text with an unknown outcome, sent by the account in the settings."""
    with app_transaction(web_app):
        delivery = db.session.get_one(Delivery, ready_text_id)
        delivery.state, delivery.attempt_id, delivery.due_at_ms = "unknown", "attempt-1", 2**52
        attempt = Attempt(id="attempt-1", delivery_id=ready_text_id, account_sid=ACCOUNT_SID, sender="+12025550199")
        attempt.destination, attempt.outcome, attempt.detail = (
            delivery.address,
            "unknown",
            "No answer within 15 seconds.",
        )
        attempt.started_at_ms = attempt.slot_at_ms = attempt.lease_until_ms = attempt.finished_at_ms = NOW_MS
        db.session.add(attempt)
    return ready_text_id


@pytest.fixture
def foreign_account_text_id(web_app: Flask, unknown_text_id: int) -> int:
    """A text with an unknown outcome, sent by another account than the one in the settings."""
    with web_app.app_context():
        other = f'{{"AccountSid": "AC{"f" * 32}", "AuthToken": "{AUTH_TOKEN}"}}'
        setting_changes.set_setting("SmsGatewayAuthentication", other, None, now_ms())
    return unknown_text_id


def _send_to_everybody() -> dict[str, int]:
    scenario.add_attributes()
    scenario.forget_audit_entries()
    db.session.add(SavedAudience(definition=SAVED_DEFINITION, **SAVED_AUDIENCE))
    db.session.commit()
    draft = TemplateDraft("notice", "Notice", "Notice for {{ name }}", "Hello **{{ name }}**.", False, True)
    create_template(draft, None, NOW_MS)
    send_id = create_send("notice", {"all": True}, {}, None, NOW_MS)
    fan_out_send(send_id, lambda: NOW_MS)
    add_topic_for_pages()
    add_schedules_for_pages("notice", now_ms())
    add_export(now_ms())
    add_attribute_import()
    add_account_import()
    rows = db.session.execute(select(Account.external_id, Communication.id).join(Communication.account))
    return {external_id: communication_id for external_id, communication_id in rows}


def _create_accounts() -> None:
    for external_id, email, role in (
        ("P-1", "owner@example.org", "user"),
        ("P-2", "stranger@example.org", "user"),
        ("V-1", "shared@example.org", "user"),
        ("V-2", "shared@example.org", "user"),
        ("A-1", "admin@example.org", "admin"),
        ("S-1", "sysadmin@example.org", "sysadmin"),
    ):
        name = {"P-1": "Olive Owner", "P-2": "Stan Stranger"}.get(external_id, f"Name of {external_id}")
        create_account(NewAccount(external_id, name, email, "Practitioner", role, "America/New_York"), NOW_MS)
    owner = db.session.scalars(select(Account).where(Account.external_id == "P-1")).one()
    db.session.add(PhoneNumber(account_id=owner.id, number="+12025550101", created_at_ms=NOW_MS))
    db.session.commit()
    with transaction():
        record("+12025550101", EventKind.OPT_IN, "import", NOW_MS, NOW_MS, account_id=owner.id, text="paper form")


hashed = functools.cache(hash_password)
"""Once for all: to be slow is what hashing is for."""


@pytest.fixture
def accounts_have_passwords(web_app: Flask) -> None:
    with web_app.app_context():
        db.session.execute(update(Account).values(password=hashed(PASSWORD)))
        db.session.commit()


@pytest.fixture
def sent_emails(monkeypatch: pytest.MonkeyPatch) -> list[OutgoingEmail]:
    emails: list[OutgoingEmail] = []
    monkeypatch.setattr(account_emails, "send_mail", lambda _url, _from, mail: emails.append(mail))
    return emails
