"""Sign in by OpenID Connect: the authorization code flow with PKCE (ADR 60)."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import structlog

from portal.authentication.identity_connections import SignOnRefused, find_or_connect_account, follow_role_claim
from portal.authentication.rules.id_tokens import IdTokenError, verify_id_token
from portal.authentication.rules.identity_claims import email_claim, has_second_factor
from portal.authentication.tables.spent_challenges import CHALLENGE_LIFETIME_MS, spend_challenge
from portal.core.rules.oidc_settings import SingleSignOn
from portal.core.transaction import transaction
from portal.core.translation import gettext as _
from portal.gateways import oidc
from portal.gateways.oidc import CodeRefused, OidcProviderFailed
from portal.gateways.rules.oidc_metadata import OidcProvider

_VERIFIER_BYTES, _VALUE_BYTES = 48, 32
_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class SignOnAttempt:
    """What the browser's session keeps while its owner is at the provider."""

    state: str
    nonce: str
    verifier: str
    started_at_ms: int


@dataclass(frozen=True)
class SignedOn:
    account_id: int
    has_second_factor: bool


def begin_sign_on(config: SingleSignOn, redirect_uri: str, now_ms: int) -> tuple[str, SignOnAttempt]:
    """The address at the provider, and what to keep. Raises `SignOnRefused`."""
    values = (secrets.token_urlsafe(_VALUE_BYTES), secrets.token_urlsafe(_VALUE_BYTES))
    attempt = SignOnAttempt(*values, secrets.token_urlsafe(_VERIFIER_BYTES), now_ms)
    try:
        provider = oidc.discover_provider(config)
    except OidcProviderFailed as error:
        raise _unreachable(config, error) from error
    parameters = {"state": attempt.state, "nonce": attempt.nonce}
    return oidc.authorization_url(provider, config, redirect_uri, attempt.verifier, **parameters), attempt


def finish_sign_on(
    config: SingleSignOn, attempt: SignOnAttempt | None, answer: Mapping[str, str], redirect_uri: str, now_ms: int
) -> SignedOn:
    """`answer` is the query with which the provider sent the browser back. Raises `SignOnRefused`."""
    attempt = _check_answer(config, attempt, answer, now_ms)
    try:
        provider = oidc.discover_provider(config)
        tokens = oidc.exchange_code(provider, config, redirect_uri, answer["code"], attempt.verifier)
        claims = _verified_claims(provider, config, tokens, attempt.nonce, now_ms)
    except OidcProviderFailed as error:
        raise _unreachable(config, error) from error
    except CodeRefused as error:
        message = _("%(name)s did not accept this sign-in any more. Try again.", name=config.name)
        raise SignOnRefused(message, f"code: {error}") from error
    except IdTokenError as error:
        raise _untrusted(config, error) from error
    return _sign_in(config, claims, attempt.state, now_ms)


def _check_answer(
    config: SingleSignOn, attempt: SignOnAttempt | None, answer: Mapping[str, str], now_ms: int
) -> SignOnAttempt:
    """That it belongs to what this browser began a moment ago: before that, nothing in it is to be believed."""
    is_own = attempt is not None and secrets.compare_digest(answer.get("state", "").encode(), attempt.state.encode())
    if attempt is None or not is_own or now_ms - attempt.started_at_ms > CHALLENGE_LIFETIME_MS:
        message = _("This sign-in was not begun in this browser, was used already, or took too long. Try again.")
        raise SignOnRefused(message, "state")
    if answer.get("iss", config.issuer) != config.issuer:
        raise _untrusted(config, IdTokenError("iss"))
    if "error" in answer or not answer.get("code"):
        message = _("%(name)s did not sign you in. Try again, or ask its operators.", name=config.name)
        raise SignOnRefused(message, "error of the provider")
    return attempt


def _verified_claims(
    provider: OidcProvider, config: SingleSignOn, tokens: Mapping[str, Any], nonce: str, now_ms: int
) -> dict[str, Any]:
    """Those of the ID token. What it lacks is asked for, and must be about the same subject."""
    keys, token = oidc.fetch_keys(provider), str(tokens.get("id_token") or "")
    claims = verify_id_token(token, keys, config.issuer, config.client_id, nonce, now_ms)
    is_complete = email_claim(claims) and (not config.role_claim or config.role_claim in claims)
    if is_complete or not provider.userinfo_endpoint or not tokens.get("access_token"):
        return claims
    userinfo = oidc.fetch_userinfo(provider, str(tokens["access_token"]))
    if userinfo.get("sub") != claims["sub"]:
        raise IdTokenError("sub")
    return {**userinfo, **claims}


def _sign_in(config: SingleSignOn, claims: Mapping[str, Any], state: str, now_ms: int) -> SignedOn:
    with transaction():
        if not spend_challenge(state, now_ms):
            raise SignOnRefused(_("This sign-in was used already. Try again."), "replay")
        account = find_or_connect_account(config, claims, now_ms)
        follow_role_claim(account, config, claims, now_ms)
        return SignedOn(account.id, has_second_factor(claims, config))


def _unreachable(config: SingleSignOn, error: OidcProviderFailed) -> SignOnRefused:
    message = _("%(name)s cannot be reached, or does not answer as it should. Try again in a minute.", name=config.name)
    return SignOnRefused(message, f"provider: {error}")


def _untrusted(config: SingleSignOn, error: IdTokenError) -> SignOnRefused:
    message = _("The answer of %(name)s could not be trusted, so nobody is signed in. Try again.", name=config.name)
    if error.is_about_time:
        message = _(
            "The clocks of the portal and of %(name)s differ, or the sign-in took too long. Try again; if this stays, "
            "tell an administrator.",
            name=config.name,
        )
    return SignOnRefused(message, f"ID token: {error}")
