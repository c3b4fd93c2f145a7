"""Check an ID token: that the provider made it, for this portal, for this attempt to sign in, and just now."""

from collections.abc import Mapping
from typing import Any

from joserfc import jwt
from joserfc.errors import ExpiredTokenError, InvalidClaimError, JoseError, MissingClaimError
from joserfc.jwk import KeySet

_ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519")
"""Those with a public key. Never `none`, and none whose key the portal would share."""
_LEEWAY_SECONDS = 60
_TIME_CLAIMS = ("exp", "iat", "nbf")


class IdTokenError(ValueError):
    """The token is not accepted; the message names the claim, or what else is wrong, and quotes nothing."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.is_about_time = message in _TIME_CLAIMS


def verify_id_token(
    token: str, keys: Mapping[str, Any], issuer: str, client_id: str, nonce: str, now_ms: int
) -> dict[str, Any]:
    """Its claims. Raises `IdTokenError`."""
    try:
        claims = jwt.decode(token, KeySet.import_key_set({"keys": list(keys["keys"])}), list(_ALGORITHMS)).claims
        _required_claims(issuer, client_id, nonce, now_ms).validate(claims)
    except (ExpiredTokenError, InvalidClaimError, MissingClaimError) as error:
        raise IdTokenError(error.claim) from error
    except (JoseError, ValueError, KeyError, TypeError) as error:
        raise IdTokenError(type(error).__name__) from error
    if claims.get("azp", client_id) != client_id:
        raise IdTokenError("azp")
    return claims


def _required_claims(issuer: str, client_id: str, nonce: str, now_ms: int) -> jwt.JWTClaimsRegistry:
    return jwt.JWTClaimsRegistry(
        now=now_ms // 1000,
        leeway=_LEEWAY_SECONDS,
        iss={"essential": True, "value": issuer},
        aud={"essential": True, "value": client_id},
        sub={"essential": True},
        exp={"essential": True},
        iat={"essential": True},
        nonce={"essential": True, "value": nonce},
    )
