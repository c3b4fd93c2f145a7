"""Loads the demo into an empty database. Loading it again changes nothing."""

import json
from pathlib import Path

from sqlalchemy import select, update

from portal.accounts import account_management
from portal.accounts.account_management import NewAccount
from portal.accounts.tables.accounts import Account, find_by_external_id
from portal.consent import account_import
from portal.content import message_templates
from portal.content.message_templates import TemplateDraft
from portal.content.tables.templates import find_template
from portal.content.template_words import TemplateWords
from portal.core.errors import ActionRefused
from portal.core.extensions import db
from portal.core.transaction import transaction
from portal.demo import demo_attributes, demo_schedule, demo_topics, past_sends
from portal.sends.tables.sends import Send
from portal.settings import app_settings, setting_changes
from portal.settings.rules.text_limits import QUIET_HOURS
from portal.setup import checklist

PASSWORD = "maple-lantern-river"  # noqa: S105  printed on the screen: these accounts exist nowhere else
_FOLDER = Path(__file__).parent
_HISTORY_DAYS = 200
_STAFF = (
    NewAccount("STAFF-1", "Robin Ellery", "admin@example.org", "Staff", "admin", "America/New_York", PASSWORD),
    NewAccount("STAFF-2", "Sasha Lund", "sysadmin@example.org", "Staff", "sysadmin", "America/New_York", PASSWORD),
)
_FIRST_ACCOUNT_ID, _LAST_ACCOUNT_ID = "P-1001", _STAFF[-1].external_id
_TEMPLATES = (
    ("renewal-due-60", "Renewal due in 60 days", "Your certification renewal is due on {{ data.expiry_date }}"),
    ("exam-scheduled", "Exam scheduled", "Your exam is scheduled for {{ data.exam_date }}"),
    ("audit-selected", "Audit selected", "Your continuing education was selected for audit"),
    ("payment-received", "Payment received", "We received your payment of {{ data.amount }}"),
    ("license-expires", "License expires soon", "Your license expires on {{ expires_on | date }}"),
    ("application-returned", "Application returned", "{{ first_name }}, your application needs another look"),
)
"""Key, name and subject."""
_SPANISH_SUBJECTS = {"renewal-due-60": "Su certificado vence el {{ data.expiry_date }}"}
_SPANISH_SPEAKERS = ("P-1003", "P-1016", "P-1018")
_TAGS = {"renewal-due-60": "Renewals", "exam-scheduled": "Exams", "payment-received": "Renewals, Payments"}
_URGENT_TEMPLATE, _EMAIL_ONLY_TEMPLATE = "exam-scheduled", "payment-received"
_SETTINGS = {
    "SmsGatewayType": "Twilio",
    "SmsGatewayAuthentication": {"AccountSid": f"AC{1:032}", "AuthToken": "simulator-live-token"},
    "SmsGatewaySettings": {"FromNumber": "+12025550100", "NumberType": "long_code"},
    "TestSmsGatewayAuthentication": {"AccountSid": f"AC{2:032}", "AuthToken": "simulator-test-token"},
    "TestSmsGatewaySettings": {"FromNumber": "+15005550006"},
    QUIET_HOURS: "off",
    "EnableSmsNotifications": "true",
    "Business": {
        "LegalName": "Northfield Board",
        "Type": "GOVERNMENT",
        "Industry": "GOVERNMENT",
        "RegistrationNumber": "12-3456789",
        "RegistrationAuthority": "EIN",
        "RegistrationCountry": "US",
        "Street": "100 Example Street",
        "City": "Salem",
        "Region": "OR",
        "PostalCode": "97301",
        "Country": "US",
        "Website": "https://www.example.org",
        "ContactFirstName": "Sasha",
        "ContactLastName": "Lund",
        "ContactTitle": "Director",
        "ContactEmail": "sasha.lund@example.org",
        "ContactPhone": "+15035550100",
        "SupportEmail": "help@example.org",
        "Purpose": "License holders get notices about renewals, exams, audits and decisions that concern them.",
    },
}
"""Credentials of the simulator, which open nothing else. Whoever tries the demo at night should see texts arrive."""


def load_demo(now_ms: int) -> list[str]:
    """Return lines that say who can sign in. Raises `ActionRefused` if there are accounts not of the demo."""
    if find_by_external_id(_FIRST_ACCOUNT_ID) is None and db.session.scalar(select(Account.id).limit(1)) is not None:
        raise ActionRefused(
            "The database already has accounts, and the demo data would mix with them. Use an empty database."
        )
    if find_by_external_id(_LAST_ACCOUNT_ID) is None:
        _load_missing(now_ms)
        checklist.close(now_ms)
    return [
        f"Administrator  admin@example.org           {PASSWORD}",
        f"Sysadmin       sysadmin@example.org        {PASSWORD}",
        f"Recipient      ben.whitaker@example.org    {PASSWORD}    phone (202) 555-0102",
        f"One person     P-1001 and V-2001           {PASSWORD}    phone (202) 555-0101 for both",
    ]


def _load_missing(now_ms: int) -> None:
    """Skip what exists, so that an interrupted load is continued."""
    created_at_ms = now_ms - _HISTORY_DAYS * 86_400_000
    fixed_names = app_settings.configuration().fixed_values
    for name, value in ((name, value) for name, value in _SETTINGS.items() if name not in fixed_names):
        setting_changes.set_setting(name, value if isinstance(value, str) else json.dumps(value), None, created_at_ms)
    if find_by_external_id(_FIRST_ACCOUNT_ID) is None:
        account_import.import_accounts((_FOLDER / "accounts.csv").read_bytes(), created_at_ms)
        with transaction() as session:
            of_speakers = update(Account).where(Account.external_id.in_(_SPANISH_SPEAKERS))
            session.execute(of_speakers.values(language="es"))
    demo_attributes.load_attributes(now_ms, created_at_ms)
    account_management.set_missing_passwords(PASSWORD)
    for key, name, subject in _TEMPLATES:
        if find_template(key) is None:
            urgent, with_text, tags = key == _URGENT_TEMPLATE, key != _EMAIL_ONLY_TEMPLATE, _TAGS.get(key, "")
            variants = _variants(key)
            draft = TemplateDraft(key, name, subject, _body(key), urgent, with_text, tags=tags, variants=variants)
            message_templates.create_template(draft, None, created_at_ms)
    demo_topics.load_topics(now_ms, created_at_ms)
    if db.session.scalar(select(Send.id).limit(1)) is None:
        past_sends.load_past_sends(now_ms)
    for account in _STAFF:
        if find_by_external_id(account.external_id) is None:
            account_management.create_account(account, created_at_ms)
    demo_schedule.load_schedule(find_by_external_id(_STAFF[0].external_id), now_ms)


def _body(name: str) -> str:
    return (_FOLDER / "templates" / f"{name}.md").read_text("utf-8")


def _variants(key: str) -> tuple[TemplateWords, ...]:
    subject = _SPANISH_SUBJECTS.get(key)
    return (TemplateWords("es", subject, _body(f"{key}.es")),) if subject else ()
