"""The audit log has one entry for each thing that administrators do: who, what, and where to look."""

import html
import re
from collections.abc import Callable

import pytest
from flask import Flask
from sqlalchemy import select

from portal.accounts.tables.phone_numbers import PhoneNumber
from portal.consent import recording
from portal.consent.account_import import import_accounts
from portal.consent.rules.consent_state import EventKind
from portal.consent.tables.inbound_messages import InboundMessage
from portal.content.tables.saved_drafts import draft_saved_at_ms
from portal.core.audit_log import AuditEntry
from portal.core.extensions import db
from tests.support import scenario
from tests.support.html_checks import find_page_problems
from tests.support.page_queries import AUDIT_LOG_PATH, app_transaction, audit_entries, visible_text
from tests.support.web_client import PUBLIC_URL, WebClient
from tests.web.account.opt_in_helpers import submit_request
from tests.web.admin.consent_helpers import (
    LEDGER,
    NEW,
    NUMBER,
    OPT_INS,
    OTHER,
    OWNERS,
    REPLIES,
    STOPS,
    confirmed_digest,
    current_ms,
    receive_text,
    reply_id,
    run_import_tasks,
    submit_opt_out,
)

Act = Callable[[Flask, WebClient], object]
SENDS, TEMPLATES, BLOCKS = "/Admin/Sends", "/Admin/Automations/Templates", "/Admin/ContentBlocks"
BLOCK, AUDIENCES = f"{BLOCKS}/sign-in-notice", "/Admin/Audiences"
IN_NEW_YORK = {"conditions": '[{"field": "timezone", "operator": "is", "value": "America/New_York"}]'}
P1, P2 = "/Admin/Accounts/1", "/Admin/Accounts/2"
DRAFT = {"key": "fee", "name": "Fee", "subject": "Your fee", "body": "The secret word."}


def post(path: str, **fields: str) -> Act:
    return lambda _app, admin: admin.post(path, **fields)


def send(**audience: str) -> Act:
    """Confirm twice, as a double click does."""

    def act(_app: Flask, admin: WebClient) -> None:
        page = admin.post(f"{SENDS}/confirm", template="notice", **audience).text
        form = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', page.partition("<main")[2])
        fields = {name: html.unescape(value) for name, value in form if name != "csrf_token"}
        assert [admin.post(SENDS, **fields).status_code for _click in range(2)] == [303, 303]

    return act


def restore(path: str, number: int, **fields: str) -> Act:
    """Save another version first."""

    def act(app: Flask, admin: WebClient) -> None:
        admin.post(path, base_version=str(number), **fields)
        forget_entries(app)
        admin.post(f"{path}/versions/{number}/restore", base_version=str(number + 1))

    return act


def save_draft(app: Flask, admin: WebClient) -> str:
    """When it was saved, as the editor knows it."""
    admin.post(f"{TEMPLATES}/1/draft", base_version="1", draft_saved_ms="0", **DRAFT)
    forget_entries(app)
    with app.app_context():
        return str(draft_saved_at_ms(1))


def discard_draft(app: Flask, admin: WebClient) -> None:
    admin.post(f"{TEMPLATES}/1/draft/discard", draft_saved_ms=save_draft(app, admin))


def send_draft_twice(app: Flask, admin: WebClient) -> None:
    """The draft is saved already, so that only the test is new."""
    fields = {"base_version": "1", "draft_saved_ms": save_draft(app, admin), "form_id": "one", **DRAFT}
    for _click in range(2):
        admin.post(f"{TEMPLATES}/1/draft/send", **fields)


def archive(app: Flask, admin: WebClient) -> None:
    """A template that no schedule uses."""
    admin.post(f"{TEMPLATES}/new", **DRAFT)
    forget_entries(app)
    admin.post(f"{TEMPLATES}/2/archive")


def unarchive(app: Flask, admin: WebClient) -> None:
    archive(app, admin)
    forget_entries(app)
    admin.post(f"{TEMPLATES}/2/unarchive")


def import_file(path: str, text: str) -> Act:
    """A second run of the worker changes nothing."""

    def act(app: Flask, admin: WebClient) -> None:
        admin.post(path, text=text, confirmed=confirmed_digest(admin.post(path, text=text)))
        for _run in range(2):
            run_import_tasks(app)

    return act


def decide(decision: str) -> Act:
    return lambda app, admin: admin.post(f"{REPLIES}/{reply_id(app)}", decision=decision)


def give_start_to_account(app: Flask, admin: WebClient) -> None:
    """A START that may be meant for V-1 or V-2."""
    with app_transaction(app):
        db.session.add_all(PhoneNumber(account_id=account_id, number=NEW, created_at_ms=1) for account_id in (3, 4))
    receive_text(app, "START", NEW)
    with app.app_context():
        start_id = db.session.scalars(select(InboundMessage.id).where(InboundMessage.from_number == NEW)).one()
    admin.post(f"{REPLIES}/{start_id}", decision="moved", account_id="4")


def confirm_number(app: Flask, admin: WebClient) -> None:
    with app_transaction(app):
        recording.record(OWNERS, EventKind.UNREACHABLE, "twilio", current_ms(), current_ms())
    admin.post(f"{P1}/numbers/1/confirm")


