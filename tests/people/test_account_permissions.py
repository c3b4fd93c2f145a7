"""Only a system administrator acts on the account of one, and gives roles: each action, by each role, on each role."""

from collections.abc import Callable

import pytest
from flask import Flask
from sqlalchemy import update

from portal.accounts.account_attributes import set_attributes
from portal.accounts.account_editing import edit_account
from portal.accounts.account_management import NewAccount, create_account, set_timezone
from portal.accounts.account_permissions import NotPermitted
from portal.accounts.password_invitation import invitation_token
from portal.accounts.rules.account_fields import EDITABLE_FIELDS
from portal.accounts.tables.accounts import Account
from portal.accounts.tables.phone_numbers import phones_of
from portal.consent import account_phones, invitations, manual_consent
from portal.core.actor import Actor
from portal.core.errors import ActionRefused, InvalidInput
from portal.core.extensions import db
from portal.core.transaction import transaction
from portal.people import deactivation
from portal.people.merging import plan_merge
from portal.records import erasure
from tests.support import scenario

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
]


@pytest.mark.parametrize("act", ACTIONS)
def test_administrator_acts_on_everybody_but_sysadmins(act: Callable[[int, int], object]) -> None:
    for role in ("user", "admin"):
        act(ADMIN, TARGETS[role])
    with pytest.raises(NotPermitted):
        act(ADMIN, TARGETS["sysadmin"])


@pytest.mark.parametrize("act", ACTIONS)
def test_sysadmin_acts_on_sysadmins(act: Callable[[int, int], object]) -> None:
    act(SYSADMIN, TARGETS["sysadmin"])


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


def test_the_last_sysadmin_keeps_the_role() -> None:
    deactivation.deactivate_account(SYSADMIN, None, NOW_MS)
    with pytest.raises(InvalidInput, match="only active system administrator"):
        edit_account(TARGETS["sysadmin"], {"role": "user"}, {}, {"role": "sysadmin"}, None, NOW_MS)
    with pytest.raises(ActionRefused, match="only active system administrator"):
        deactivation.deactivate_account(TARGETS["sysadmin"], None, NOW_MS)
