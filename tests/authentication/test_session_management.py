"""A session ends with its time and with what it was opened under, and its token is nowhere but in the browser."""

from functools import partial

import pytest
from flask import Flask
from sqlalchemy import select

from portal.accounts.account_editing import edit_account
from portal.accounts.account_permissions import NotPermitted
from portal.accounts.passwords import reset_password_by_link
from portal.accounts.tables.accounts import Account
from portal.authentication import session_management as sessions
from portal.authentication.rules.devices import device_of
from portal.authentication.rules.session_limits import SessionEnd, SessionLimits, session_end
from portal.authentication.session_management import BrowserSession, SessionClient, token_hash
from portal.authentication.tables.sign_in_sessions import SignInSession, find_with_account
from portal.core.audit_log import entries_about
from portal.core.extensions import db
from portal.core.transaction import transaction
from portal.delivery import maintenance
from portal.people.deactivation import deactivate_account
from tests.support import scenario

NOW_MS = scenario.now_ms()
MINUTE_MS, HOUR_MS = 60_000, 3_600_000
LIMITS = SessionLimits(idle_ms=8 * HOUR_MS, admin_idle_ms=30 * MINUTE_MS, lifetime_ms=12 * HOUR_MS)
FIREFOX = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:143.0) Gecko/20100101 Firefox/143.0"


@pytest.fixture(autouse=True)
def three_people(app: Flask) -> None:
    scenario.create_accounts(3)


def opened(account_id: int = 1, previous: BrowserSession | None = None, at_ms: int = NOW_MS) -> BrowserSession:
    return sessions.open_session(account_id, SessionClient(FIREFOX, "192.0.2.1"), "password", previous, at_ms)


def is_valid(session: BrowserSession) -> bool:
    db.session.rollback()
    return find_with_account(token_hash(session.token)) is not None


def rows() -> list[SignInSession]:
    db.session.rollback()
    return list(db.session.scalars(select(SignInSession).order_by(SignInSession.id)))


def role_of_first(role: str) -> None:
    with transaction() as session:
        session.get_one(Account, 1).role = role


def test_the_table_holds_the_hash_of_256_random_bits_and_words_for_the_device() -> None:
    token = opened().token
    (row,) = rows()
    assert (len(token), row.token_hash) == (43, token_hash(token))
    assert (row.browser, row.system, row.address, row.methods) == ("Firefox", "Windows", "192.0.2.1", "password")
    assert token not in repr(vars(row))


def test_signing_in_again_ends_the_previous_session_of_the_browser_only() -> None:
    first, elsewhere = opened(), opened()
    second = opened(previous=first)
    assert [is_valid(each) for each in (first, elsewhere, second)] == [False, True, True]


def test_a_new_proof_of_identity_renews_the_token_and_keeps_the_lifetime() -> None:
    first = opened()
    renewed = sessions.renew_session(first, NOW_MS + HOUR_MS)
    assert renewed is not None
    (row,) = rows()
    assert [is_valid(first), is_valid(renewed)] == [False, True]
    assert (row.created_at_ms, row.authenticated_at_ms) == (NOW_MS, NOW_MS + HOUR_MS)
    assert sessions.renew_session(first, NOW_MS) is None, "the old token renews nothing"


@pytest.mark.parametrize("change", ["password", "role", "email", "deactivation"])
def test_what_changes_the_identity_ends_every_session_and_maintenance_deletes_them(change: str) -> None:
    identity = db.session.get_one(Account, 1).fs_uniquifier
    ours, others = opened(1), opened(2)
    match change:
        case "password":
            assert reset_password_by_link(1, identity, "maple-lantern-river", NOW_MS)
        case "role":
            edit_account(1, {"role": "admin"}, {}, {}, None, NOW_MS)
        case "email":
            edit_account(1, {"email": "new@example.org"}, {}, {}, None, NOW_MS)
        case _:
            deactivate_account(1, None, NOW_MS)
    assert [is_valid(ours), is_valid(others)] == [False, True]
    assert sessions.valid_sessions(db.session.get_one(Account, 1), NOW_MS) == []
    sessions.delete_ended_sessions(NOW_MS)
    assert [row.account_id for row in rows()] == [2]