def change_region(_app: Flask, admin: WebClient) -> None:
    hidden = re.findall(r'type="hidden" name="(base_\w+)" value="([^"]*)"', admin.get(f"{P1}/Edit").text)
    shown = {name.removeprefix("base_"): html.unescape(value) for name, value in hidden}
    base = {f"base_{name}": value for name, value in shown.items()}
    admin.post(f"{P1}/Edit", **base, **shown | {"value_region": "South"})


def import_accounts_file(app: Flask) -> None:
    row = "P-9,Nora New,nora@example.org,Practitioner,user,UTC,+12025550177,2026-01-01,Form"
    with app.app_context():
        import_accounts(f"{scenario.ACCOUNT_CSV_HEADER}\n{row}".encode(), current_ms())


def forget_entries(app: Flask) -> None:
    with app.app_context():
        scenario.forget_audit_entries()


ACTIONS: list[tuple[Act, str, str]] = [
    (
        send(audience_type="all"),
        "Created send 2 template notice, version 1, to everyone, administrators left out, emails: 4, texts: 1",
        f"{SENDS}/2",
    ),
    (
        send(audience_type="account_type", account_type="Practitioner"),
        "Created send 2 template notice, version 1, to account type Practitioner, administrators left out, "
        "emails: 4, texts: 1",
        f"{SENDS}/2",
    ),
    (
        send(audience_type="external_ids", external_ids="P-1\np-2\nP-1"),
        "Created send 2 template notice, version 1, to chosen accounts: 2, emails: 2, texts: 1",
        f"{SENDS}/2",
    ),
    (
        send(audience_type="conditions", **IN_NEW_YORK),
        "Created send 2 template notice, version 1, to accounts where timezone is America/New_York, "
        "administrators left out, emails: 4, texts: 1",
        f"{SENDS}/2",
    ),
    (post(f"{AUDIENCES}/new", name="All", audience_type="all"), "Created audience All", f"{AUDIENCES}/2"),
    (
        post(f"{AUDIENCES}/1", name="All", audience_type="all", base_version="1"),
        "Changed audience All",
        f"{AUDIENCES}/1",
    ),
    (post(f"{AUDIENCES}/1/archive"), "Archived audience P-1", f"{AUDIENCES}/1"),
    (post(f"{SENDS}/1/pause"), "Paused send 1", f"{SENDS}/1"),
    (post(f"{SENDS}/1/cancel"), "Canceled send 1", f"{SENDS}/1"),
    (post(f"{TEMPLATES}/new", **DRAFT), "Created template fee", f"{TEMPLATES}/2"),
    (
        post(f"{TEMPLATES}/1", base_version="1", **DRAFT),
        "Saved a new version of template notice version 2",
        f"{TEMPLATES}/1",
    ),
    (
        restore(f"{TEMPLATES}/1", 1, **DRAFT),
        "Restored an earlier version of template notice version 3, from version 1",
        f"{TEMPLATES}/1",
    ),
    (
        post(f"{TEMPLATES}/1/draft", base_version="1", draft_saved_ms="0", **DRAFT),
        "Saved a draft of template notice",
        f"{TEMPLATES}/1",
    ),
    (discard_draft, "Discarded the draft of template notice", f"{TEMPLATES}/1"),
    (send_draft_twice, "Sent the draft of template notice to themselves", "/Admin/Communications/8"),
    (archive, "Archived template fee", f"{TEMPLATES}/2"),
    (unarchive, "Unarchived template fee", f"{TEMPLATES}/2"),
    (
        post(BLOCK, base_version="0", text="The secret word."),
        "Saved a new version of the content block Sign-in Notice version 1",
        BLOCK,
    ),
    (
        restore(BLOCK, 0, text="The secret word."),
        "Restored an earlier version of the content block Sign-in Notice version 2, from the default",
        BLOCK,
    ),
    (
        lambda _app, admin: submit_opt_out(admin, number=OWNERS, channel="phone", reason="The secret word."),
        "Opted out +1 ••• 0101 event 5 of the ledger",
        "",
    ),
    (
        post(f"{NUMBER}/Move/2"),
        "Moved the texts of +1 ••• 0101 to another account to account P-2, event 5 of the ledger",
        P2,
    ),
    (decide("stop"), "Opted out the number of reply 3 event 5 of the ledger", f"{REPLIES}/3"),
    (decide("nothing"), "Closed reply 3 without action", f"{REPLIES}/3"),
    (
        give_start_to_account,
        "Gave the texts of the number of reply 4 to an account to account V-2, event 6 of the ledger",
        f"{REPLIES}/4",
    ),
    (
        import_file(STOPS, f"{OWNERS}\n{OTHER}"),
        "Imported opt-outs from a file opted out: 1, already opted out: 1",
        f"{LEDGER}/Import/3",
    ),
    (
        import_file(OPT_INS, f"external_id,phone,opted_in_at,evidence\nP-2,{NEW},2026-01-01,The secret word."),
        "Imported opt-ins from a file in force: 1, kept as evidence only: 0",
        f"{LEDGER}/Import/3",
    ),
    (
        lambda _app, admin: admin.get(f"{LEDGER}/Evidence/csv", query_string={"number": OWNERS}),
        "Exported evidence from the consent ledger number +1 ••• 0101, format csv, events: 3",
        "",
    ),
    (
        lambda _app, admin: admin.get(f"{LEDGER}/Evidence/print?account=1&from=2026-01-01&q=2025550101"),
        "Exported evidence from the consent ledger account P-1, from 2026-01-01, format print, events: 0",
        P1,
    ),
    (
        post("/Admin/Attributes/new", label="Office", key="office", kind="text"),
        "Added attribute office kind text",
        "",
    ),
    (
        post("/Admin/Attributes/4", label="Remark", key="note", kind="text"),
        "Changed attribute note from Note, to Remark",
        "",
    ),
    (post("/Admin/Attributes/4/remove", values="1"), "Removed attribute note accounts: 1", ""),
    (
        change_region,
        "Changed an attribute of account P-1 attribute Region, from North, to South",
        P1,
    ),
    (post(f"{P1}/numbers", number=NEW), "Added a phone number to account P-1 number +1 ••• 0166", P1),
    (
        post(f"{P1}/numbers/1/label", label="Work"),
        "Changed the label of a phone number of account P-1 number +1 ••• 0101",
        P1,
    ),
    (post(f"{P1}/numbers/1/remove"), "Removed a phone number from account P-1 number +1 ••• 0101", P1),
    (confirm_number, "Confirmed a phone number of account P-1 number +1 ••• 0101", P1),
    (
        lambda _app, admin: submit_request(admin, f"{P2}/numbers/2/EnableTexts"),
        "Requested texts for a number of account P-2 number +1 ••• 0101",
        P2,
    ),
]
IMPORTED = "Imported accounts from a file accounts: 1, opt-ins: 1"


