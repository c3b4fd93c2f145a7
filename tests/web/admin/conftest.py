"""Fixtures for the administration pages."""

import pytest
from flask import Flask
from sqlalchemy import select

from portal.accounts.tables.accounts import Account
from portal.accounts.tables.phone_numbers import PhoneNumber
from portal.consent import recording
from portal.consent.rules.consent_state import EventKind
from portal.core.extensions import db
from portal.core.transaction import transaction
from tests.web.admin.consent_helpers import OTHER, OWNERS, current_ms, receive_text


@pytest.fixture
def consent_history(web_app: Flask, sms_enabled: None) -> None:
    """The owner's number sent STOP and START, the stranger's sent an opt-out in other words and a reply to review."""
    with web_app.app_context():
        stranger = db.session.scalars(select(Account.id).where(Account.external_id == "P-2")).one()
        with transaction() as session:
            session.add(PhoneNumber(account_id=stranger, number=OWNERS, created_at_ms=1))
            session.add(PhoneNumber(account_id=stranger, number=OTHER, created_at_ms=1))
    for body, number in (("STOP", OWNERS), ("please stop texting me", OTHER), ("who is this <b>?", OTHER)):
        receive_text(web_app, body, number)
    with web_app.app_context(), transaction():
        recording.record(OWNERS, EventKind.START, "handset", current_ms(), current_ms(), text="START")