def test_activity_is_written_once_a_minute_and_never_backwards() -> None:
    (session,) = [opened()]
    for at_ms in (NOW_MS + 59_999, NOW_MS + 60_000, NOW_MS + 60_001, NOW_MS):
        sessions.note_activity(session.id, at_ms)
    assert rows()[0].last_seen_at_ms == NOW_MS + 60_000


@pytest.mark.parametrize(
    ("role", "seen_ms", "age_ms", "expected"),
    [
        ("user", 0, 8 * HOUR_MS - 1, None),
        ("user", 0, 8 * HOUR_MS, SessionEnd.IDLE),
        ("admin", 0, 30 * MINUTE_MS - 1, None),
        ("admin", 0, 30 * MINUTE_MS, SessionEnd.IDLE),
        ("sysadmin", 0, 30 * MINUTE_MS, SessionEnd.IDLE),
        ("sysadmin", 12 * HOUR_MS - 1, 12 * HOUR_MS, SessionEnd.LIFETIME),
        ("user", 12 * HOUR_MS - 1, 12 * HOUR_MS - 1, None),
    ],
)
def test_inactivity_ends_a_session_sooner_for_administrators(
    role: str, seen_ms: int, age_ms: int, expected: SessionEnd | None
) -> None:
    assert session_end(0, seen_ms, role, LIMITS, age_ms) == expected


def test_only_valid_sessions_are_listed_and_the_last_used_comes_first() -> None:
    opened(at_ms=NOW_MS - 9 * HOUR_MS)
    old, new = opened(at_ms=NOW_MS - HOUR_MS), opened(at_ms=NOW_MS)
    account = db.session.get_one(Account, 1)
    assert [row.id for row in sessions.valid_sessions(account, NOW_MS)] == [new.id, old.id]
    role_of_first("admin")
    assert [row.id for row in sessions.valid_sessions(account, NOW_MS)] == [new.id]


def test_maintenance_keeps_ended_sessions_for_a_day_to_say_why() -> None:
    opened()
    for hours, expected in ((36, 1), (36.01, 0)):
        at_ms = NOW_MS + round(hours * HOUR_MS)
        maintenance.run_local_maintenance(partial(int, at_ms))
        assert len(rows()) == expected


def test_revoking_ends_one_the_others_or_all_and_is_audited() -> None:
    kept, second, third, stranger = opened(), opened(), opened(), opened(2)
    assert sessions.revoke_session(1, second.id, 1, NOW_MS)
    assert not sessions.revoke_session(1, second.id, 1, NOW_MS), "it has ended already"
    assert not sessions.revoke_session(1, stranger.id, 1, NOW_MS), "it belongs to somebody else"
    assert sessions.revoke_other_sessions(1, kept.id, 1, NOW_MS) == 1
    assert [is_valid(each) for each in (kept, second, third, stranger)] == [True, False, False, True]
    assert sessions.revoke_all_sessions(1, None, NOW_MS) == 1
    assert not is_valid(kept)
    entries = entries_about(f"account {db.session.get_one(Account, 1).external_id}", ["sessions_revoked"])
    assert sorted((entry.actor_id or 0, entry.detail["sessions"]) for entry in entries) == [(0, 1), (1, 1), (1, 1)]


def test_an_administrator_ends_no_session_of_a_system_administrator() -> None:
    role_of_first("sysadmin")
    with transaction() as session:
        session.get_one(Account, 2).role = "admin"
    own = opened(1)
    with pytest.raises(NotPermitted):
        sessions.revoke_session(1, own.id, 2, NOW_MS)
    with pytest.raises(NotPermitted):
        sessions.revoke_all_sessions(1, 2, NOW_MS)
    assert is_valid(own)


@pytest.mark.parametrize(
    ("agent", "label"),
    [
        (FIREFOX, "Firefox on Windows"),
        (
            "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
            "Version/18.5 Mobile/15E148 Safari/604.1",
            "Safari on iPhone",
        ),
        (
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 "
            "Safari/537.36 Edg/140.0.0.0",
            "Edge on Windows",
        ),
        (
            "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Mobile "
            "Safari/537.36",
            "Chrome on Android",
        ),
        ("curl/8.9.1", "Unknown device"),
        ("", "Unknown device"),
        ("<script>Linux", "Linux"),
    ],
)
def test_a_device_is_named_in_known_words(agent: str, label: str) -> None:
    assert device_of(agent).label == label
