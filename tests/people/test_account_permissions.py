"""Only a system administrator acts on the account of one, and gives roles: each action, by each role, on each role."""

from collections.abc import Callable

import pytest
from flask import Flask
from sqlalchemy import select, update

from portal.accounts.account_attributes import set_attributes
from portal.accounts.account_editing import edit_account
from portal.accounts.account_management import NewAccount, create_account, set_timezone
from portal.accounts.account_permissions import NotPermitted, record_denial
from portal.accounts.password_invitation import invitation_token
from portal.accounts.rules.account_fields import EDITABLE_FIELDS
from portal.accounts.tables.accounts import Account
from portal.accounts.tables.phone_numbers import is_stopped, phones_of
from portal.consent import account_phones, background_imports, invitations, manual_consent
from portal.consent.account_import import ImportRejected
from portal.consent.opt_in_import import import_opt_ins
from portal.consent.opt_out_import import import_opt_outs
from portal.consent.tables.import_tasks import ImportTask, ImportTaskKind
from portal.consent.tables.inbound_messages import InboundMessage
from portal.core.actor import Actor
from portal.core.audit_log import AuditEntry
from portal.core.errors import ActionRefused, InvalidInput
from portal.core.extensions import db
from portal.core.transaction import transaction
from portal.operations import attribute_import
from portal.people import account_file_import, deactivation  # noqa: F401  registers the import of accounts
from portal.people.merging import plan_merge
from portal.records import erasure
from tests.support import scenario
from tests.support.inbound_helpers import receive_text

NOW_MS = scenario.now_ms()
ADMIN, SYSADMIN = 1, 2
"""The ids of those who act."""
TARGETS = {"user": 3, "admin": 4, "sysadmin": 5}


@pytest.fixture(autouse=True)
def accounts_of_each_role(app: Flask) -> None:
    scenario.configure_gateway()
    scenario.create_accounts(6, with_sms=6)
    scenario.add_attributes()
    roles = {ADMIN: "admin", SYSADMIN: "sysadmin", **{account_id: role for role, account_id in TARGETS.items()}}
    with transaction() as session:
        for account_id, role in roles.items():
            session.execute(update(Account).where(Account.id == account_id).values(role=role))


def actor(actor_id: int) -> Actor:
    return Actor(actor_id, is_admin=True)


def edit(actor_id: int, target_id: int) -> None:
    account = db.session.get_one(Account, target_id)
    base = {name: getattr(account, name) for name in EDITABLE_FIELDS}
    edit_account(target_id, {**base, "name": "Somebody Else"}, {}, base, actor_id, NOW_MS)


def phone_id(target_id: int) -> int:
    return phones_of(target_id)[0].id


def invite(actor_id: int, target_id: int) -> None:
    number_id = account_phones.add_number(target_id, f"+1415200777{target_id}", "", NOW_MS)
    fingerprint = invitations.opt_in_prompt(f"+1415200777{target_id}").fingerprint
    invitations.invite(number_id, actor(actor_id), fingerprint, NOW_MS)


def reactivate(actor_id: int, target_id: int) -> None:
    deactivation.deactivate_account(target_id, None, NOW_MS)
    deactivation.reactivate_account(target_id, actor_id, NOW_MS)


def move_texts(actor_id: int, target_id: int) -> None:
    """From the target to somebody who has the number as well."""
    number = phones_of(target_id)[0].number
    account_phones.add_number(6, number, "", NOW_MS)
    manual_consent.move_texts(number, 6, actor(actor_id), NOW_MS)


def opt_out(actor_id: int, target_id: int) -> None:
    manual_consent.opt_out(phones_of(target_id)[0].number, "phone", "Rang us", actor(actor_id), NOW_MS)


def import_opt_out(actor_id: int, target_id: int) -> None:
    import_opt_outs(phones_of(target_id)[0].number, actor(actor_id), NOW_MS)


def import_opt_in(actor_id: int, target_id: int) -> None:
    row = f"{external_id(target_id)},+1415200666{target_id},2026-02-01,Form"
    import_opt_ins(f"external_id,phone,opted_in_at,evidence\n{row}", actor(actor_id), NOW_MS)


def import_attribute(actor_id: int, target_id: int) -> None:
    text = f"external_id,note\n{external_id(target_id)},Again"
    attribute_import.import_text(text, actor(actor_id), NOW_MS)


def import_account(actor_id: int, target_id: int) -> None:
    content = f"external_id,name\n{external_id(target_id)},Zoe".encode()
    task_id = background_imports.create_upload(ImportTaskKind.ACCOUNTS, content, "a.csv", actor(actor_id), NOW_MS)
    background_imports.run_task(task_id, scenario.now_ms)
    for error in db.session.get_one(ImportTask, task_id).preview["row_errors"]:
        raise ActionRefused(error["message"])


def external_id(account_id: int) -> str:
    return db.session.get_one(Account, account_id).external_id


def refusal(act: Callable[[int, int], object], actor_id: int, target_id: int) -> str:
    """Why the action was refused; "" if it was not."""
    try:
        act(actor_id, target_id)
    except ImportRejected as error:
        return error.row_errors[0].message
    except InvalidInput as error:
        return next(iter(error.errors.values()))
    except ActionRefused as error:
        return error.message
    return ""


