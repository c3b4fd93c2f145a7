"""Fixtures for the pages of a person's own account."""

import pytest
from flask import Flask
from sqlalchemy import select

from portal.accounts.tables.phone_numbers import PhoneNumber
from portal.core.extensions import db
from tests.web.account.opt_in_helpers import NUMBER


@pytest.fixture
def number_without_history(web_app: Flask) -> None:
    """The owner's number has no ledger events yet."""
    with web_app.app_context():
        phone = db.session.scalars(select(PhoneNumber)).one()
        phone.number, phone.receives_sms, phone.receives_sms_since_ms = NUMBER, False, None
        db.session.commit()
