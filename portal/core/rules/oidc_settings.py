"""The settings of the single sign-on by OpenID Connect (`PORTAL_OIDC_…`)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from portal.core.rules.transport.loopback import is_loopback

_PREFIX = "PORTAL_OIDC_"
_REQUIRED = ("PORTAL_OIDC_CLIENT_ID", "PORTAL_OIDC_CLIENT_SECRET")
_ROLE_VALUES = ("PORTAL_OIDC_ADMIN_VALUES", "PORTAL_OIDC_SYSADMIN_VALUES")


class SingleSignOnError(ValueError):
    """The settings are incomplete or invalid; the message says how to fix them, and shows no secret."""


@dataclass(frozen=True)
class SingleSignOn:
    """`name` is what the button calls the provider. Without a `role_claim`, roles are given in the portal alone.

    A value of `second_factor_values` in the claim `amr` or `acr` says that the provider has asked for two factors.
    """

    issuer: str
    client_id: str
    client_secret: str = field(repr=False)
    name: str
    role_claim: str
    admin_values: frozenset[str]
    sysadmin_values: frozenset[str]
    second_factor_values: frozenset[str]


def parse_single_sign_on(env: Mapping[str, str]) -> SingleSignOn | None:
    """None without an issuer. Raises `SingleSignOnError`."""
    issuer = env.get("PORTAL_OIDC_ISSUER") or ""
    if not issuer:
        _refuse_leftovers(env)
        return None
    if not is_safe_url(issuer):
        raise SingleSignOnError(
            "PORTAL_OIDC_ISSUER must be the https:// address that your provider names as its issuer, such as "
            "https://login.example.org. Over http:// anybody in between could sign in as anybody."
        )
    for name in _REQUIRED:
        if not env.get(name):
            raise SingleSignOnError(f"Set {name}: your provider gives it to you when you register the portal there.")
    _check_role_values(env)
    return SingleSignOn(
        issuer=issuer,
        client_id=env["PORTAL_OIDC_CLIENT_ID"],
        client_secret=env["PORTAL_OIDC_CLIENT_SECRET"],
        name=env.get("PORTAL_OIDC_NAME") or urlsplit(issuer).netloc,
        role_claim=env.get("PORTAL_OIDC_ROLE_CLAIM") or "",
        admin_values=_values(env, "PORTAL_OIDC_ADMIN_VALUES"),
        sysadmin_values=_values(env, "PORTAL_OIDC_SYSADMIN_VALUES"),
        second_factor_values=_values(env, "PORTAL_OIDC_SECOND_FACTOR_VALUES"),
    )


def is_safe_url(url: object) -> bool:
    """Whether nobody in between can read or change what is sent there: https, or this machine."""
    try:
        parts = urlsplit(url) if isinstance(url, str) else None
    except ValueError:
        return False
    if parts is None or not parts.hostname or parts.username is not None or parts.fragment:
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname))


def _refuse_leftovers(env: Mapping[str, str]) -> None:
    """Whoever sets one of them expects a single sign-on."""
    if given := next((name for name, text in env.items() if name.startswith(_PREFIX) and text), None):
        raise SingleSignOnError(f"{given} is set without PORTAL_OIDC_ISSUER. Set the issuer too, or remove {given}.")


def _check_role_values(env: Mapping[str, str]) -> None:
    """A claim without values would make everybody a user; values without a claim would do nothing."""
    has_claim, has_values = bool(env.get("PORTAL_OIDC_ROLE_CLAIM")), any(map(env.get, _ROLE_VALUES))
    if has_claim != has_values:
        raise SingleSignOnError(
            "Set PORTAL_OIDC_ROLE_CLAIM together with PORTAL_OIDC_ADMIN_VALUES or PORTAL_OIDC_SYSADMIN_VALUES, or none "
            "of them to give roles in the portal."
        )


def _values(env: Mapping[str, str], name: str) -> frozenset[str]:
    return frozenset(filter(None, (part.strip() for part in (env.get(name) or "").split(","))))
