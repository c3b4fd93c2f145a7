"""Passkeys on both engines: of answers at the same time one counts."""

import json
import threading

import pytest
from flask import Flask

from portal.accounts.tables.accounts import Account
from portal.authentication.passkey_ceremonies import (
    PasskeyRefused,
    add_passkey,
    authentication_options,
    registration_options,
    use_passkey,
)
from portal.authentication.rules.passkey_site import PasskeySite, passkey_site
from portal.authentication.tables.passkeys import passkeys_of
from portal.core.errors import InvalidInput
from portal.core.extensions import db
from tests.support import scenario
from tests.support.authentication.software_passkey import SoftwarePasskey
from tests.support.web_client import PUBLIC_URL

SITE, NOW_MS = PasskeySite("portal.example.org", PUBLIC_URL), scenario.now_ms()


@pytest.fixture(autouse=True)
def accounts(app: Flask) -> None:
    scenario.create_accounts(2)


def add(passkey: SoftwarePasskey, name: str = "Phone", challenge: bytes = b"to add") -> list[str]:
    account = db.session.get_one(Account, 1)
    answer = passkey.register(json.loads(registration_options(account, "Board", SITE, challenge)))
    return add_passkey(account, name, answer, challenge, SITE, NOW_MS)


def test_of_the_same_answer_at_the_same_time_one_signs_in(app: Flask) -> None:
    add(passkey := SoftwarePasskey())
    answer = passkey.answer(json.loads(authentication_options(None, SITE, b"to sign in")))
    results: list[str] = []

    def use() -> None:
        with app.app_context():
            try:
                results.append(str(use_passkey(answer, b"to sign in", SITE, NOW_MS)))
            except PasskeyRefused as refusal:
                results.append(refusal.reason)
            db.session.remove()

    db.session.rollback()
    threads = [threading.Thread(target=use) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == ["1", "challenge", "challenge", "challenge"]


def test_recovery_codes_come_with_the_first_passkey_alone() -> None:
    first, second = add(SoftwarePasskey(b"one"), challenge=b"1"), add(SoftwarePasskey(b"two"), challenge=b"2")
    assert (len(first), second) == (10, [])
    handles = {passkey.user_handle for passkey in passkeys_of(1)}
    assert len(handles) == 1


def test_account_has_at_most_ten_passkeys_with_names() -> None:
    for number in range(10):
        add(SoftwarePasskey(b"%d" % number), challenge=b"%d" % number)
    with pytest.raises(InvalidInput, match="at most 10 passkeys"):
        add(SoftwarePasskey(b"eleven"))
    for name in (" ", "x" * 61):
        with pytest.raises(InvalidInput):
            add(SoftwarePasskey(b"nameless"), name)


@pytest.mark.parametrize(
    ("url", "site"),
    [
        ("https://portal.example.org", SITE),
        ("https://portal.example.org:8443", PasskeySite("portal.example.org", "https://portal.example.org:8443")),
        ("http://localhost:8000", PasskeySite("localhost", "http://localhost:8000")),
        ("https://bücher.example", PasskeySite("xn--bcher-kva.example", "https://xn--bcher-kva.example")),
        ("http://portal.example.org", None),
        ("http://127.0.0.1:8000", None),
        ("https://[::1]", None),
        ("https://192.0.2.1", None),
    ],
)
def test_passkeys_belong_to_the_host_of_the_public_address(url: str, site: PasskeySite | None) -> None:
    assert passkey_site(url) == site
