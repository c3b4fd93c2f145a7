"""Passkeys sign in without a password and count as both factors; forged and repeated answers do not."""

import html
import json
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import time_machine
from flask import Flask
from sqlalchemy import select

from portal.accounts.tables.accounts import Account
from portal.authentication.tables.passkeys import Passkey
from portal.core.audit_log import AuditEntry
from portal.core.clock import now_ms
from portal.core.extensions import db
from portal.gateways.rules.email_message import OutgoingEmail
from tests.support.authentication.authenticator_app import enrolled_account
from tests.support.authentication.software_passkey import PRESENT, SoftwarePasskey
from tests.support.page_queries import app_transaction
from tests.support.web_client import PASSWORD, WebClient, signed_in_client

NEW, SIGN_IN, SECURITY = "/MyAccount/Security/Passkeys/New", "/SignIn/Passkey", "/MyAccount/Security"
REFUSED = "This passkey was not accepted"


def options_on(page: str) -> dict[str, Any]:
    found = re.search(r'data-options="([^"]+)"', page)
    assert found, page
    options: dict[str, Any] = json.loads(html.unescape(found[1]))
    return options


def add_passkey(client: WebClient, passkey: SoftwarePasskey, name: str = "Phone") -> str:
    answer = passkey.register(options_on(client.get(NEW).text))
    response = client.post(NEW, name=name, answer=answer)
    response.close()
    return response.text


def sign_in(client: WebClient, passkey: SoftwarePasskey, **fields: str) -> Any:
    answer = passkey.answer(options_on(client.get(SIGN_IN).text))
    return client.post(SIGN_IN, answer=answer, **fields)


def is_signed_in(client: WebClient) -> bool:
    return client.get(SECURITY).status_code == 200


@pytest.fixture
def passkey(web_app: Flask) -> SoftwarePasskey:
    """Of P-1."""
    passkey = SoftwarePasskey()
    add_passkey(signed_in_client(web_app, "P-1"), passkey)
    return passkey


def test_passkey_is_added_told_and_recorded(
    web_app: Flask, number_owner: WebClient, sent_emails: list[OutgoingEmail]
) -> None:
    page = add_passkey(number_owner, SoftwarePasskey(), "Work laptop")
    assert page.count("<li><code>") == 10
    assert [mail.subject for mail in sent_emails] == ["A passkey was added"]
    page = number_owner.get(SECURITY).text
    assert "Work laptop" in page
    assert "never used" in page
    with web_app.app_context():
        entry = db.session.scalars(select(AuditEntry).order_by(AuditEntry.id.desc())).first()
        stored = db.session.scalars(select(Passkey)).one()
    assert entry
    assert (entry.action, entry.detail["passkey"]) == ("passkey_added", "Work laptop")
    assert stored.user_handle not in ("", "P-1")


def test_passkey_signs_in_without_a_password_even_where_a_second_factor_is_needed(
    web_app: Flask, visitor: WebClient, configure: Callable[..., None]
) -> None:
    passkey = SoftwarePasskey()
    add_passkey(signed_in_client(web_app, "A-1"), passkey)
    configure(second_factor="required")
    assert sign_in(visitor, passkey, next="/Admin/Accounts").location == "/Admin/Accounts"
    assert visitor.get("/Admin/Accounts").status_code == 200


def test_passkey_is_the_second_step_after_the_password(visitor: WebClient, passkey: SoftwarePasskey) -> None:
    assert visitor.sign_in("P-1", next="/MyAccount/Profile").location == SIGN_IN
    assert not is_signed_in(visitor)
    page = visitor.get(SIGN_IN).text
    assert options_on(page)["allowCredentials"]
    assert "Enter a recovery code" in page
    assert sign_in(visitor, passkey).location == "/MyAccount/Profile"
    assert is_signed_in(visitor)


def test_recovery_code_is_a_way_in_without_the_passkey(web_app: Flask, visitor: WebClient) -> None:
    page = add_passkey(signed_in_client(web_app, "P-1"), SoftwarePasskey())
    code = re.findall(r"<li><code>([^<]+)</code>", page)[0]
    visitor.sign_in("P-1")
    assert visitor.post("/SignIn/RecoveryCode", code=code).status_code == 302
    assert is_signed_in(visitor)


def test_second_step_is_one_that_the_address_of_the_portal_allows(
    web_app: Flask, visitor: WebClient, configure: Callable[..., None]
) -> None:
    add_passkey(signed_in_client(web_app, "P-1"), SoftwarePasskey())
    configure(public_url="https://192.0.2.1", trusted_hosts=("portal.example.org",))
    assert visitor.sign_in("P-1").location == "/SignIn/RecoveryCode"
    assert "passkey" not in visitor.get("/SignIn/RecoveryCode").text
    enrolled_account(web_app, "P-1")
    assert visitor.sign_in("P-1").location == "/SignIn/Code"


