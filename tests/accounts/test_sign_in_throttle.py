"""Attempts are counted per account before anything is hashed, on both databases."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from flask import Flask
from passlib.context import CryptContext
from sqlalchemy import func, insert, select

from portal.accounts.account_management import NewAccount, create_account
from portal.accounts.authentication import AuthenticationResult, SignInClient, authenticate
from portal.accounts.password_hashing import HashLimiter, LimitedPasswordContext, hashing_for
from portal.accounts.passwords import reset_password_by_link
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
    """A fast hash that counts its calls."""

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
    context = CountingContext()
    before, security.pwd_context = security.pwd_context, LimitedPasswordContext(context, HashLimiter(2, 100, 30))
    for external_id, email in (("P-1", "olive@example.org"), ("P-2", "pat@example.org"), ("V-2", "pat@example.org")):
        create_account(NewAccount(external_id, "Olive", email, "Practitioner", password=RIGHT), NOW)
    context.hashes = 0
    yield context
    security.pwd_context = before


def fail_sign_in(name: str, times: int, client: SignInClient = ELSEWHERE) -> list[AuthenticationResult]:
    return [authenticate(name, WRONG, client, NOW) for _ in range(times)]


@pytest.mark.parametrize("name", NAME_VARIANTS)
def test_all_spellings_of_a_name_share_a_counter(counting_hasher: CountingContext, name: str) -> None:
    variants = NAME_VARIANTS[name]
    results = [authenticate(variants[index % len(variants)], WRONG, ELSEWHERE, NOW) for index in range(LIMIT + 3)]
    assert [bool(result.retry_after_ms) for result in results] == [False] * LIMIT + [True] * 3


def test_email_and_account_number_share_a_counter(counting_hasher: CountingContext) -> None:
    fail_sign_in("P-1", 3)
    fail_sign_in("olive@example.org", 3)
    assert authenticate("p-1", RIGHT, ELSEWHERE, NOW).retry_after_ms


@pytest.mark.parametrize("name", ["P-1", "nobody@example.org", "pat@example.org"])
def test_concurrent_attempts_cannot_exceed_the_limit(app: Flask, counting_hasher: CountingContext, name: str) -> None:
    def attempt(_index: int) -> AuthenticationResult:
        with app.app_context():
            try:
                return authenticate(name, WRONG, ELSEWHERE, NOW)
            finally:
                db.session.remove()

    with ThreadPoolExecutor(40) as pool:
        results = list(pool.map(attempt, range(40)))
    assert sum(not result.retry_after_ms for result in results) == LIMIT
    assert counting_hasher.hashes == 2 * LIMIT  # two accounts share an email, so each attempt costs two


@pytest.mark.parametrize("other_name", ["P-2", "nobody"])
def test_another_accounts_success_does_not_reset_the_counter(counting_hasher: CountingContext, other_name: str) -> None:
    fail_sign_in("P-1", LIMIT)
    authenticate(other_name, RIGHT, ELSEWHERE, NOW)
    assert authenticate("P-1", RIGHT, ELSEWHERE, NOW).retry_after_ms


def test_password_that_is_replaced_while_it_is_compared_opens_nothing(counting_hasher: CountingContext) -> None:
    """Its owner has just ended every session: none may begin a moment later."""
    verify, identity = counting_hasher.verify, db.session.get_one(Account, 1).fs_uniquifier

    def replace_then_verify(*arguments: Any) -> Any:
        assert reset_password_by_link(1, identity, "violet harbor compass", NOW)
        return verify(*arguments)

    counting_hasher.verify = replace_then_verify  # type: ignore[method-assign]
    assert authenticate("P-1", RIGHT, HOME, NOW) == AuthenticationResult()


def test_own_success_resets_the_counter(counting_hasher: CountingContext) -> None:
    fail_sign_in("P-1", LIMIT - 1)
    assert authenticate("P-1", RIGHT, ELSEWHERE, NOW).account_ids == (1,)
    assert not any(result.retry_after_ms for result in fail_sign_in("P-1", LIMIT))


def test_success_resets_only_the_matched_account_of_an_email(counting_hasher: CountingContext) -> None:
    fail_sign_in("pat@example.org", LIMIT - 1)
    assert authenticate("P-2", RIGHT, ELSEWHERE, NOW).account_ids == (2,)
    fail_sign_in("V-2", 1)
    assert not authenticate("P-2", RIGHT, ELSEWHERE, NOW).retry_after_ms
    assert authenticate("V-2", RIGHT, ELSEWHERE, NOW).retry_after_ms


def test_failures_from_one_address_do_not_block_others(counting_hasher: CountingContext) -> None:
    fail_sign_in("P-1", 30)
    assert authenticate("olive@example.org", RIGHT, HOME, NOW).account_ids == (1,)


def attack_from_many_addresses(name: str) -> None:
    for index in range(20):
        authenticate(name, WRONG, SignInClient(f"203.0.113.{index}"), NOW)


@pytest.mark.parametrize(
    "known",
    [HOME, SignInClient("192.0.2.77", "laptop", frozenset({1})), SignInClient("203.0.113.7", "laptop", frozenset({1}))],
    ids=["address", "device elsewhere", "device at an attacking address"],
)
def test_known_clients_can_sign_in_during_an_attack(counting_hasher: CountingContext, known: SignInClient) -> None:
    authenticate("P-1", RIGHT, HOME, NOW)
    attack_from_many_addresses("P-1")
    assert authenticate("P-1", RIGHT, SignInClient("192.0.2.200"), NOW).retry_after_ms
    assert authenticate("P-1", RIGHT, known, NOW).account_ids == (1,)


def test_distributed_guessing_is_throttled(counting_hasher: CountingContext) -> None:
    attack_from_many_addresses("P-1")
    assert counting_hasher.hashes == 2 * (throttle_policy.FREE_ATTEMPTS["account"] + 1)


@pytest.mark.parametrize("device", [SignInClient("192.0.2.1", "laptop", frozenset({1})), HOME])
def test_known_clients_are_throttled_too(counting_hasher: CountingContext, device: SignInClient) -> None:
    authenticate("P-1", RIGHT, HOME, NOW)
    assert [bool(result.retry_after_ms) for result in fail_sign_in("P-1", LIMIT + 1, device)] == [False] * LIMIT + [
        True
    ]


def test_device_of_another_account_is_unknown(counting_hasher: CountingContext) -> None:
    attack_from_many_addresses("P-1")
    assert authenticate("P-1", RIGHT, SignInClient("192.0.2.9", "laptop", frozenset({2, 3})), NOW).retry_after_ms


@pytest.mark.parametrize("name", ["P-1", "pat@example.org", "nobody@example.org", "V-2", "", "P-3"])
def test_every_attempt_costs_the_same_hashes(counting_hasher: CountingContext, name: str) -> None:
    create_account(NewAccount("P-3", "No Password", "nopass@example.org", "Practitioner"), NOW)
    counting_hasher.hashes = 0
    authenticate(name, WRONG, HOME, NOW)
    assert counting_hasher.hashes == 2


def test_only_accounts_with_that_password_match(counting_hasher: CountingContext) -> None:
    create_account(NewAccount("V-3", "Pat", "pat@example.org", "Provider", password="another long password"), NOW)
    assert authenticate("Pat@Example.org", RIGHT, HOME, NOW).account_ids == (2, 3)
    assert authenticate("pat@example.org", "another long password", HOME, NOW).account_ids == (4,)


@pytest.mark.parametrize(
    ("name", "external_id"), [("É-7", "É-7"), ("é-8", "é-8"), ("p-1", "P-1"), ("é-8\u200b", "é-8"), ("É-7\x00", "É-7")]
)
def test_non_ascii_account_numbers_can_sign_in(counting_hasher: CountingContext, name: str, external_id: str) -> None:
    create_account(NewAccount("É-7", "Ö", "seventh@example.org", "Practitioner", password=RIGHT), NOW)
    create_account(NewAccount("é-8", "Ö", "other@example.org", "Practitioner", password=RIGHT), NOW)
    external_ids = [
        db.session.get_one(Account, account).external_id for account in authenticate(name, RIGHT, HOME, NOW).account_ids
    ]
    assert external_ids == [external_id]


def test_inactive_account_cannot_sign_in(counting_hasher: CountingContext) -> None:
    db.session.get_one(Account, 2).active = False
    db.session.commit()
    assert authenticate("pat@example.org", RIGHT, HOME, NOW).account_ids == (3,)


def test_attempt_rejected_as_busy_is_not_counted(counting_hasher: CountingContext) -> None:
    limiter = HashLimiter(1, 0, 0.01)
    security.pwd_context = LimitedPasswordContext(counting_hasher, limiter)
    with limiter.reserve():
        for _ in range(LIMIT + 4):
            with pytest.raises(Busy):
                authenticate("P-1", RIGHT, HOME, NOW)
    assert authenticate("P-1", RIGHT, HOME, NOW).account_ids == (1,)


def test_people_on_known_devices_do_not_wait_behind_strangers() -> None:
    """One hash runs, two strangers wait, a third gets no place; the known device comes last and goes first."""
    limiter, order = HashLimiter(1, 2, 10), []

    def reserve(name: str, is_known: bool) -> None:
        with hashing_for(is_known), limiter.reserve():
            order.append(name)

    with ThreadPoolExecutor(3) as pool, limiter.reserve():
        for name, is_known in (("stranger", False), ("stranger", False), ("known", True)):
            pool.submit(reserve, name, is_known)
        while limiter._waiting.total() < 3:
            time.sleep(0.001)
        with pytest.raises(Busy):
            limiter.require_room()
    assert order == ["known", "stranger", "stranger"]


def test_counter_table_has_a_size_limit(counting_hasher: CountingContext, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(throttle_policy, "MAX_COUNTERS", 50)
    rows = [{"key": f"name:{index}", "count": 1, "last_attempt_at_ms": NOW - 1_000 + index} for index in range(80)]
    db.session.execute(insert(ThrottleCounter), rows)
    db.session.commit()
    fail_sign_in("P-1", 1)
    keys = set(db.session.scalars(select(ThrottleCounter.key)))
    assert len(keys) == 50
    assert {"name:79", "name:33"} <= keys
    assert not {"name:0", "name:32"} & keys


def test_counters_expire_after_an_hour(counting_hasher: CountingContext) -> None:
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
def test_ipv6_network_counts_as_one_client(address: str, network: str) -> None:
    assert throttle_policy.client_network(address) == network
