"""Load the demo where there is nothing yet; a second time changes nothing and prints the sign-ins again."""

import json
from pathlib import Path

from sqlalchemy import select

from portal.accounts import account_management
from portal.accounts.account_management import NewAccount
from portal.accounts.tables.accounts import Account, find_by_external_id
from portal.consent import account_import
from portal.content import message_templates
from portal.content.message_templates import TemplateDraft
from portal.content.tables.templates import find_template
from portal.core.errors import ActionRefused
from portal.core.extensions import db
from portal.demo import past_sends
from portal.sends.tables.sends import Send
from portal.settings import setting_changes

PASSWORD = "maple-lantern-river"  # noqa: S105  printed on the screen: these accounts exist nowhere else
_DEMO_FOLDER = Path(__file__).parent
_FIRST_ACCOUNT_ID, _LAST_ACCOUNT_ID = "P-1001", "STAFF-2"
_HISTORY_DAYS = 200

_STAFF = (
    NewAccount("STAFF-1", "Robin Ellery", "admin@example.org", "Staff", "admin", "America/New_York", PASSWORD),
    NewAccount(
        _LAST_ACCOUNT_ID, "Sasha Lund", "sysadmin@example.org", "Staff", "sysadmin", "America/New_York", PASSWORD
    ),
)
_TEMPLATES = (
    (
        "renewal-due-60",
        "Renewal due in 60 days",
        "Your certification renewal is due on {{ data.expiry_date }}",
        False,
        True,
    ),
    ("exam-scheduled", "Exam scheduled", "Your exam is scheduled for {{ data.exam_date }}", True, True),
    ("audit-selected", "Audit selected", "Your continuing education was selected for audit", False, True),
    ("payment-received", "Payment received", "We received your payment of {{ data.amount }}", False, False),
    (
        "application-returned",
        "Application returned",
        "{{ first_name }}, your application needs another look",
        False,
        True,
    ),
)
_SETTINGS = {
    "SmsGatewayType": "Twilio",
    "SmsGatewayAuthentication": {
        "AccountSid": "AC00000000000000000000000000000001",
        "AuthToken": "simulator-live-token",
    },
    "SmsGatewaySettings": {"FromNumber": "+12025550100", "NumberType": "long_code"},
    "TestSmsGatewayAuthentication": {
        "AccountSid": "AC00000000000000000000000000000002",
        "AuthToken": "simulator-test-token",
    },
    "TestSmsGatewaySettings": {"FromNumber": "+15005550006"},
    "EnableSmsNotifications": "true",
}
"""The simulator's own credentials: they open nothing else."""


def load_demo(now_ms: int) -> list[str]:
    """The lines to print: who can sign in. Raises `Refused` where there are accounts that are not the demo's."""
    if find_by_external_id(_FIRST_ACCOUNT_ID) is None and db.session.scalar(select(Account.id).limit(1)) is not None:
        raise ActionRefused("There are accounts here already, so the demo is not loaded: it would mix with them.")
    if find_by_external_id(_LAST_ACCOUNT_ID) is None:
        _load_missing(now_ms)
    return [
        f"Administrator  admin@example.org           {PASSWORD}",
        f"Sysadmin       sysadmin@example.org        {PASSWORD}",
        f"Recipient      ben.whitaker@example.org    {PASSWORD}    phone (202) 555-0102",
        f"One person     P-1001 and V-2001           {PASSWORD}    phone (202) 555-0101 for both",
    ]


def _load_missing(now_ms: int) -> None:
    """Each step only where it is not done: a start that was broken off goes on with the next one."""
    opened_ms = now_ms - _HISTORY_DAYS * 86_400_000
    for name, value in _SETTINGS.items():
        setting_changes.set_setting(name, value if isinstance(value, str) else json.dumps(value), None, now_ms)
    if find_by_external_id(_FIRST_ACCOUNT_ID) is None:
        account_import.import_accounts((_DEMO_FOLDER / "accounts.csv").read_bytes(), opened_ms)
    account_management.set_missing_passwords(PASSWORD)
    for key, name, subject, urgent, sms in _TEMPLATES:
        if find_template(key) is None:
            body = (_DEMO_FOLDER / "templates" / f"{key}.md").read_text("utf-8")
            message_templates.create_template(TemplateDraft(key, name, subject, body, urgent, sms), None, opened_ms)
    if db.session.scalar(select(Send.id).limit(1)) is None:
        past_sends.load_past_sends(now_ms)
    for new in _STAFF:
        if find_by_external_id(new.external_id) is None:
            account_management.create_account(new, opened_ms)