@pytest.mark.parametrize(("act", "words", "address"), ACTIONS, ids=[words for _act, words, _address in ACTIONS])
def test_each_action_is_in_the_audit_log_once(
    web_app: Flask,
    admin: WebClient,
    sysadmin: WebClient,
    ready_text_id: int,
    consent_history: None,
    act: Act,
    words: str,
    address: str,
) -> None:
    forget_entries(web_app)
    act(web_app, admin)
    assert logged_actions(sysadmin) == [("Name of A-1", words, address)]
    assert find_page_problems(sysadmin.get(AUDIT_LOG_PATH).text) == []
    with web_app.app_context():
        entry = db.session.scalars(select(AuditEntry)).one()
        assert not re.search(
            r"\d{4}|secret word", f"{entry.subject} {entry.detail}".replace("••• 0", "").replace("2026", "")
        )
    if address:
        assert admin.get(address).status_code == 200


def test_actions_at_the_shell_have_no_account(web_app: Flask, sysadmin: WebClient) -> None:
    forget_entries(web_app)
    import_accounts_file(web_app)
    assert logged_actions(sysadmin) == [
        ("Portal or command line", IMPORTED, ""),
        ("Portal or command line", "Created account P-9", "/Admin/Accounts/7"),
    ]


@pytest.mark.usefixtures("consent_history")
def test_changes_to_ones_own_numbers_are_in_the_audit_log(web_app: Flask, number_owner: WebClient) -> None:
    own = "/MyAccount/PhoneNumbers"
    number_owner.post(own, number=NEW)
    number_owner.post(f"{own}/1/label", label="Work")
    submit_request(number_owner, f"{own}/4/EnableTexts")
    number_owner.post(f"{own}/1/remove")
    actions = ["number_added", "number_relabeled", "texts_requested", "number_removed"]
    assert audit_entries(web_app) == [(action, "account P-1") for action in actions]


def test_saving_what_is_there_is_not_in_the_audit_log(web_app: Flask, admin: WebClient) -> None:
    admin.post(f"{P1}/numbers/1/label", label="")
    admin.post(BLOCK, base_version="0", text="")
    assert audit_entries(web_app) == []


def logged_actions(sysadmin: WebClient) -> list[tuple[str, str, str]]:
    """Who did what, and the link, from the newest to the oldest; without the changes of settings."""
    rows = re.findall(
        r'data-label="Who">(.*?)</td>\s*<td data-label="Action">(.*?)</td>', sysadmin.get(AUDIT_LOG_PATH).text
    )
    links = [re.search(r'href="([^"]+)"', action) for _who, action in rows]
    return [
        (who, visible_text(action), link[1] if link else "")
        for (who, action), link in zip(rows, links, strict=True)
        if "Changed Sms" not in action and "Changed Enable" not in action
    ]


@pytest.mark.usefixtures("consent_history")
@pytest.mark.parametrize("file_format", ["csv", "print"])
def test_head_of_an_export_is_not_in_the_audit_log(web_app: Flask, admin: WebClient, file_format: str) -> None:
    before = audit_entries(web_app)
    response = admin.client.head(f"{LEDGER}/Evidence/{file_format}", base_url=PUBLIC_URL)
    assert (response.status_code, audit_entries(web_app)) == (200, before)
