"""A portal in which every address leads to something, for tests that ask for every route."""

import hashlib

from flask import Flask
from sqlalchemy import delete

from portal.accounts.tables.accounts import find_by_external_id
from portal.consent import background_imports, inbound_processing
from portal.consent.account_phones import add_number
from portal.consent.tables.import_tasks import ImportTaskKind
from portal.content.content_blocks import save_block
from portal.core.actor import SHELL_ACTOR
from portal.core.clock import now_ms
from portal.core.extensions import db
from portal.messages.tables.communications import Communication, Delivery
from portal.records import proof_of_notice, search_saving
from portal.records.rules.search_line import Viewer
from portal.settings.organisation_changes import save_logo, save_profile
from portal.web.organisation_files import accent_url
from tests.support.logo_images import png
from tests.support.page_queries import app_transaction
from tests.support.pages.alerts_to_show import add_alerts_to_show
from tests.support.pages.page_data import add_template_draft
from tests.support.pages.sends_to_show import add_sends_to_show

OWNER, OTHER, ADMINISTRATOR, SYSADMIN = "P-1", "P-2", "A-1", "S-1"
"""The owner has communication 1 and phone number 1. The administrator has made sends 2 to 4 and a saved search."""
_ACCENT = "#01588a"
_QUESTION = {"MessageSid": "SM1", "From": "+12025550101", "To": "+12025550199", "Body": "Who is this?"}

Values = dict[str, str]
_VALUES = {
    "number": "+12025550101",
    "token": "own-token",
    "filename": "portal.css",
    "file_format": "csv",
    "key": "sign-in-notice",
    "name": "EnableSmsNotifications",
    "job_id": "fan-out-send-1",
    "digest": hashlib.sha256(png()).hexdigest()[:32],
}
"""Of the variables in addresses. An id is 1, if it is not in the following."""
_VALUES_BY_PREFIX: dict[str, Values] = {
    "/Admin/Accounts/Import/": {"task_id": "2"},
    "/Admin/Consent/Import/": {"task_id": "3"},
    "/Admin/UnknownTexts/": {"delivery_id": "2"},
    "/SysAdmin/SmsNotificationsTestHarness/texts/": {"communication_id": "6"},
    "/SysAdmin/Setup/Confirm/": {"key": "wording"},
    "/Help/pictures/": {"name": "account.webp"},
    "/sms/": {"name": "terms"},
}
OF_SYSADMIN = {"account_id": "6", "number_id": "2", "number": "+12025550106"}


def fill_portal(app: Flask) -> None:
    """On top of the fixtures with a send, a recipient file and a text with an unknown outcome."""
    add_template_draft(app)
    with app.app_context():
        at_ms, administrator_id, sysadmin_id = now_ms(), _account_id(ADMINISTRATOR), _account_id(SYSADMIN)
        inbound_processing.receive_inbound(_QUESTION, at_ms)
        background_imports.create_task(ImportTaskKind.OPT_OUTS, "+12025550166", SHELL_ACTOR, at_ms)
        add_number(sysadmin_id, "+12025550106", "", at_ms)
        search_saving.save_search(administrator_id, "Mine", "olive", Viewer("UTC", "US", at_ms))
        save_block("sign-in-notice", "For members only.", None, at_ms, 0)
        save_profile("Board of Examples", _ACCENT, None, None, at_ms)
        save_logo(png(), None, at_ms)
    with app_transaction(app):
        add_sends_to_show()
        add_alerts_to_show()
        db.session.get_one(Communication, 1).token = "own-token"
        test_text = db.session.get_one(Communication, sysadmin_id)
        test_text.kind = "test"
        db.session.execute(
            delete(Delivery).where(Delivery.communication_id == test_text.id, Delivery.channel == "email")
        )
    with app.app_context():
        proof_of_notice.write_proof(proof_of_notice.create_proof(1, administrator_id, "Ada", at_ms), now_ms)


def address_values(rule: str) -> Values:
    """Of the variables in this rule for addresses."""
    special = (values for prefix, values in _VALUES_BY_PREFIX.items() if rule.startswith(prefix))
    return _VALUES | next(special, {})


def accent_address(app: Flask) -> str:
    """Of the stylesheet with the color."""
    with app.test_request_context():
        return accent_url(_ACCENT)


def _account_id(external_id: str) -> int:
    account = find_by_external_id(external_id)
    assert account
    return account.id
