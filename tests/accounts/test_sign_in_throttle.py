"""Tries are counted for each account, before anything is hashed, on both databases."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from flask import Flask
from passlib.context import CryptContext
from sqlalchemy import func, insert, select

from portal.accounts.account_management import NewAccount, create_account
from portal.accounts.authentication import AuthenticationResult, SignInClient, authenticate
from portal.accounts.password_hashing import HashLimiter, LimitedPasswordContext
from portal.accounts.rules import throttle_policy
from portal.accounts.tables.accounts import Account
from portal.accounts.tables.throttle_counters import ThrottleCounter
from portal.core.errors import Busy
from portal.core.extensions import db, security

NOW = 1_767_225_600_000
RIGHT, WRONG = "correct horse battery", "wrong horse battery"
HOME, ELSEWHERE = SignInClient("192.0.2.1"), SignInClient("198.51.100.9")
LIMIT = throttle_policy.FREE_ATTEMPTS["name"] + 1
NAME_VARIANTS = {
    "P-1": ["P-1", "p-1", "P-1\x00", "\u200bP-1", "P\u00ad-1", " P-1 ", "P-1\ufeff", "P-\u20601", "P-1\x00\x00"],
    "olive@example.org": [
        "OLIVE@example.org",
        "olive@example.org\x00",
        "ol\u200bive@example.org",
        "Olive@Example.ORG\x07",
    ],
    "nobody@example.org": [
        "Nobody@example.org",
        "nobody@example.org\x00",
        "no\u200dbody@example.org",
        "ｎobody@example.org",
    ],
    "X-99": ["x-99", "X-99\x00", "\u2060X-99", "X\u00ad-99"],
}


class CountingContext:
    """A hash that is quick, and how often it was computed."""

    def __init__(self) -> None:
        self.hashes = 0
        cheap = {"argon2__memory_cost": 8, "argon2__rounds": 1, "argon2__parallelism": 1}
        self._context = CryptContext(schemes=["argon2"], **cheap)

    def hash(self, *arguments: Any) -> Any:
        self.hashes += 1
        return self._context.hash(*arguments)

    def verify(self, *arguments: Any) -> Any:
        self.hashes += 1
        return self._context.verify(*arguments)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._context, name)


@pytest.fixture
def counting_hasher(app: Flask) -> Iterator[CountingContext]:
    found = CountingContext()
    before, security.pwd_context = security.pwd_context, LimitedPasswordContext(found, HashLimiter(2, 100, 30))
    for number, email in (("P-1", "olive@example.org"), ("P-2", "pat@example.org"), ("V-2", "pat@example.org")):
        create_account(NewAccount(number, "Olive", email, "Practitioner", password=RIGHT), NOW)
    found.hashes = 0
    yield found
    security.pwd_context = before


def fail_sign_in(name: str, times: int, caller: SignInClient = ELSEWHERE) -> list[AuthenticationResult]:
    return [authenticate(name, WRONG, caller, NOW) for _ in range(times)]


@pytest.mark.parametrize("name", NAME_VARIANTS)
def test_however_a_name_is_typed_it_has_one_counter(counting_hasher: CountingContext, name: str) -> None:
    variants = NAME_VARIANTS[name]
    answers = [authenticate(variants[place % len(variants)], WRONG, ELSEWHERE, NOW) for place in range(LIMIT + 3)]
    assert [bool(answer.retry_after_ms) for answer in answers] == [False] * LIMIT + [True] * 3


def test_email_and_account_number_share_a_counter(counting_hasher: CountingContext) -> None:
    fail_sign_in("P-1", 3)
    fail_sign_in("olive@example.org", 3)
    assert authenticate("p-1", RIGHT, ELSEWHERE, NOW).retry_after_ms


@pytest.mark.parametrize("name", ["P-1", "nobody@example.org", "pat@example.org"])
def test_tries_at_once_reach_no_more_hashes_than_the_limit(
    app: Flask, counting_hasher: CountingContext, name: str
) -> None:
    def attempt(_place: int) -> AuthenticationResult:
        with app.app_context():
            try:
                return authenticate(name, WRONG, ELSEWHERE, NOW)
            finally:
                db.session.remove()

    with ThreadPoolExecutor(40) as pool:
        answers = list(pool.map(attempt, range(40)))
    assert sum(not answer.retry_after_ms for answer in answers) == LIMIT
    assert counting_hasher.hashes == 2 * LIMIT  # two accounts share an email, so each try costs two


@pytest.mark.parametrize("opener", ["P-2", "nobody"])
def test_nobody_elses_success_clears_a_counter(counting_hasher: CountingContext, opener: str) -> None:
    fail_sign_in("P-1", LIMIT)
    authenticate(opener, RIGHT, ELSEWHERE, NOW)
    assert authenticate("P-1", RIGHT, ELSEWHERE, NOW).retry_after_ms


def test_the_accounts_own_success_clears_its_counter(counting_hasher: CountingContext) -> None:
    fail_sign_in("P-1", LIMIT - 1)
    assert authenticate("P-1", RIGHT, ELSEWHERE, NOW).account_ids == (1,)
    assert not any(answer.retry_after_ms for answer in fail_sign_in("P-1", LIMIT))


def test_of_two_accounts_with_one_email_only_the_one_that_was_opened_is_cleared(
    counting_hasher: CountingContext,
) -> None:
    fail_sign_in("pat@example.org", LIMIT - 1)
    assert authenticate("P-2", RIGHT, ELSEWHERE, NOW).account_ids == (2,)
    fail_sign_in("V-2", 1)
    assert not authenticate("P-2", RIGHT, ELSEWHERE, NOW).retry_after_ms
    assert authenticate("V-2", RIGHT, ELSEWHERE, NOW).retry_after_ms


def test_wrong_tries_from_one_address_leave_the_right_password_elsewhere_alone(
    counting_hasher: CountingContext,
) -> None:
    fail_sign_in("P-1", 30)
    assert authenticate("olive@example.org", RIGHT, HOME, NOW).account_ids == (1,)


def attack_from_many_addresses(name: str) -> None:
    for place in range(20):
        authenticate(name, WRONG, SignInClient(f"203.0.113.{place}"), NOW)


@pytest.mark.parametrize(
    "known",
    [HOME, SignInClient("192.0.2.77", "laptop", frozenset({1})), SignInClient("203.0.113.7", "laptop", frozenset({1}))],
    ids=["address", "device elsewhere", "device at an attacking address"],
)
def test_a_known_device_or_address_gets_in_while_many_guess(
    counting_hasher: CountingContext, known: SignInClient
) -> None:
    authenticate("P-1", RIGHT, HOME, NOW)
    attack_from_many_addresses("P-1")
    assert authenticate("P-1", RIGHT, SignInClient("192.0.2.200"), NOW).retry_after_ms
    assert authenticate("P-1", RIGHT, known, NOW).account_ids == (1,)


def test_guessing_from_many_addresses_is_slowed_as_well(counting_hasher: CountingContext) -> None:
    attack_from_many_addresses("P-1")
    assert counting_hasher.hashes == 2 * (throttle_policy.FREE_ATTEMPTS["account"] + 1)


@pytest.mark.parametrize("device", [SignInClient("192.0.2.1", "laptop", frozenset({1})), HOME])
def test_a_known_device_or_address_may_not_guess_for_ever(
    counting_hasher: CountingContext, device: SignInClient
) -> None:
    authenticate("P-1", RIGHT, HOME, NOW)
    assert [bool(answer.retry_after_ms) for answer in fail_sign_in("P-1", LIMIT + 1, device)] == [False] * LIMIT + [
        True
    ]


def test_a_device_known_to_another_account_is_a_stranger(counting_hasher: CountingContext) -> None:
    attack_from_many_addresses("P-1")
    assert authenticate("P-1", RIGHT, SignInClient("192.0.2.9", "laptop", frozenset({2, 3})), NOW).retry_after_ms


@pytest.mark.parametrize("name", ["P-1", "pat@example.org", "nobody@example.org", "V-2", "", "P-3"])
def test_every_try_costs_the_same_hashes_whoever_exists(counting_hasher: CountingContext, name: str) -> None:
    create_account(NewAccount("P-3", "No Password", "nopass@example.org", "Practitioner"), NOW)
    counting_hasher.hashes = 0
    authenticate(name, WRONG, HOME, NOW)
    assert counting_hasher.hashes == 2


def test_each_accounts_own_password_decides_what_is_offered(counting_hasher: CountingContext) -> None:
    create_account(NewAccount("V-3", "Pat", "pat@example.org", "Provider", password="another long password"), NOW)
    assert authenticate("Pat@Example.org", RIGHT, HOME, NOW).account_ids == (2, 3)
    assert authenticate("pat@example.org", "another long password", HOME, NOW).account_ids == (4,)


@pytest.mark.parametrize(
    ("name", "opened"),
    [("É-7", "É-7"), ("é-8", "é-8"), ("p-1", "P-1"), ("é-8\u200b", "é-8"), ("É-7\x00", "É-7")],
)
def test_a_name_beyond_ascii_is_found_as_it_stands(counting_hasher: CountingContext, name: str, opened: str) -> None:
    create_account(NewAccount("É-7", "Ö", "seventh@example.org", "Practitioner", password=RIGHT), NOW)
    create_account(NewAccount("é-8", "Ö", "other@example.org", "Practitioner", password=RIGHT), NOW)
    numbers = [
        db.session.get_one(Account, account).external_id for account in authenticate(name, RIGHT, HOME, NOW).account_ids
    ]
    assert numbers == [opened]


def test_a_closed_account_opens_to_nobody(counting_hasher: CountingContext) -> None:
    db.session.get_one(Account, 2).active = False
    db.session.commit()
    assert authenticate("pat@example.org", RIGHT, HOME, NOW).account_ids == (3,)


def test_a_try_that_found_no_turn_to_be_hashed_is_not_counted(counting_hasher: CountingContext) -> None:
    turns = HashLimiter(1, 0, 0.01)
    security.pwd_context = LimitedPasswordContext(counting_hasher, turns)
    with turns.reserve():
        for _ in range(LIMIT + 4):
            with pytest.raises(Busy):
                authenticate("P-1", RIGHT, HOME, NOW)
    assert authenticate("P-1", RIGHT, HOME, NOW).account_ids == (1,)


def test_the_table_of_counters_does_not_grow_without_end(
    counting_hasher: CountingContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(throttle_policy, "MAX_COUNTERS", 50)
    rows = [{"key": f"name:{place}", "count": 1, "last_attempt_at_ms": NOW - 1_000 + place} for place in range(80)]
    db.session.execute(insert(ThrottleCounter), rows)
    db.session.commit()
    fail_sign_in("P-1", 1)
    keys = set(db.session.scalars(select(ThrottleCounter.key)))
    assert len(keys) == 50
    assert {"name:79", "name:33"} <= keys
    assert not {"name:0", "name:32"} & keys


def test_counters_of_an_hour_ago_are_gone(counting_hasher: CountingContext) -> None:
    fail_sign_in("P-1", LIMIT)
    later = NOW + throttle_policy.COUNTER_LIFETIME_MS + 1
    assert authenticate("P-2", RIGHT, HOME, later).account_ids == (2,)
    assert db.session.scalar(select(func.count()).select_from(ThrottleCounter)) == 1


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:aaaa::1", "2001:db8:1:2::"),
        ("2001:db8:1:2::ffff", "2001:db8:1:2::"),
        ("fe80::1%eth0", "fe80::"),
        ("", ""),
    ],
)
def test_an_ipv6_subscriber_is_one_caller(address: str, network: str) -> None:
    assert throttle_policy.client_network(address) == network
