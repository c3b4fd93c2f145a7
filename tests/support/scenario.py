"""A small organisation for tests: accounts, a template and a gateway, with workers that run in the test."""

import json
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from sqlalchemy import ColumnElement, func, select

from portal.accounts import attribute_management
from portal.accounts.account_attributes import set_attributes
from portal.accounts.rules.attribute_values import AttributeDefinition
from portal.consent import account_import
from portal.content import message_templates
from portal.content.message_templates import TemplateDraft
from portal.content.tables.templates import find_template, find_template_version
from portal.core import clock as portal_clock
from portal.core.audit_log import AuditEntry, remove_entries
from portal.core.context import settings as environment
from portal.core.extensions import db
from portal.core.transaction import transaction
from portal.delivery import email_worker, maintenance
from portal.delivery.sms_worker import SmsWorkerRun
from portal.gateways.twilio_messages import TwilioGateway
from portal.messages.rules.attempt_outcome import AttemptOutcome
from portal.messages.tables.communications import Attempt, Delivery
from portal.sends import fan_out, send_creation
from tests.support import servers, settings_cache

TEMPLATE_BODY = "Dear {{ first_name }},\n\nthis is the **whole story** of {{ external_id }}.\n"
ACCOUNT_CSV_HEADER = "external_id,name,email,account_type,role,timezone,phone,sms_opted_in_at,sms_consent_source"


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def now_us() -> int:
    return now_ms() * 1000


def phone_number(index: int) -> str:
    return f"+1415200{index:04d}"


def configure_gateway(rate: float = 500, **changes: Any) -> None:
    """Live credentials of the simulator, with a rate so high that tests do not wait for pacing."""
    values = {
        "EnableSmsNotifications": "true",
        "SmsGatewayType": "Twilio",
        "SmsGatewayAuthentication": json.dumps(servers.LIVE_CREDENTIALS),
        "SmsGatewaySettings": json.dumps({"FromNumber": servers.FROM_NUMBER, "SegmentsPerSecond": rate}),
        "TestSmsGatewayAuthentication": json.dumps(servers.TEST_CREDENTIALS),
        "TestSmsGatewaySettings": json.dumps({"FromNumber": "+15005550006", "SegmentsPerSecond": rate}),
        **changes,
    }
    settings_cache.apply_settings(values)


def create_accounts(total: int, with_sms: int = 0) -> None:
    """Create accounts P-0, P-1 …; the first `with_sms` receive texts on their own phones."""
    rows = [ACCOUNT_CSV_HEADER]
    for index in range(total):
        sms_columns = f"{phone_number(index)},2026-01-02T03:04:05Z,paper form" if index < with_sms else ",,"
        rows.append(f"P-{index},Person {index},p{index}@example.org,Practitioner,user,UTC,{sms_columns}")
    account_import.import_accounts("\n".join(rows).encode(), now_ms())


def create_more_accounts(total: int) -> None:
    """Create accounts Q-0, Q-1 … that all receive texts."""
    rows = [
        f"Q-{n},More {n},q{n}@example.org,Practitioner,user,UTC,{phone_number(5000 + n)},2026-01-02,form"
        for n in range(total)
    ]
    account_import.import_accounts("\n".join([ACCOUNT_CSV_HEADER, *rows]).encode(), now_ms())


def add_template(key: str = "renewal", **changes: Any) -> str:
    draft = TemplateDraft(key, "Renewal", "Your renewal is due, {{ first_name }}", TEMPLATE_BODY, sms_enabled=True)
    message_templates.create_template(TemplateDraft(**{**draft.__dict__, **changes}), None, now_ms())
    return key


def save_template(key: str = "renewal", **changes: Any) -> None:
    """A new version of the template."""
    template = find_template(key)
    assert template is not None
    draft = message_templates.draft_of(find_template_version(template))
    message_templates.save_template(template.id, replace(draft, **changes), None, now_ms())


def add_attributes() -> None:
    """Declare an attribute of each kind; the account with the id 1 has a value of each."""
    values = {"expires_on": "2027-05-28", "region": "North", "credits": "12", "note": "An old friend"}
    kinds = {"expires_on": "date", "region": "choice", "credits": "number", "note": "text"}
    for key, kind in kinds.items():
        choices = ("North", "South") if kind == "choice" else ()
        label = key.replace("_", " ").capitalize()
        attribute_management.add_attribute(AttributeDefinition(key, label, kind, choices), None, now_ms())
    set_attributes(1, values, None, now_ms())


def forget_audit_entries(*conditions: ColumnElement[bool]) -> None:
    """Those of the accounts, templates and sends that a test is given, or what the conditions find."""
    with transaction() as session:
        remove_entries(list(session.scalars(select(AuditEntry.id).where(*conditions))), now_ms())


def create_expanded_send(key: str = "renewal", audience: dict[str, Any] | None = None) -> int:
    """Create a send and fan it out."""
    send_id = send_creation.create_send(key, audience or {"all": True}, {}, None, now_ms())
    fan_out.fan_out_send(send_id, now_ms)
    return send_id


def create_one_waiting_text() -> None:
    """One account with one waiting text."""
    configure_gateway()
    create_accounts(1, with_sms=1)
    add_template()
    create_expanded_send()


def run_scheduler_once(clock: Callable[[], int] = portal_clock.now_ms) -> None:
    """One scheduler round, polling Twilio included."""
    maintenance.run_local_maintenance(clock)
    maintenance.poll_twilio(clock)


def run_sms_worker(clock_ahead_ms: int = 0, seconds: float = 20, until: Callable[[], bool] = lambda: False) -> None:
    """Run the SMS job once, with the clock set forward so that retries are due.

    It ends when nothing is due within `seconds`, or when `until` holds.
    """
    config = environment()
    gateway = TwilioGateway(config.twilio_api_url, config.public_url, config.sms_timeout_seconds)
    SmsWorkerRun(gateway, seconds, until, clock=lambda: time.time_ns() // 1000 + clock_ahead_ms * 1000).run()
    db.session.remove()


def attempts_recorded(expected_more: int) -> Callable[[], bool]:
    """Return a condition: this many more attempts have a recorded outcome."""
    engine = db.engine
    query = (
        select(func.count())
        .select_from(Attempt)
        .where(Attempt.outcome.not_in((AttemptOutcome.PENDING, AttemptOutcome.RELEASED)))
    )

    def count() -> int:
        with engine.connect() as connection:
            return connection.scalar(query) or 0

    target = count() + expected_more
    return lambda: count() >= target


def run_email_worker() -> None:
    email_worker.drain_email()
    db.session.remove()


def deliveries(channel: str) -> list[Delivery]:
    db.session.remove()
    return list(db.session.scalars(select(Delivery).where(Delivery.channel == channel).order_by(Delivery.id)))


def count_states(channel: str) -> dict[str, int]:
    return dict(Counter(delivery.state for delivery in deliveries(channel)))
