"""What an OpenID provider publishes about itself (OpenID Connect Discovery 1.0)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from portal.core.rules.oidc_settings import is_safe_url

_ENDPOINTS = ("authorization_endpoint", "token_endpoint", "jwks_uri")
_BASIC, _POST = "client_secret_basic", "client_secret_post"


class MetadataError(ValueError):
    """What the issuer published cannot be used; the message names the field."""


@dataclass(frozen=True)
class OidcProvider:
    """The endpoints of a provider. `userinfo_endpoint` may be empty."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str
    client_authentication: str


def metadata_url(issuer: str) -> str:
    return issuer.rstrip("/") + "/.well-known/openid-configuration"


def parse_metadata(document: Mapping[str, Any], issuer: str) -> OidcProvider:
    """Raises `MetadataError`: another issuer may be an attack, and so may an endpoint that is not encrypted."""
    if document.get("issuer") != issuer:
        raise MetadataError("issuer")
    urls = {name: document.get(name) for name in _ENDPOINTS}
    if unsafe := next((name for name, url in urls.items() if not is_safe_url(url)), ""):
        raise MetadataError(unsafe)
    userinfo = document.get("userinfo_endpoint")
    methods = document.get("token_endpoint_auth_methods_supported") or [_BASIC]
    return OidcProvider(
        issuer=issuer,
        **{name: str(url) for name, url in urls.items()},
        userinfo_endpoint=str(userinfo) if is_safe_url(userinfo) else "",
        client_authentication=_POST if _POST in methods and _BASIC not in methods else _BASIC,
    )
