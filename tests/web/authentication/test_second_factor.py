"""Signing in takes a second factor: after the password, and never without it."""

from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import pytest
import time_machine
from flask import Flask
from sqlalchemy import select

from portal.accounts.rules.throttle_policy import FREE_ATTEMPTS
from portal.accounts.tables.accounts import Account
from portal.accounts.tables.failed_sign_ins import FailedSignIn
from portal.authentication.recovery import renew_recovery_codes, use_recovery_code
from portal.authentication.session_management import revoke_all_sessions
from portal.core.clock import now_ms
from portal.core.extensions import db
from portal.gateways.rules.email_message import OutgoingEmail
from portal.web.authentication import second_step_pages
from tests.support.authentication.authenticator_app import AuthenticatorApp, enrol_app, enrolled_account
from tests.support.web_client import PASSWORD, PUBLIC_URL, WebClient, signed_in_client

CODE, RECOVERY_CODE, OWN_PAGE = "/SignIn/Code", "/SignIn/RecoveryCode", "/MyAccount/PhoneNumbers"


@pytest.fixture(autouse=True)
def stopped_clock() -> Iterator[None]:
    """A code is right for half a minute, and a busy machine may take longer."""
    with time_machine.travel(now_ms() / 1000, tick=False):
        yield


@pytest.fixture
def app_of_owner(web_app: Flask) -> AuthenticatorApp:
    return enrolled_account(web_app, "P-1")[0]


def is_signed_in(client: WebClient) -> bool:
    return client.get(OWN_PAGE).status_code == 200


def test_password_alone_signs_nobody_in_who_has_a_second_factor(
    visitor: WebClient, app_of_owner: AuthenticatorApp
) -> None:
    assert visitor.sign_in("P-1").location == CODE
    assert not is_signed_in(visitor)
    response = visitor.post(CODE, code=app_of_owner.code())
    assert response.status_code == 302
    assert is_signed_in(visitor)


def test_code_without_the_password_signs_nobody_in(visitor: WebClient, app_of_owner: AuthenticatorApp) -> None:
    assert visitor.post(CODE, code=app_of_owner.code()).location == "/SignIn"
    assert not is_signed_in(visitor)


def test_wrong_code_is_refused_at_its_field(visitor: WebClient, app_of_owner: AuthenticatorApp) -> None:
    visitor.sign_in("P-1")
    response = visitor.post(CODE, code=app_of_owner.wrong_code())
    assert response.status_code == 422
    assert "This code is not right" in response.text
    assert not is_signed_in(visitor)


def test_wrong_second_factor_counts_as_a_failed_sign_in(
    visitor: WebClient, web_app: Flask, app_of_owner: AuthenticatorApp
) -> None:
    """Whoever tries it knows the password already."""
    visitor.sign_in("P-1")
    visitor.post(CODE, code=app_of_owner.wrong_code())
    visitor.post(RECOVERY_CODE, code="22222-22222")
    visitor.post("/SignIn/Passkey", answer="{}")
    with web_app.app_context():
        (row,) = db.session.scalars(select(FailedSignIn))
        assert (row.tries, db.session.get_one(Account, row.account_id).external_id) == (3, "P-1")


def test_code_works_once(visitor: WebClient, web_app: Flask, app_of_owner: AuthenticatorApp) -> None:
    code, other = app_of_owner.code(), WebClient(web_app.test_client())
    for client in (visitor, other):
        client.sign_in("P-1")
    visitor.post(CODE, code=code)
    other.sign_in("P-1")
    assert "was used already" in other.post(CODE, code=code).text
    assert not is_signed_in(other)


def test_code_of_another_account_is_refused(visitor: WebClient, web_app: Flask, app_of_owner: AuthenticatorApp) -> None:
    enrolled_account(web_app, "P-2")
    visitor.sign_in("P-2")
    assert visitor.post(CODE, code=app_of_owner.code()).status_code == 422


@pytest.mark.parametrize(("steps", "status"), [(1, 302), (0, 302), (2, 422), (-1, 422)])
def test_clocks_may_differ_by_one_step(
    visitor: WebClient, app_of_owner: AuthenticatorApp, steps: int, status: int
) -> None:
    """That of the step before was used up by setting up the app."""
    visitor.sign_in("P-1")
    assert visitor.post(CODE, code=app_of_owner.code(steps)).status_code == status


def test_second_step_ends_after_five_minutes(visitor: WebClient, app_of_owner: AuthenticatorApp) -> None:
    visitor.sign_in("P-1")
    with time_machine.travel((now_ms() + 300_000) / 1000):
        assert visitor.post(CODE, code=app_of_owner.code()).location == "/SignIn"
        assert not is_signed_in(visitor)


