"""The first system administrator, made by whoever has the one-time link that `portal up` prints (ADR 50)."""

import hashlib
import secrets

from portal.accounts.account_management import NewAccount, create_account
from portal.core import audit_log
from portal.core.context import settings
from portal.core.errors import ActionRefused, InvalidInput
from portal.core.transaction import transaction
from portal.core.translation import gettext as _
from portal.setup.tables import setup_state

LINK_LIFETIME_MS = 3_600_000
_LINK = "first sysadmin link"


class LinkUnusable(ActionRefused):
    """It was used, replaced by a newer one, or has expired."""

    def __init__(self) -> None:
        super().__init__(_("This link no longer works."))


def issue_link(now_ms: int) -> str | None:
    """An address that works once, for an hour, in place of earlier ones; None if there is a system administrator."""
    token = secrets.token_urlsafe(32)
    with transaction():
        if setup_state.has_account("sysadmin"):
            return None
        setup_state.remember(_LINK, now_ms + LINK_LIFETIME_MS, _digest(token))
    return f"{settings().public_url}/Setup/{token}"


def is_link_usable(token: str, now_ms: int) -> bool:
    return setup_state.is_valid(_LINK, _digest(token), now_ms) and not setup_state.has_account("sysadmin")


def create_first_sysadmin(token: str, name: str, email: str, password: str, now_ms: int) -> int:
    """The id of the account. Raises `LinkUnusable`, and `InvalidInput` for `name`, `email` and `password`."""
    if not is_link_usable(token, now_ms):
        raise LinkUnusable
    if not password:
        raise InvalidInput({"password": _("Enter a password.")})
    number = f"A-{secrets.token_hex(4)}"
    new = NewAccount(number, name, email, "Staff", "sysadmin", settings().time_zone, password)
    return create_account(new, now_ms, check=lambda: _use_link(token, number, now_ms))


def _use_link(token: str, number: str, now_ms: int) -> None:
    """Of two people with the same link, the second finds it used."""
    if setup_state.has_account("sysadmin") or not setup_state.take(_LINK, _digest(token), now_ms):
        raise LinkUnusable
    audit_log.record_audit_entry("first_sysadmin_created", f"account {number}", None, now_ms)


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