def changed(passkey: SoftwarePasskey, **changes: Any) -> SoftwarePasskey:
    return replace(passkey, **changes)


FORGERIES: dict[str, Callable[[SoftwarePasskey], SoftwarePasskey]] = {
    "another origin": lambda passkey: changed(passkey, origin="https://portal.example.net"),
    "another port": lambda passkey: changed(passkey, origin="https://portal.example.org:8443"),
    "another host": lambda passkey: changed(passkey, host="example.net"),
    "nobody verified": lambda passkey: changed(passkey, flags=PRESENT),
    "nobody present": lambda passkey: changed(passkey, flags=0),
    "another key": lambda passkey: changed(passkey, key=SoftwarePasskey().key),
    "unknown": lambda passkey: changed(passkey, credential_id=b"another"),
    "another person": lambda passkey: changed(passkey, user_handle="c29tZWJvZHkgZWxzZQ"),
    "count that went back": lambda passkey: changed(passkey, sign_count=passkey.sign_count - 1),
}


def answer_with_id(credential_id: str) -> str:
    """As the database could not store it."""
    response = dict.fromkeys(("clientDataJSON", "authenticatorData", "signature"), "AAAA")
    return json.dumps({"id": credential_id, "rawId": "AAAA", "type": "public-key", "response": response})


def test_forged_answers_sign_nobody_in(visitor: WebClient, passkey: SoftwarePasskey) -> None:
    passkey.sign_count = 7
    sign_in(visitor, passkey)
    visitor.post("/SignOut")
    for name, forge in FORGERIES.items():
        response = sign_in(visitor, forge(passkey))
        assert (response.status_code, REFUSED in response.text) == (422, True), name
        assert not is_signed_in(visitor), name
    assert sign_in(visitor, passkey).status_code == 302


MALFORMED = ["", "{}", "[]", "null", '{"id": 1}', "x" * 9_000, '{"id":"a","rawId":"a"}']


@pytest.mark.parametrize("answer", [*MALFORMED, *map(answer_with_id, ("\ud800", "\0"))])
def test_malformed_answer_is_refused(visitor: WebClient, number_owner: WebClient, answer: str) -> None:
    visitor.get(SIGN_IN)
    number_owner.get(NEW)
    assert REFUSED in visitor.post(SIGN_IN, answer=answer).text
    assert REFUSED in number_owner.post(NEW, name="Phone", answer=answer).text


def test_answer_counts_once_even_with_a_copy_of_the_cookie(visitor: WebClient, passkey: SoftwarePasskey) -> None:
    answer = passkey.answer(options_on(visitor.get(SIGN_IN).text))
    restore_session = visitor.copy_session()
    token = visitor.csrf_token()
    assert visitor.post_without_token(SIGN_IN, {"answer": answer, "csrf_token": token}).status_code == 302
    restore_session()
    with app_transaction(visitor.client.application):
        db.session.scalars(select(Passkey)).one().sign_count = 0
    assert REFUSED in visitor.post_without_token(SIGN_IN, {"answer": answer, "csrf_token": token}).text


def test_challenge_of_another_browser_or_of_long_ago_is_refused(
    web_app: Flask, visitor: WebClient, passkey: SoftwarePasskey
) -> None:
    other = WebClient(web_app.test_client())
    foreign = passkey.answer(options_on(other.get(SIGN_IN).text))
    visitor.get(SIGN_IN)
    assert REFUSED in visitor.post(SIGN_IN, answer=foreign).text
    late = passkey.answer(options_on(visitor.get(SIGN_IN).text))
    with time_machine.travel((now_ms() + 301_000) / 1000):
        assert REFUSED in visitor.post(SIGN_IN, answer=late).text


def test_registration_of_another_site_or_without_verification_is_refused(number_owner: WebClient) -> None:
    for passkey in (
        SoftwarePasskey(origin="https://portal.example.net"),
        SoftwarePasskey(host="example.net"),
        SoftwarePasskey(flags=PRESENT),
    ):
        assert REFUSED in add_passkey(number_owner, passkey)
    assert "You have none" in number_owner.get(SECURITY).text


def test_credential_belongs_to_one_account(other_user: WebClient, passkey: SoftwarePasskey) -> None:
    assert REFUSED in add_passkey(other_user, replace(passkey))


