"""The link that makes the first system administrator: once, within an hour, and only the newest."""

from threading import Barrier, Thread

import pytest
from flask import Flask
from sqlalchemy import func, select

from portal.accounts.account_management import NewAccount, create_account
from portal.accounts.tables.accounts import Account
from portal.core.errors import InvalidInput
from portal.core.extensions import db
from portal.setup import first_sysadmin
from portal.setup.first_sysadmin import LINK_LIFETIME_MS, LinkUnusable
from portal.setup.tables.setup_state import SetupState
from tests.support import scenario

pytestmark = pytest.mark.usefixtures("app")
NOW_MS = scenario.now_ms()
PERSON = ("Dana Reyes", "dana@example.org", "quiet-harbor-lamp-7")


def new_token() -> str:
    link = first_sysadmin.issue_link(NOW_MS)
    assert link
    return link.rpartition("/")[2]


def sysadmins() -> int:
    return db.session.scalar(select(func.count()).where(Account.role == "sysadmin")) or 0


def test_link_makes_one_sysadmin_and_is_used_then() -> None:
    token = new_token()
    account_id = first_sysadmin.create_first_sysadmin(token, *PERSON, NOW_MS)
    assert db.session.get_one(Account, account_id).role == "sysadmin"
    with pytest.raises(LinkUnusable):
        first_sysadmin.create_first_sysadmin(token, *PERSON, NOW_MS)
    assert first_sysadmin.issue_link(NOW_MS) is None
    assert sysadmins() == 1


def test_link_that_is_late_replaced_or_invented_does_nothing() -> None:
    replaced, token = new_token(), new_token()
    for unusable, at_ms in ((replaced, NOW_MS), ("invented", NOW_MS), (token, NOW_MS + LINK_LIFETIME_MS)):
        assert not first_sysadmin.is_link_usable(unusable, at_ms)
        with pytest.raises(LinkUnusable):
            first_sysadmin.create_first_sysadmin(unusable, *PERSON, at_ms)
    assert first_sysadmin.is_link_usable(token, NOW_MS)


def test_link_ends_when_the_shell_has_made_a_sysadmin() -> None:
    token = new_token()
    create_account(NewAccount("S-1", "Sasha", "s@example.org", "Staff", "sysadmin"), NOW_MS)
    assert not first_sysadmin.is_link_usable(token, NOW_MS)


def test_invalid_input_keeps_the_link() -> None:
    token = new_token()
    with pytest.raises(InvalidInput) as refused:
        first_sysadmin.create_first_sysadmin(token, "", "nobody", "short", NOW_MS)
    assert set(refused.value.errors) == {"name", "email", "password"}
    assert first_sysadmin.is_link_usable(token, NOW_MS)


def test_database_holds_only_a_hash_of_the_link() -> None:
    token = new_token()
    assert token not in db.session.scalars(select(SetupState.value)).one()


def test_of_two_people_with_the_link_one_becomes_sysadmin(app: Flask) -> None:
    token, barrier, results = new_token(), Barrier(2), list[str]()
    db.session.remove()

    def use(email: str) -> None:
        with app.app_context():
            barrier.wait()
            try:
                first_sysadmin.create_first_sysadmin(token, "Dana", email, PERSON[2], NOW_MS)
                results.append("made")
            except LinkUnusable:
                results.append("unusable")
            finally:
                db.session.remove()

    threads = [Thread(target=use, args=(f"{name}@example.org",)) for name in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == ["made", "unusable"]
    assert sysadmins() == 1
