"""Changes that matter ask for a proof of identity that is at most ten minutes old, and lose nothing that was typed."""

import re
from collections.abc import Callable

import pytest
from flask import Flask
from sqlalchemy import select, update

from portal.accounts.rules.throttle_policy import FREE_ATTEMPTS
from portal.accounts.tables.accounts import Account
from portal.accounts.tables.phone_numbers import PhoneNumber
from portal.authentication.tables.sign_in_sessions import SignInSession
from portal.core.clock import now_ms
from portal.core.extensions import db
from tests.support.authentication.authenticator_app import enrolled_account
from tests.support.web_client import PASSWORD, WebClient

GUARDED = {
    "account_editing.create",
    "account_editing.save",
    "account_merging.merge",
    "admin_account_import.confirm",
    "admin_accounts.add_number",
    "admin_accounts.remove_number",
    "admin_attribute_import.confirm",
    "my_numbers.add_number",
    "my_numbers.remove_number",
    "my_passkeys.add",
    "my_passkeys.remove",
    "my_profile.change_email",
    "my_security.remove",
    "my_security.renew_codes",
    "my_security.set_up_totp",
    "my_security.stop_trusting",
    "my_sessions.end_others",
    "my_sessions.end_own",
    "second_factor_reset.reset",
    "setup_email.save",
    "setup_twilio.save",
    "sysadmin_config.change",
    "sysadmin_config.remove_old_token",
    "sysadmin_config.replace_token",
}
"""Phone numbers, addresses, roles, second factors, secrets, and what makes messages go live. `my_profile.save_password`
asks for the current password itself."""
NUMBERS, TYPED = "/MyAccount/PhoneNumbers", {"number": "202-555-0177", "label": "Work \u201cphone\u201d"}


def forget_proof(client: WebClient, age_ms: int = 600_000) -> None:
    with client.client.application.app_context():
        db.session.execute(update(SignInSession).values(authenticated_at_ms=now_ms() - age_ms))
        db.session.commit()


def kept_form(page: str) -> str:
    found = re.search(r'name="kept_form" value="([^"]+)"', page)
    assert found, page
    return found[1]


def numbers(app: Flask) -> set[tuple[str, str]]:
    with app.app_context():
        return {(phone.number, phone.label) for phone in db.session.scalars(select(PhoneNumber))}


def test_every_change_that_matters_is_guarded(web_app: Flask) -> None:
    views = web_app.view_functions
    assert {name for name, view in views.items() if getattr(view, "needs_recent_sign_in", False)} == GUARDED


def test_typed_form_goes_on_after_the_password(number_owner: WebClient, web_app: Flask) -> None:
    before = numbers(web_app)
    forget_proof(number_owner)
    asked = number_owner.post(NUMBERS, **TYPED)
    assert asked.status_code == 403
    assert "Is it still you?" in asked.text
    assert "0177" not in asked.text
    assert numbers(web_app) == before
    response = number_owner.post(NUMBERS, kept_form=kept_form(asked.text), proof_password=PASSWORD)
    assert response.status_code == 303
    assert numbers(web_app) - before == {("+12025550177", "Work \u201cphone\u201d")}
    assert number_owner.post(NUMBERS, number="202-555-0178").status_code == 303


def test_recent_sign_in_is_not_asked_again(number_owner: WebClient) -> None:
    forget_proof(number_owner, 590_000)
    assert number_owner.post(NUMBERS, **TYPED).status_code == 303


def test_code_of_the_app_is_a_proof_too(number_owner: WebClient, web_app: Flask) -> None:
    app, _codes = enrolled_account(web_app, "P-1")
    forget_proof(number_owner)
    kept = kept_form(number_owner.post(NUMBERS, **TYPED).text)
    assert number_owner.post(NUMBERS, kept_form=kept, proof_code=app.wrong_code()).status_code == 422
    assert number_owner.post(NUMBERS, kept_form=kept, proof_code=app.code()).status_code == 303


def test_wrong_password_keeps_the_form_and_has_to_wait(number_owner: WebClient, web_app: Flask) -> None:
    before = numbers(web_app)
    forget_proof(number_owner)
    kept = kept_form(number_owner.post(NUMBERS, **TYPED).text)
    for _ in range(FREE_ATTEMPTS["own_password"] + 1):
        refused = number_owner.post(NUMBERS, kept_form=kept, proof_password="wrong")
        assert refused.status_code == 422
        assert "This is not your password." in refused.text
        assert kept_form(refused.text) == kept
    assert "try again" in number_owner.post(NUMBERS, kept_form=kept, proof_password=PASSWORD).text
    assert numbers(web_app) == before


def test_password_of_any_length_is_checked(number_owner: WebClient) -> None:
    forget_proof(number_owner)
    kept = kept_form(number_owner.post(NUMBERS, **TYPED).text)
    refused = number_owner.post(NUMBERS, kept_form=kept, proof_password="x" * 10_000)
    assert (refused.status_code, "This is not your password." in refused.text) == (422, True)


def test_password_proves_nothing_where_passwords_are_off(
    number_owner: WebClient, web_app: Flask, configure: Callable[..., None]
) -> None:
    before = numbers(web_app)
    forget_proof(number_owner)
    kept = kept_form(number_owner.post(NUMBERS, **TYPED).text)
    configure(password_sign_in=False)
    refused = number_owner.post(NUMBERS, kept_form=kept, proof_password=PASSWORD)
    assert (refused.status_code, "Sign out and in again" in refused.text) == (422, True)
    assert numbers(web_app) == before


def test_kept_form_of_somebody_else_is_not_used(number_owner: WebClient, other_user: WebClient, web_app: Flask) -> None:
    before = numbers(web_app)
    forget_proof(number_owner)
    forget_proof(other_user)
    kept = kept_form(number_owner.post(NUMBERS, **TYPED).text)
    other_user.post(NUMBERS, kept_form=kept, proof_password=PASSWORD)
    assert numbers(web_app) == before


@pytest.mark.parametrize("has_password", [True, False])
def test_account_without_a_password_is_told_the_way_out(
    number_owner: WebClient, web_app: Flask, has_password: bool
) -> None:
    with web_app.app_context():
        if not has_password:
            db.session.scalars(select(Account).where(Account.external_id == "P-1")).one().password = None
            db.session.commit()
    forget_proof(number_owner)
    page = number_owner.post(NUMBERS, **TYPED).text
    assert ("Sign out and in again" in page) != has_password
