"""What a provider, or somebody who pretends to be one, says wrongly signs nobody in."""

import base64
import contextlib
import json
import threading
import time
from collections.abc import Callable
from urllib.parse import parse_qs, urlsplit

import pytest
from flask import Flask
from joserfc import jwt
from joserfc.jwk import OctKey
from structlog.testing import capture_logs

from portal.core.rules.oidc_settings import parse_single_sign_on
from portal.gateways.oidc import OidcProviderFailed, discover_provider
from tests.support.fakes.oidc_server import CLIENT_SECRET, FOREIGN_KEY, KEY, Changes, OidcServer, signed
from tests.support.fakes.stub_servers import silent_server
from tests.support.web_client import WebClient
from tests.web.authentication.single_sign_on.conftest import VARIABLES
from tests.web.authentication.single_sign_on.sign_on_steps import at_provider, is_signed_in, refused, sign_on

pytestmark = pytest.mark.usefixtures("configure")


def unsigned(claims: Changes) -> str:
    parts = ({"alg": "none"}, claims)
    encoded = (base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts)
    return ".".join(encoded) + "."


FORGERIES: dict[str, Callable[[Changes], str]] = {
    "wrong nonce": lambda claims: signed({**claims, "nonce": "another"}),
    "no nonce": lambda claims: signed({name: value for name, value in claims.items() if name != "nonce"}),
    "wrong audience": lambda claims: signed({**claims, "aud": "another-client"}),
    "other party": lambda claims: signed({**claims, "aud": ["portal", "another"], "azp": "another"}),
    "other issuer": lambda claims: signed({**claims, "iss": "https://login.example.net"}),
    "expired": lambda claims: signed({**claims, "exp": int(time.time()) - 120}),
    "from the future": lambda claims: signed({**claims, "iat": int(time.time()) + 3_600}),
    "no expiry": lambda claims: signed({name: value for name, value in claims.items() if name != "exp"}),
    "unsigned": unsigned,
    "other key": lambda claims: signed(claims, FOREIGN_KEY),
    "shared key": lambda claims: jwt.encode({"alg": "HS256", "kid": "1"}, claims, OctKey.import_key(CLIENT_SECRET * 2)),
    "public key as shared key": lambda claims: jwt.encode(
        {"alg": "HS256", "kid": "1"}, claims, OctKey.import_key(KEY.as_pem(private=False).hex())
    ),
    "changed": lambda claims: signed(claims)[:-8] + "AAAAAAAA",
    "no token": lambda _claims: "",
}


def test_id_token_that_is_not_for_this_sign_in_is_refused(provider: OidcServer, visitor: WebClient) -> None:
    for name, forgery in FORGERIES.items():
        provider.make_token = forgery
        response = sign_on(visitor)
        words = "clocks" if name in ("expired", "from the future", "no expiry") else "could not be trusted"
        assert (response.status_code, words in response.text) == (403, True), name
        assert not is_signed_in(visitor), name


def test_answer_counts_once(visitor: WebClient) -> None:
    answer = at_provider(visitor)
    assert visitor.get(answer).status_code == 302
    visitor.post("/SignOut")
    refused(visitor, visitor.get(answer), "was used already")


def test_answer_counts_once_even_with_a_copy_of_the_cookie(provider: OidcServer, visitor: WebClient) -> None:
    """The provider gives the code out again, as a careless one would."""
    answer = at_provider(visitor)
    restore_session, codes = visitor.copy_session(), dict(provider.codes)
    visitor.get(answer)
    restore_session()
    provider.codes.update(codes)
    refused(visitor, visitor.get(answer), "was used already")


def test_code_is_exchanged_once(provider: OidcServer, visitor: WebClient) -> None:
    answer = at_provider(visitor)
    restore_session = visitor.copy_session()
    visitor.get(answer)
    restore_session()
    refused(visitor, visitor.get(answer), "did not accept this sign-in any more")


def test_answer_to_another_browser_signs_nobody_in(web_app: Flask, visitor: WebClient) -> None:
    answer = at_provider(visitor)
    other = WebClient(web_app.test_client())
    refused(other, other.get(answer), "was not begun in this browser")
    at_provider(other)
    refused(other, other.get(answer), "was not begun in this browser")


def test_code_of_another_attempt_is_refused_by_its_verifier(web_app: Flask, visitor: WebClient) -> None:
    """Somebody who brings their own code into the sign-in of another person fails at PKCE."""
    stolen = parse_qs(urlsplit(at_provider(WebClient(web_app.test_client()))).query)["code"][0]
    own = parse_qs(urlsplit(at_provider(visitor)).query)
    answer = f"/SignIn/SingleSignOn/Callback?code={stolen}&state={own['state'][0]}"
    refused(visitor, visitor.get(answer), "did not accept this sign-in any more")


def test_answer_of_another_issuer_is_refused(visitor: WebClient) -> None:
    refused(visitor, visitor.get(at_provider(visitor) + "&iss=https://login.example.net"), "could not be trusted")


def test_attempt_ends_after_five_minutes(web_app: Flask, visitor: WebClient, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = at_provider(visitor)
    later = int(time.time() * 1000) + 301_000
    monkeypatch.setattr("portal.web.authentication.single_sign_on_pages.now_ms", lambda: later)
    refused(visitor, visitor.get(answer), "took too long")


@pytest.mark.parametrize("path", ["/.well-known/openid-configuration", "/token", "/keys"])
def test_no_redirect_is_followed(provider: OidcServer, visitor: WebClient, path: str) -> None:
    if path == "/.well-known/openid-configuration":
        provider.redirects = {path}
        response = visitor.get("/SignIn/SingleSignOn")
    else:
        answer = at_provider(visitor)
        provider.redirects = {path}
        response = visitor.get(answer)
    refused(visitor, response, "cannot be reached")


@pytest.mark.parametrize(
    "changes",
    [
        {"issuer": "https://login.example.net"},
        {"token_endpoint": "http://login.example.org/token"},
        {"jwks_uri": None},
        {"authorization_endpoint": "javascript:alert(1)"},
    ],
)
def test_metadata_of_another_issuer_or_without_encryption_is_refused(
    provider: OidcServer, visitor: WebClient, changes: Changes
) -> None:
    provider.metadata_changes = changes
    refused(visitor, visitor.get("/SignIn/SingleSignOn"), "cannot be reached")


def test_provider_that_hangs_keeps_only_some_threads() -> None:
    with silent_server() as port:
        issuer = parse_single_sign_on({**VARIABLES, "PORTAL_OIDC_ISSUER": f"http://127.0.0.1:{port}"})
        assert issuer

        def ask() -> None:
            with contextlib.suppress(OidcProviderFailed):
                discover_provider(issuer)

        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        with pytest.raises(OidcProviderFailed, match="too many requests at once"):
            discover_provider(issuer)
    for thread in threads:
        thread.join()


def test_log_holds_no_code_and_no_token(provider: OidcServer, visitor: WebClient) -> None:
    provider.make_token = FORGERIES["wrong nonce"]
    answer = at_provider(visitor)
    with capture_logs() as logs:
        visitor.get(answer)
    written, values = str(logs), parse_qs(urlsplit(answer).query)
    assert "ID token: nonce" in written
    assert not [value for name in ("code", "state") for value in values[name] if value in written]
    assert "eyJ" not in written
    assert CLIENT_SECRET not in written