ACTIONS: list[Callable[[int, int], object]] = [
    edit,
    lambda by, target: set_timezone(target, "Europe/Vienna", by, NOW_MS),
    lambda by, target: set_attributes(target, {"note": "x"}, by, NOW_MS),
    lambda by, target: deactivation.deactivate_account(target, by, NOW_MS),
    reactivate,
    lambda by, target: invitation_token(target, by, NOW_MS),
    lambda by, target: account_phones.add_number(target, "+14152008888", "", NOW_MS, actor=actor(by)),
    lambda by, target: account_phones.relabel_number(phone_id(target), target, "x", actor(by), NOW_MS),
    lambda by, target: account_phones.confirm_number(phone_id(target), target, actor(by), NOW_MS),
    lambda by, target: account_phones.remove_number(phone_id(target), target, actor(by), NOW_MS),
    invite,
    move_texts,
    lambda by, target: erasure.erase_account(target, f"P-{target - 1}", actor(by), NOW_MS),
    lambda by, target: plan_merge(target, 6, by),
    lambda by, target: plan_merge(6, target, by),
    import_opt_in,
    import_attribute,
    import_account,
]


@pytest.mark.parametrize("act", ACTIONS)
def test_administrator_acts_on_everybody_but_sysadmins(act: Callable[[int, int], object]) -> None:
    assert [refusal(act, ADMIN, TARGETS[role]) for role in ("user", "admin")] == ["", ""]
    only = "Only a system administrator can act on the account of a system administrator."
    assert refusal(act, ADMIN, TARGETS["sysadmin"]) == only


@pytest.mark.parametrize("act", ACTIONS)
def test_sysadmin_acts_on_sysadmins(act: Callable[[int, int], object]) -> None:
    assert refusal(act, SYSADMIN, TARGETS["sysadmin"]) == ""


@pytest.mark.parametrize("act", ACTIONS)
def test_user_acts_on_nobody_else(act: Callable[[int, int], object]) -> None:
    only = "Only an administrator can act on the account of somebody else."
    assert refusal(act, TARGETS["user"], TARGETS["admin"]) == only


@pytest.mark.parametrize("record", [opt_out, import_opt_out])
def test_opt_out_of_a_sysadmin_counts_whoever_records_it(record: Callable[[int, int], object]) -> None:
    record(ADMIN, TARGETS["sysadmin"])
    assert is_stopped(phones_of(TARGETS["sysadmin"])[0].number)


def test_stop_from_the_phone_of_a_sysadmin_counts_whoever_reads_it() -> None:
    number = phones_of(TARGETS["sysadmin"])[0].number
    receive_text("Would you please not write to me any longer?", number, NOW_MS)
    message_id = db.session.scalars(select(InboundMessage.id)).one()
    manual_consent.decide_reply(message_id, "stop", actor(ADMIN), NOW_MS + 1)
    assert is_stopped(number)


@pytest.mark.parametrize("role", TARGETS)
def test_only_a_sysadmin_creates_an_account_with_a_role(role: str) -> None:
    def create(by: int) -> None:
        new = NewAccount(f"N-{by}", "Nora", "nora@example.org", "Provider", role)
        create_account(new, NOW_MS, by)

    create(SYSADMIN)
    if role == "user":
        create(ADMIN)
    else:
        with pytest.raises(InvalidInput, match="Only a system administrator can give or take a role"):
            create(ADMIN)


@pytest.mark.parametrize(("before", "after"), [("user", "admin"), ("admin", "user"), ("admin", "sysadmin")])
def test_only_a_sysadmin_changes_a_role(before: str, after: str) -> None:
    target = TARGETS[before]
    with pytest.raises(InvalidInput, match="Only a system administrator can give or take a role"):
        edit_account(target, {"role": after}, {}, {"role": before}, ADMIN, NOW_MS)
    edit_account(target, {"role": after}, {}, {"role": before}, SYSADMIN, NOW_MS)
    assert db.session.get_one(Account, target).role == after


def test_deactivated_administrator_may_do_nothing_more() -> None:
    deactivation.deactivate_account(SYSADMIN, None, NOW_MS)
    with pytest.raises(NotPermitted):
        edit(SYSADMIN, TARGETS["sysadmin"])


def test_denial_is_recorded_once_a_minute_for_each_account_and_route() -> None:
    scenario.forget_audit_entries()
    denials = [("/Admin", 3, 0), ("/Admin", 3, 59_000), ("/Admin", 4, 59_000), ("/Admin", 3, 60_001), ("/", 3, 60_001)]
    for route, actor_id, after_ms in denials:
        record_denial(route, actor_id, NOW_MS + after_ms)
    entries = db.session.scalars(select(AuditEntry).order_by(AuditEntry.id))
    assert [(entry.subject, entry.actor_id, entry.at_ms - NOW_MS) for entry in entries] == [denials[0], *denials[2:]]


def test_the_last_sysadmin_keeps_the_role() -> None:
    deactivation.deactivate_account(SYSADMIN, None, NOW_MS)
    with pytest.raises(InvalidInput, match="only active system administrator"):
        edit_account(TARGETS["sysadmin"], {"role": "user"}, {}, {"role": "sysadmin"}, None, NOW_MS)
    with pytest.raises(ActionRefused, match="only active system administrator"):
        deactivation.deactivate_account(TARGETS["sysadmin"], None, NOW_MS)
