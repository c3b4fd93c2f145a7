"""Sign in by OpenID Connect, against a provider that checks the protocol."""

from urllib.parse import parse_qs, urlsplit

import pytest
from flask import Flask
from sqlalchemy import delete, select, update

from portal.accounts.tables.accounts import Account
from portal.authentication.identity_connections import connect_identity, disconnect_identities
from portal.authentication.tables.external_identities import ExternalIdentity
from portal.authentication.tables.sign_in_sessions import SignInSession
from portal.core.audit_log import AuditEntry
from portal.core.extensions import db
from tests.support.authentication.authenticator_app import enrolled_account
from tests.support.authentication.software_passkey import SoftwarePasskey
from tests.support.fakes.oidc_server import Changes, OidcServer
from tests.support.page_queries import app_transaction
from tests.support.web_client import PASSWORD, WebClient, signed_in_client
from tests.web.authentication.single_sign_on.conftest import Configure
from tests.web.authentication.single_sign_on.sign_on_steps import at_provider, is_signed_in, refused, sign_on
from tests.web.authentication.test_passkeys import add_passkey
from tests.web.authentication.test_passkeys import sign_in as sign_in_with_passkey

pytestmark = pytest.mark.usefixtures("configure")
PASSKEY_STEP = "/SignIn/Passkey"
ROLE_VARIABLES = {
    "PORTAL_OIDC_ROLE_CLAIM": "groups",
    "PORTAL_OIDC_ADMIN_VALUES": "portal-admins, office",
    "PORTAL_OIDC_SYSADMIN_VALUES": "portal-sysadmins",
}


def role_of(app: Flask, external_id: str) -> str:
    with app.app_context():
        return db.session.scalars(select(Account.role).where(Account.external_id == external_id)).one()


def test_verified_address_of_one_account_signs_in_and_connects_it(web_app: Flask, visitor: WebClient) -> None:
    response = sign_on(visitor, "/MyAccount/Profile")
    assert response.location == "/MyAccount/Profile"
    assert "Olive Owner" in visitor.get("/MyAccount/Profile").text
    with web_app.app_context():
        identity = db.session.scalars(select(ExternalIdentity)).one()
        actions = list(db.session.scalars(select(AuditEntry.action).order_by(AuditEntry.id)))
    assert (identity.subject, identity.last_used_at_ms is not None) == ("subject-1", True)
    assert actions[-2:] == ["identity_connected", "signed_in"]


def test_connected_account_is_found_by_its_subject_whatever_its_address(
    web_app: Flask, provider: OidcServer, visitor: WebClient
) -> None:
    sign_on(visitor)
    visitor.post("/SignOut")
    provider.claims = {"email": "stranger@example.org"}
    sign_on(visitor)
    assert "Olive Owner" in visitor.get("/MyAccount/Profile").text


def test_address_that_went_to_somebody_else_opens_no_connected_account(
    provider: OidcServer, visitor: WebClient
) -> None:
    sign_on(visitor)
    visitor.post("/SignOut")
    provider.claims = {"sub": "subject-2"}
    refused(visitor, sign_on(visitor), "belongs to another identity already")


@pytest.mark.parametrize(
    ("claims", "words"),
    [
        ({"email_verified": False}, "has not verified that owner@example.org is yours"),
        ({"email_verified": "true"}, "has not verified"),
        ({"email_verified": None}, "has not verified"),
        ({"email": "nobody@example.org"}, "No active account has the address nobody@example.org"),
        ({"email": "shared@example.org"}, "Several accounts have the address shared@example.org"),
        ({"email": None}, "did not say which email address is yours"),
    ],
)
def test_first_sign_in_needs_the_verified_address_of_exactly_one_account(
    provider: OidcServer, visitor: WebClient, claims: Changes, words: str
) -> None:
    provider.claims = claims
    refused(visitor, sign_on(visitor), words)


