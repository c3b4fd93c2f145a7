"""Addresses of the queues, the texts in doubt and the audit log, and what their tests look up in the rows."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from flask import Flask
from sqlalchemy import select

from portal.core.audit_log import AuditEntry
from portal.core.extensions import db
from portal.core.transaction import transaction
from portal.messages.tables.communications import Delivery

QUEUES_PATH, AUDIT_LOG_PATH = "/SysAdmin/Queues", "/SysAdmin/AuditLog"
UNRESOLVED_TEXTS_PATH = "/Admin/UnknownTexts"
SENT_NOTICE = [("template_created", "template notice"), ("send_created", "send 1")]
"""The entries of the audit log that the fixture `sent_communications` makes."""


@contextmanager
def app_transaction(app: Flask) -> Iterator[None]:
    with app.app_context(), transaction():
        yield


def visible_text(page: str) -> str:
    """What a person reads."""
    return " ".join(re.sub(r"<[^>]*>", " ", page).split())


def audit_entries(app: Flask) -> list[tuple[str, str]]:
    with app.app_context():
        rows = db.session.execute(select(AuditEntry.action, AuditEntry.subject).order_by(AuditEntry.id)).all()
        return [(action, subject) for action, subject in rows]


def delivery_state(app: Flask, delivery_id: int) -> str:
    with app.app_context():
        return db.session.get_one(Delivery, delivery_id).state