def test_second_step_ends_when_the_identity_changes(
    visitor: WebClient, web_app: Flask, app_of_owner: AuthenticatorApp
) -> None:
    visitor.sign_in("P-1")
    with web_app.app_context():
        account_id = db.session.scalars(select(Account.id).where(Account.external_id == "P-1")).one()
        revoke_all_sessions(account_id, None, now_ms())
    assert visitor.post(CODE, code=app_of_owner.code()).location == "/SignIn"


def test_second_step_ends_when_the_identity_changes_while_the_code_is_compared(
    visitor: WebClient, web_app: Flask, app_of_owner: AuthenticatorApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    def revoke_then_use(account: Account, text: str, at_ms: int) -> bool:
        revoke_all_sessions(account.id, None, at_ms)
        return use_recovery_code(account, text, at_ms)

    with web_app.app_context():
        codes = renew_recovery_codes(db.session.get_one(Account, 1), now_ms())
    monkeypatch.setattr(second_step_pages, "use_recovery_code", revoke_then_use)
    visitor.sign_in("P-1")
    assert visitor.post(RECOVERY_CODE, code=codes[0]).location == "/SignIn"
    assert not is_signed_in(visitor)


def test_choice_among_accounts_leads_to_the_second_step_of_the_chosen_one(visitor: WebClient, web_app: Flask) -> None:
    app, _codes = enrolled_account(web_app, "V-2")
    visitor.sign_in("shared@example.org")
    with web_app.app_context():
        chosen = db.session.scalars(select(Account.id).where(Account.external_id == "V-2")).one()
    assert visitor.post("/SignIn/Account", account=str(chosen)).location == CODE
    assert not is_signed_in(visitor)
    visitor.post(CODE, code=app.code())
    assert "V-2" in visitor.get(OWN_PAGE).text


def test_wrong_codes_have_to_wait_but_not_on_a_device_of_the_account(
    visitor: WebClient, web_app: Flask, app_of_owner: AuthenticatorApp
) -> None:
    known, wrong = WebClient(web_app.test_client()), app_of_owner.wrong_code()
    known.sign_in("P-1")
    assert known.post(CODE, code=app_of_owner.code()).status_code == 302
    known.post("/SignOut")
    visitor.sign_in("P-1")
    for _ in range(FREE_ATTEMPTS["second_factor"] + 1):
        visitor.post(CODE, code=wrong)
    assert "try again" in visitor.post(CODE, code=app_of_owner.code(1)).text
    known.sign_in("P-1")
    assert known.post(CODE, code=app_of_owner.code(1)).status_code == 302


def test_recovery_code_works_once_and_is_told_by_email(
    visitor: WebClient, web_app: Flask, sent_emails: list[OutgoingEmail]
) -> None:
    _app, codes = enrolled_account(web_app, "P-1")
    assert len(codes) == len(set(codes)) == 10
    visitor.sign_in("P-1")
    visitor.post(RECOVERY_CODE, code=codes[3].lower().replace("-", " ")).close()
    assert is_signed_in(visitor)
    assert [mail.subject for mail in sent_emails] == ["A recovery code was used"]
    assert "9 codes are left" in visitor.get("/MyAccount/Security").text
    other = WebClient(web_app.test_client())
    other.sign_in("P-1")
    assert other.post(RECOVERY_CODE, code=codes[3]).status_code == 422
    assert not is_signed_in(other)


def test_new_recovery_codes_replace_the_old_ones(visitor: WebClient, web_app: Flask) -> None:
    _app, codes = enrolled_account(web_app, "P-1")
    page = signed_in_client(web_app, "P-1").post("/MyAccount/Security/RecoveryCodes").text
    assert page.count("<li><code>") == 10
    visitor.sign_in("P-1")
    assert visitor.post(RECOVERY_CODE, code=codes[0]).status_code == 422


def test_new_password_does_not_skip_the_second_step(
    visitor: WebClient, app_of_owner: AuthenticatorApp, sent_emails: list[OutgoingEmail]
) -> None:
    visitor.post("/ForgotPassword", email="P-1").close()
    link = sent_emails[0].text.partition(PUBLIC_URL)[2].split()[0]
    visitor.post(link, password="quiet harbor lamp 7", password_confirm="quiet harbor lamp 7")
    assert not is_signed_in(visitor)
    assert visitor.sign_in("P-1", "quiet harbor lamp 7").location == CODE


def test_app_is_set_up_with_its_first_code(number_owner: WebClient, sent_emails: list[OutgoingEmail]) -> None:
    app, codes = enrol_app(number_owner)
    assert len(codes) == 10
    assert [mail.subject for mail in sent_emails] == ["An authenticator app was set up"]
    page = number_owner.get("/MyAccount/Security").text
    assert "Authenticator app, set up" in page
    assert codes[0] not in page
    assert app.secret not in page


def test_wrong_first_code_changes_nothing_and_keeps_the_key(number_owner: WebClient) -> None:
    address = "/MyAccount/Security/Authenticator"
    first = number_owner.get(address).text
    response = number_owner.post(address, code="12345")
    assert response.status_code == 422
    secret = first.partition('class="secret-key">')[2].partition("<")[0]
    assert secret in response.text
    assert "Set up an authenticator app" in number_owner.get("/MyAccount/Security").text


def test_trusted_device_is_not_asked_until_its_time_is_over(
    visitor: WebClient, web_app: Flask, app_of_owner: AuthenticatorApp
) -> None:
    visitor.sign_in("P-1")
    response = visitor.post(CODE, code=app_of_owner.code(), trusts_device="yes")
    cookie = next(text for text in response.headers.getlist("Set-Cookie") if "trusted-device" in text)
    assert cookie.startswith("__Host-trusted-device=")
    assert {"Secure", "HttpOnly", "Path=/", "SameSite=Lax"} <= set(cookie.split("; "))
    visitor.post("/SignOut")
    assert visitor.sign_in("P-1").location != CODE
    assert is_signed_in(visitor)
    visitor.post("/SignOut")
    assert WebClient(web_app.test_client()).sign_in("P-1").location == CODE
    with time_machine.travel((now_ms() + 31 * 86_400_000) / 1000):
        assert visitor.sign_in("P-1").location == CODE


@pytest.mark.parametrize("change", ["password", "trust", "app"])
def test_trust_in_a_device_ends_with(visitor: WebClient, app_of_owner: AuthenticatorApp, change: str) -> None:
    new = "quiet harbor lamp 7"
    visitor.sign_in("P-1")
    visitor.post(CODE, code=app_of_owner.code(), trusts_device="yes")
    if change == "trust":
        visitor.post("/MyAccount/Security/Devices")
    elif change == "app":
        enrol_app_again(visitor)
    else:
        visitor.post("/MyAccount/Profile/Password", current=PASSWORD, password=new, password_confirm=new)
    visitor.post("/SignOut")
    assert visitor.sign_in("P-1", new if change == "password" else PASSWORD).location == CODE


def enrol_app_again(client: WebClient) -> None:
    page = client.get("/MyAccount/Security/Authenticator").text
    app = AuthenticatorApp(page.partition('class="secret-key">')[2].partition("<")[0])
    assert client.post("/MyAccount/Security/Authenticator", code=app.code()).status_code == 303


def test_who_knew_the_token_of_a_shared_browser_gains_no_trust(
    visitor: WebClient, web_app: Flask, app_of_owner: AuthenticatorApp
) -> None:
    """Two people trust the same browser: the first has kept a copy of its cookie, and learns the other's password."""
    other_app, _codes = enrolled_account(web_app, "P-2")
    host, name = urlsplit(PUBLIC_URL).hostname or "", "__Host-trusted-device"
    visitor.sign_in("P-2")
    visitor.post(CODE, code=other_app.code(), trusts_device="yes")
    known = visitor.client.get_cookie(name, host)
    assert known
    visitor.post("/SignOut")
    visitor.sign_in("P-1")
    visitor.post(CODE, code=app_of_owner.code(), trusts_device="yes")
    visitor.post("/SignOut")
    stranger = WebClient(web_app.test_client())
    stranger.client.set_cookie(name, known.value, domain=host)
    assert stranger.sign_in("P-1").location == CODE
    assert [visitor.sign_in("P-2").location, visitor.post("/SignOut").status_code] == ["/", 302]
    assert visitor.sign_in("P-1").location == "/", "both still trust this browser"


def test_no_device_is_trusted_when_the_setting_is_0(
    visitor: WebClient, app_of_owner: AuthenticatorApp, configure: Callable[..., None]
) -> None:
    configure(trusted_device_days=0)
    visitor.sign_in("P-1")
    assert "trusts_device" not in visitor.get(CODE).text
    visitor.post(CODE, code=app_of_owner.code(), trusts_device="yes")
    visitor.post("/SignOut")
    assert visitor.sign_in("P-1").location == CODE