def test_address_that_only_folds_to_that_of_an_account_opens_nothing(
    web_app: Flask, provider: OidcServer, visitor: WebClient
) -> None:
    with app_transaction(web_app):
        account = db.session.scalars(select(Account).where(Account.external_id == "P-1")).one()
        account.email = "kate@example.org"
    provider.claims = {"email": "\u212aate@example.org"}
    refused(visitor, sign_on(visitor), "No active account")
    provider.claims = {"email": "Kate@Example.org"}
    assert sign_on(visitor).status_code == 302


def test_deactivated_account_is_refused(web_app: Flask, visitor: WebClient) -> None:
    sign_on(visitor)
    with app_transaction(web_app):
        db.session.execute(update(Account).where(Account.external_id == "P-1").values(active=False))
    visitor = WebClient(web_app.test_client())
    refused(visitor, sign_on(visitor), "Your account is not active")


def test_refusal_of_the_provider_is_told(visitor: WebClient) -> None:
    state = parse_qs(urlsplit(at_provider(visitor)).query)["state"][0]
    answer = f"/SignIn/SingleSignOn/Callback?error=access_denied&state={state}"
    refused(visitor, visitor.get(answer), "Example Login did not sign you in")


def test_provider_that_is_down_ends_in_a_page_with_a_way_out(configure: Configure, visitor: WebClient) -> None:
    configure(PORTAL_OIDC_ISSUER="http://127.0.0.1:9")
    response = visitor.get("/SignIn/SingleSignOn?next=/MyAccount/Profile")
    refused(visitor, response, "cannot be reached")
    assert 'href="/SignIn?next=/MyAccount/Profile"' in response.text


def test_what_the_id_token_lacks_is_asked_for_about_the_same_subject(provider: OidcServer, visitor: WebClient) -> None:
    provider.claims = {"email": None, "email_verified": None}
    provider.userinfo = {"email": "owner@example.org", "email_verified": True, "sub": "subject-2"}
    refused(visitor, sign_on(visitor), "could not be trusted")
    provider.userinfo["sub"] = "subject-1"
    assert sign_on(visitor).status_code == 302


@pytest.mark.parametrize(
    ("groups", "role"),
    [(["portal-admins"], "admin"), ("office", "admin"), (["x", "portal-sysadmins"], "sysadmin"), ([], "user")],
)
def test_role_follows_the_claim_at_each_sign_in(
    web_app: Flask, configure: Configure, provider: OidcServer, visitor: WebClient, groups: object, role: str
) -> None:
    configure(**ROLE_VARIABLES)
    provider.claims = {"email": "admin@example.org", "groups": groups}
    assert sign_on(visitor).status_code == 302
    assert is_signed_in(visitor)
    assert role_of(web_app, "A-1") == role
    with web_app.app_context():
        changes = list(db.session.scalars(select(AuditEntry).where(AuditEntry.action == "account_changed")))
    assert [change.detail["to"] for change in changes] == ([] if role == "admin" else [role])


def test_last_system_administrator_is_not_lowered(
    web_app: Flask, configure: Configure, provider: OidcServer, visitor: WebClient
) -> None:
    configure(**ROLE_VARIABLES)
    provider.claims = {"email": "sysadmin@example.org"}
    assert sign_on(visitor).status_code == 302
    assert role_of(web_app, "S-1") == "sysadmin"


def test_roles_stay_as_they_are_without_a_claim(web_app: Flask, provider: OidcServer, visitor: WebClient) -> None:
    provider.claims = {"email": "admin@example.org", "groups": ["portal-sysadmins"]}
    sign_on(visitor)
    assert role_of(web_app, "A-1") == "admin"


def test_without_passwords_their_pages_say_so_and_refuse(configure: Configure, visitor: WebClient) -> None:
    token = visitor.csrf_token()
    configure(password_sign_in=False)
    page = visitor.get("/SignIn").text
    assert "Sign in with Example Login" in page
    assert 'type="password"' not in page
    for path in ("/SignIn", "/ForgotPassword", "/ForgotPassword/x", "/SetPassword/x"):
        fields = {"csrf_token": token, "email": "P-1", "password": PASSWORD}
        response = visitor.post_without_token(path, fields)
        refused(visitor, response, "Passwords are not used here")
    assert sign_on(visitor).status_code == 302


