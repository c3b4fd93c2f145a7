"""What the claims of a provider say about a person."""

from collections.abc import Mapping
from typing import Any

from portal.accounts.rules.roles import ROLES
from portal.core.rules.oidc_settings import SingleSignOn

Claims = Mapping[str, Any]


def email_claim(claims: Claims) -> str:
    return email if isinstance(email := claims.get("email"), str) else ""


def is_email_verified(claims: Claims) -> bool:
    """Only if the provider says so, and not with a word that merely looks true."""
    return claims.get("email_verified") is True


def is_same_address(first: str, second: str) -> bool:
    """Only letters of ASCII in another case: other letters that look alike may belong to somebody else."""
    if first.isascii() and second.isascii():
        return first.lower() == second.lower()
    return first == second


def role_from_claims(claims: Claims, config: SingleSignOn) -> str:
    """The highest role that the provider gives; "" if roles are given in the portal."""
    if not config.role_claim:
        return ""
    values = _texts(claims.get(config.role_claim))
    if values & config.sysadmin_values:
        return ROLES[2]
    return ROLES[1] if values & config.admin_values else ROLES[0]


def has_second_factor(claims: Claims, config: SingleSignOn) -> bool:
    """Whether the provider says that it has asked for two factors, in words that the settings name."""
    return bool((_texts(claims.get("amr")) | _texts(claims.get("acr"))) & config.second_factor_values)


def _texts(value: object) -> set[str]:
    values = value if isinstance(value, list) else [value]
    return {text for text in values if isinstance(text, str)}
