"""An OpenID provider on loopback, made of Authlib's own parts: it checks client, redirect address, code and PKCE.

Its user signs in at once. Tests change what it says, to see that the portal does not believe everything.
"""

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from authlib.integrations.flask_oauth2 import AuthorizationServer
from authlib.oauth2.rfc6749 import ClientMixin
from authlib.oauth2.rfc6749.grants import AuthorizationCodeGrant
from authlib.oauth2.rfc7636 import CodeChallenge
from authlib.oidc.core import AuthorizationCodeMixin, OpenIDCode
from flask import Flask, Response, jsonify, redirect, request
from joserfc import jwt
from joserfc.jwk import RSAKey
from werkzeug.serving import make_server

from tests.support.fakes.stub_servers import serving_in_thread

CLIENT_ID, CLIENT_SECRET = "portal", "a-secret-of-the-client"
KEY, FOREIGN_KEY = (RSAKey.generate_key(2048, {"kid": "1", "use": "sig"}) for _ in range(2))
Changes = dict[str, Any]


@dataclass
class OidcServer:
    """What it says of its user is in `claims`. `make_token` makes another ID token from the claims of a good one."""

    url: str
    redirect_uri: str
    claims: Changes = field(default_factory=dict)
    userinfo: Changes = field(default_factory=dict)
    metadata_changes: Changes = field(default_factory=dict)
    make_token: Callable[[Changes], str] | None = None
    redirects: set[str] = field(default_factory=set)
    """Paths that answer with a redirect to what they would have said."""
    codes: dict[str, "_Code"] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)

    def metadata(self) -> Changes:
        names = {"authorization_endpoint": "authorize", "token_endpoint": "token", "jwks_uri": "keys"}
        urls = {name: f"{self.url}/{path}" for name, path in {**names, "userinfo_endpoint": "userinfo"}.items()}
        return {"issuer": self.url, **urls, **self.metadata_changes}

    def id_token(self, nonce: str) -> str:
        now = int(time.time())
        person = {"sub": "subject-1", "email": "owner@example.org", "email_verified": True, **self.claims}
        claims = {"iss": self.url, "aud": CLIENT_ID, "iat": now, "exp": now + 300, "nonce": nonce, **person}
        claims = {name: value for name, value in claims.items() if value is not None}
        return self.make_token(claims) if self.make_token else signed(claims)


def signed(claims: Changes, key: RSAKey = KEY) -> str:
    return jwt.encode({"alg": "RS256", "kid": "1"}, claims, key)


class _Client(ClientMixin):  # type: ignore[misc]
    def __init__(self, redirect_uri: str) -> None:
        self._redirect_uri = redirect_uri

    def get_client_id(self) -> str:
        return CLIENT_ID

    def get_default_redirect_uri(self) -> str:
        return self._redirect_uri

    def get_allowed_scope(self, scope: str) -> str:
        return scope

    def check_redirect_uri(self, redirect_uri: str) -> bool:
        return redirect_uri == self._redirect_uri

    def check_client_secret(self, client_secret: str) -> bool:
        return client_secret == CLIENT_SECRET

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        return method == "client_secret_basic"

    def check_response_type(self, response_type: str) -> bool:
        return response_type == "code"

    def check_grant_type(self, grant_type: str) -> bool:
        return grant_type == "authorization_code"


@dataclass
class _Code(AuthorizationCodeMixin):  # type: ignore[misc]
    redirect_uri: str
    scope: str
    nonce: str
    code_challenge: str
    code_challenge_method: str

    def get_redirect_uri(self) -> str:
        return self.redirect_uri

    def get_scope(self) -> str:
        return self.scope

    def get_nonce(self) -> str:
        return self.nonce


@contextlib.contextmanager
def running_oidc_server(redirect_uri: str) -> Iterator[OidcServer]:
    app = Flask("oidc")
    http = make_server("127.0.0.1", 0, app, threaded=True)
    server = OidcServer(f"http://127.0.0.1:{http.server_port}", redirect_uri)
    authorization = AuthorizationServer(
        app, query_client=lambda client_id: _Client(redirect_uri) if client_id == CLIENT_ID else None,
        save_token=lambda _token, _request: None,
    )  # fmt: skip
    grant, extension = _grant_for(server), _extension_for(server)
    authorization.register_grant(grant, [extension, CodeChallenge(required=True)])
    _add_routes(app, server, authorization)
    with serving_in_thread(http):
        yield server


def _grant_for(server: OidcServer) -> type[AuthorizationCodeGrant]:
    class Grant(AuthorizationCodeGrant):  # type: ignore[misc]
        def save_authorization_code(self, code: str, request: Any) -> None:
            data = request.payload.data
            names = ("scope", "nonce", "code_challenge", "code_challenge_method")
            server.codes[code] = _Code(request.payload.redirect_uri, *(data.get(name, "") for name in names))

        def query_authorization_code(self, code: str, client: ClientMixin) -> _Code | None:
            found = server.codes.get(code)
            if found:
                found.code = code
            return found

        def delete_authorization_code(self, authorization_code: _Code) -> None:
            del server.codes[authorization_code.code]

        def authenticate_user(self, authorization_code: _Code) -> object:
            return "the user"

    return Grant


def _extension_for(server: OidcServer) -> OpenIDCode:
    class Extension(OpenIDCode):  # type: ignore[misc]
        def exists_nonce(self, nonce: str, request: Any) -> bool:
            return any(code.nonce == nonce for code in server.codes.values())

        def encode_id_token(self, token: Any, request: Any) -> str:
            return server.id_token(request.authorization_code.get_nonce())

    return Extension(require_nonce=True)


def _add_routes(app: Flask, server: OidcServer, authorization: AuthorizationServer) -> None:
    @app.before_request
    def note_and_redirect() -> Response | None:
        server.requests.append(request.path)
        is_redirected = request.path in server.redirects and "again" not in request.args
        return redirect(f"{server.url}{request.path}?again=1", 307) if is_redirected else None  # type: ignore[return-value]

    @app.get("/.well-known/openid-configuration")
    def metadata() -> Response:
        return jsonify(server.metadata())

    @app.get("/authorize")
    def authorize() -> Any:
        grant = authorization.get_consent_grant(end_user="the user")
        return authorization.create_authorization_response(grant=grant, grant_user="the user")

    @app.post("/token")
    def token() -> Any:
        return authorization.create_token_response()

    @app.get("/keys")
    def keys() -> Response:
        return jsonify({"keys": [KEY.as_dict(private=False)]})

    @app.get("/userinfo")
    def userinfo() -> Response:
        return jsonify({"sub": "subject-1", **server.userinfo})
