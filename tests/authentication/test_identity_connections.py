"""Identities of a single sign-on belong to one account each, and challenges count once, on both engines."""

import threading

import pytest
from flask import Flask

from portal.accounts.tables.accounts import Account
from portal.authentication.identity_connections import (
    connect_identity,
    disconnect_identities,
    find_or_connect_account,
    follow_role_claim,
)
from portal.authentication.tables.external_identities import find_external_identity
from portal.authentication.tables.spent_challenges import CHALLENGE_LIFETIME_MS, spend_challenge
from portal.core.errors import ActionRefused
from portal.core.extensions import db
from portal.core.rules.oidc_settings import parse_single_sign_on
from portal.core.transaction import transaction
from tests.support import scenario

ISSUER, NOW_MS = "https://login.example.org", scenario.now_ms()


@pytest.fixture(autouse=True)
def accounts(app: Flask) -> None:
    scenario.create_accounts(2)


def test_identity_belongs_to_one_account_and_an_account_has_one_at_an_issuer() -> None:
    connect_identity("P-0", ISSUER, "subject-1", NOW_MS)
    with pytest.raises(ActionRefused, match="belongs to an account already"):
        connect_identity("P-1", ISSUER, "subject-1", NOW_MS)
    with pytest.raises(ActionRefused, match="belongs to another identity already"):
        connect_identity("P-0", ISSUER, "subject-2", NOW_MS)
    connect_identity("P-0", "https://other.example.org", "subject-2", NOW_MS)
    with pytest.raises(ActionRefused, match="There is no account P-9"):
        connect_identity("P-9", ISSUER, "subject-9", NOW_MS)


def test_disconnecting_frees_the_identity_for_another_account() -> None:
    connect_identity("P-0", ISSUER, "subject-1", NOW_MS)
    assert disconnect_identities("P-0", NOW_MS)
    connect_identity("P-1", ISSUER, "subject-1", NOW_MS)
    identity = find_external_identity(ISSUER, "subject-1")
    assert identity
    assert identity.account_id == 2


def test_challenge_counts_once_of_many_at_the_same_time(app: Flask) -> None:
    results: list[bool] = []

    def spend() -> None:
        with app.app_context():
            with transaction():
                results.append(spend_challenge("challenge", NOW_MS))
            db.session.remove()

    db.session.rollback()
    threads = [threading.Thread(target=spend) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == [False, False, False, True]


def test_spent_challenges_are_forgotten_once_they_could_not_be_answered_any_more() -> None:
    later_ms = NOW_MS + 2 * CHALLENGE_LIFETIME_MS + 1
    with transaction():
        assert spend_challenge("challenge", NOW_MS)
        assert not spend_challenge("challenge", NOW_MS + CHALLENGE_LIFETIME_MS)
        assert spend_challenge("other", later_ms)
        assert spend_challenge("challenge", later_ms)


CONFIG = parse_single_sign_on(
    {
        "PORTAL_OIDC_ISSUER": ISSUER,
        "PORTAL_OIDC_CLIENT_ID": "portal",
        "PORTAL_OIDC_CLIENT_SECRET": "secret",
        "PORTAL_OIDC_ROLE_CLAIM": "groups",
        "PORTAL_OIDC_SYSADMIN_VALUES": "operators",
    }
)


def test_roles_follow_the_claim_until_one_system_administrator_is_left() -> None:
    assert CONFIG
    for number, (groups, role) in enumerate([(["operators"], "sysadmin"), ([], "user"), (["operators"], "sysadmin")]):
        claims = {"sub": "1", "email": "p0@example.org", "email_verified": True, "groups": groups}
        if number == 1:
            with transaction() as session:
                session.get_one(Account, 2).role = "sysadmin"
        with transaction():
            account = find_or_connect_account(CONFIG, claims, NOW_MS)
            follow_role_claim(account, CONFIG, claims, NOW_MS)
            assert account.role == role
    with transaction() as session:
        session.get_one(Account, 2).role = "user"
    with transaction():
        account = find_or_connect_account(CONFIG, {"sub": "1"}, NOW_MS)
        follow_role_claim(account, CONFIG, {"groups": []}, NOW_MS)
        assert account.role == "sysadmin"
