"""Talk to an OpenID provider: its metadata and keys, and the exchange of a code for an ID token.

No redirect is followed: it could lead to somebody who only pretends to be the provider.
"""

import contextlib
import threading
from collections.abc import Iterator, Mapping
from typing import Any

from authlib.integrations.base_client import OAuthError
from authlib.integrations.requests_client import OAuth2Session
from requests import RequestException, Session

from portal.core.rules.oidc_settings import SingleSignOn
from portal.gateways.rules.oidc_metadata import MetadataError, OidcProvider, metadata_url, parse_metadata

_SCOPE = "openid email profile"
_TIMEOUT_SECONDS = (3, 6)
_SLOTS, _SLOT_SECONDS = threading.BoundedSemaphore(4), 1
"""Requests at once: a provider that hangs must not keep every thread of the web process, which anybody could begin."""


class OidcProviderFailed(Exception):
    """The provider did not answer, or not as the protocol says. The message is for the log: it has no secrets."""


class CodeRefused(Exception):
    """The provider does not accept the code, or not from this client; the message is its error code."""


def discover_provider(config: SingleSignOn) -> OidcProvider:
    """Raises `OidcProviderFailed`."""
    try:
        return parse_metadata(_get_object(metadata_url(config.issuer)), config.issuer)
    except MetadataError as error:
        raise OidcProviderFailed(f"metadata: {error}") from error


def authorization_url(
    provider: OidcProvider, config: SingleSignOn, redirect_uri: str, verifier: str, **parameters: str
) -> str:
    """Where the browser goes to sign in. Of `verifier`, only a digest is in it (PKCE)."""
    with _client(provider, config, redirect_uri) as client:
        url, _state = client.create_authorization_url(
            provider.authorization_endpoint, code_verifier=verifier, **parameters
        )
    return str(url)


def exchange_code(
    provider: OidcProvider, config: SingleSignOn, redirect_uri: str, code: str, verifier: str
) -> dict[str, Any]:
    """The tokens. Raises `OidcProviderFailed` or `CodeRefused`."""
    try:
        with _slot(), _client(provider, config, redirect_uri) as client:
            tokens = client.fetch_token(
                provider.token_endpoint,
                grant_type="authorization_code",
                code=code,
                code_verifier=verifier,
                redirect_uri=redirect_uri,
                allow_redirects=False,
            )
    except OAuthError as error:
        raise CodeRefused(str(error.error)) from error
    except (RequestException, ValueError, TypeError) as error:
        raise OidcProviderFailed(f"tokens: {type(error).__name__}") from error
    return dict(tokens)


def fetch_keys(provider: OidcProvider) -> dict[str, Any]:
    """Raises `OidcProviderFailed`."""
    return _get_object(provider.jwks_uri)


def fetch_userinfo(provider: OidcProvider, access_token: str) -> dict[str, Any]:
    """Raises `OidcProviderFailed`."""
    return _get_object(provider.userinfo_endpoint, {"Authorization": f"Bearer {access_token}"})


def _client(provider: OidcProvider, config: SingleSignOn, redirect_uri: str) -> OAuth2Session:
    return OAuth2Session(
        config.client_id,
        config.client_secret,
        token_endpoint_auth_method=provider.client_authentication,
        scope=_SCOPE,
        redirect_uri=redirect_uri,
        code_challenge_method="S256",
        default_timeout=_TIMEOUT_SECONDS,
    )


@contextlib.contextmanager
def _slot() -> Iterator[None]:
    if not _SLOTS.acquire(timeout=_SLOT_SECONDS):
        raise OidcProviderFailed("too many requests at once")
    try:
        yield
    finally:
        _SLOTS.release()


def _get_object(url: str, headers: Mapping[str, str] | None = None) -> dict[str, Any]:
    try:
        with _slot(), Session() as session:
            response = session.get(url, headers=headers, timeout=_TIMEOUT_SECONDS, allow_redirects=False)
            body = response.json() if response.status_code == 200 else None
    except (RequestException, ValueError) as error:
        raise OidcProviderFailed(f"{type(error).__name__}") from error
    if not isinstance(body, dict):
        raise OidcProviderFailed(f"status {response.status_code}")
    return body