def test_deactivated_account_is_refused(web_app: Flask, visitor: WebClient, passkey: SoftwarePasskey) -> None:
    with app_transaction(web_app):
        db.session.scalars(select(Account).where(Account.external_id == "P-1")).one().active = False
    assert "Your account is not active" in sign_in(visitor, passkey).text
    assert not is_signed_in(visitor)


def test_removed_passkey_signs_nobody_in(
    web_app: Flask,
    number_owner: WebClient,
    visitor: WebClient,
    passkey: SoftwarePasskey,
    sent_emails: list[OutgoingEmail],
) -> None:
    remove = f"{SECURITY}/Passkeys/1/Remove"
    number_owner.post(remove).close()
    assert [mail.subject for mail in sent_emails] == ["A passkey was removed"]
    assert REFUSED in sign_in(visitor, passkey).text
    assert visitor.sign_in("P-1").location == "/"


def test_nobody_removes_the_passkey_of_somebody_else(
    other_user: WebClient, visitor: WebClient, passkey: SoftwarePasskey
) -> None:
    other_user.post(f"{SECURITY}/Passkeys/1/Remove")
    assert sign_in(visitor, passkey).status_code == 302


def test_only_second_factor_of_an_administrator_stays(
    web_app: Flask, admin: WebClient, configure: Callable[..., None]
) -> None:
    add_passkey(admin, SoftwarePasskey())
    configure(second_factor="required")
    admin.post(f"{SECURITY}/Passkeys/1/Remove")
    assert "Your role needs a second factor" in admin.get(SECURITY).text
    enrolled_account(web_app, "A-1")
    admin.post(f"{SECURITY}/Passkeys/1/Remove")
    assert "The passkey is removed" in admin.get(SECURITY).text


def test_administrator_sets_up_a_passkey_instead_of_an_app(
    web_app: Flask, admin: WebClient, configure: Callable[..., None]
) -> None:
    configure(second_factor="required")
    set_up = admin.get("/Admin/Accounts").location
    assert NEW in admin.get(set_up).text
    assert 'href="/Admin/Accounts"' in add_passkey(admin, SoftwarePasskey())
    assert admin.get("/Admin/Accounts").status_code == 200


def test_passkey_proves_again_who_somebody_is_and_what_was_typed_is_kept(
    web_app: Flask, number_owner: WebClient, passkey: SoftwarePasskey
) -> None:
    remove = f"{SECURITY}/Passkeys/1/Remove"
    with time_machine.travel((now_ms() + 660_000) / 1000):
        page = number_owner.post(remove).text
        kept = re.search(r'name="kept_form" value="([^"]+)"', page)
        assert kept
        foreign = SoftwarePasskey(b"another")
        refused = number_owner.post(remove, kept_form=kept[1], proof_passkey=foreign.answer(options_on(page)))
        assert (refused.status_code, REFUSED in refused.text) == (422, True)
        answer = passkey.answer(options_on(refused.text))
        assert number_owner.post(remove, kept_form=kept[1], proof_passkey=answer).status_code == 303
        assert "You have none" in number_owner.get(SECURITY).text


def test_new_passkey_survives_the_question_who_somebody_is(number_owner: WebClient) -> None:
    add_passkey(number_owner, first := SoftwarePasskey())
    with time_machine.travel((now_ms() + 660_000) / 1000):
        second = SoftwarePasskey(b"second")
        answer = second.register(options_on(number_owner.get(NEW).text))
        page = number_owner.post(NEW, name="Second", answer=answer).text
        kept = re.search(r'name="kept_form" value="([^"]+)"', page)
        assert kept
        proof = first.answer(options_on(page))
        assert number_owner.post(NEW, kept_form=html.unescape(kept[1]), proof_passkey=proof).status_code == 303
        assert "Second" in number_owner.get(SECURITY).text


def test_address_without_a_name_offers_no_passkeys(
    number_owner: WebClient, visitor: WebClient, configure: Callable[..., None]
) -> None:
    assert "Sign in with a passkey" in visitor.get("/SignIn").text
    configure(public_url="https://192.0.2.1", trusted_hosts=("portal.example.org",))
    assert "Sign in with a passkey" not in visitor.get("/SignIn").text
    assert "Passkeys" not in number_owner.get(SECURITY).text
    assert number_owner.get(NEW).status_code == visitor.get(SIGN_IN).status_code == 404


def test_passkey_of_another_account_signs_in_there_whosever_password_came_first(
    web_app: Flask, visitor: WebClient, passkey: SoftwarePasskey
) -> None:
    enrolled_account(web_app, "P-2")
    visitor.sign_in("P-2", PASSWORD)
    assert sign_in(visitor, passkey).status_code == 302
    assert "Olive Owner" in visitor.get("/MyAccount/Profile").text