def test_without_passwords_a_passkey_only_follows_the_single_sign_on(
    web_app: Flask, configure: Configure, provider: OidcServer, visitor: WebClient
) -> None:
    own, foreign = SoftwarePasskey(), SoftwarePasskey(b"foreign")
    add_passkey(signed_in_client(web_app, "P-1"), own)
    add_passkey(signed_in_client(web_app, "P-2"), foreign)
    configure(password_sign_in=False)
    assert "Sign in with a passkey" not in visitor.get("/SignIn").text
    assert visitor.get(PASSKEY_STEP).location == "/SignIn"
    assert sign_on(visitor).location == PASSKEY_STEP
    assert not is_signed_in(visitor)
    assert sign_in_with_passkey(visitor, foreign).status_code == 422
    assert sign_in_with_passkey(visitor, own).status_code == 302
    assert is_signed_in(visitor)


@pytest.mark.parametrize("is_asked_again", [True, False])
def test_second_factor_of_the_provider_counts_only_by_the_words_of_the_setting(
    web_app: Flask, configure: Configure, provider: OidcServer, visitor: WebClient, is_asked_again: bool
) -> None:
    enrolled_account(web_app, "A-1")
    configure(PORTAL_OIDC_SECOND_FACTOR_VALUES="mfa, hwk", second_factor="required")
    provider.claims = {"email": "admin@example.org", "amr": ["pwd"] if is_asked_again else ["pwd", "mfa"]}
    response = sign_on(visitor, "/Admin/Accounts")
    assert response.location == ("/SignIn/Code" if is_asked_again else "/Admin/Accounts")
    assert (visitor.get("/Admin/Accounts").status_code == 200) != is_asked_again


def test_administrator_with_a_second_factor_at_the_provider_needs_none_here(
    configure: Configure, provider: OidcServer, visitor: WebClient
) -> None:
    configure(PORTAL_OIDC_SECOND_FACTOR_VALUES="urn:example:two", second_factor="required")
    provider.claims = {"email": "admin@example.org", "acr": "urn:example:two"}
    sign_on(visitor)
    assert visitor.get("/Admin/Accounts").status_code == 200
    visitor.post("/SignOut")
    provider.claims["acr"] = "urn:example:one"
    sign_on(visitor)
    assert visitor.get("/Admin/Accounts").location == "/MyAccount/Security/Authenticator"


def test_second_factor_of_the_provider_does_not_count_for_the_next_sign_in(
    web_app: Flask, configure: Configure, provider: OidcServer, visitor: WebClient
) -> None:
    configure(PORTAL_OIDC_SECOND_FACTOR_VALUES="mfa", second_factor="required")
    provider.claims = {"email": "admin@example.org", "amr": ["mfa"]}
    sign_on(visitor)
    assert visitor.get("/Admin/Accounts").status_code == 200
    with app_transaction(web_app):
        db.session.execute(delete(SignInSession))
    assert not is_signed_in(visitor)
    provider.claims["amr"] = ["pwd"]
    sign_on(visitor)
    assert visitor.get("/Admin/Accounts").location == "/MyAccount/Security/Authenticator"


def test_shell_connects_and_disconnects_an_identity(web_app: Flask, provider: OidcServer, visitor: WebClient) -> None:
    provider.claims = {"email": "shared@example.org"}
    with web_app.app_context():
        connect_identity("V-2", provider.url, "subject-1", 0)
    sign_on(visitor)
    assert "V-2" in visitor.get("/MyAccount/Profile").text
    with web_app.app_context():
        assert disconnect_identities("V-2", 0)
        assert not disconnect_identities("V-2", 0)
    assert not is_signed_in(visitor)
    refused(visitor, sign_on(visitor), "Several accounts")
