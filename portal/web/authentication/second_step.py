"""Between the password and the session: who still has to prove a second factor, and with what.

Until then the browser is signed in nowhere. It only holds, for five minutes, whose password was right.
"""

from dataclasses import dataclass
from typing import Any

from flask import redirect, request, session, url_for
from flask.typing import ResponseReturnValue

from portal.accounts.tables.accounts import Account, find_by_identity
from portal.authentication.device_trust import is_trusted
from portal.authentication.second_factors import PASSKEY, second_factors_of
from portal.core.clock import now_ms
from portal.core.extensions import db
from portal.core.translation import N_
from portal.core.translation import gettext as _
from portal.web.authentication.device_cookie import device_token
from portal.web.authentication.passkey_challenges import current_site

_SESSION_KEY, _LIFETIME_MS = "second_step", 300_000


@dataclass(frozen=True)
class StepPage:
    """The page that asks for a second factor, and what leads there."""

    endpoint: str
    label: str


STEP_PAGES = {
    "passkey": StepPage("passkey_sign_in.sign_in", N_("Use a passkey")),
    "totp": StepPage("second_step.code", N_("Enter a code of your authenticator app")),
    "recovery_code": StepPage("second_step.recovery_code", N_("Enter a recovery code")),
}
"""By the names of `authentication.second_factors.SECOND_FACTORS`."""


@dataclass(frozen=True)
class PendingSignIn:
    """`method` proved the first factor; `target` is where the person wanted to go."""

    account: Account
    method: str
    target: str


def needs_second_step(account_id: int) -> bool:
    account = db.session.get_one(Account, account_id)
    return bool(second_factors_of(account_id)) and not is_trusted(account, device_token(), now_ms())


def begin_second_step(account_id: int, target: str, method: str) -> ResponseReturnValue:
    """Its identity changes with the password and the role, so that neither can change in between."""
    identity = db.session.get_one(Account, account_id).fs_uniquifier
    session[_SESSION_KEY] = {"identity": identity, "method": method, "at_ms": now_ms(), "next": target}
    return redirect(url_for(_usable_steps(account_id)[0].endpoint), 303)


def pending_sign_in() -> PendingSignIn | None:
    """None if no password was entered in the last five minutes."""
    stored: dict[str, Any] = session.get(_SESSION_KEY) or {}
    if not stored or not 0 <= now_ms() - stored["at_ms"] < _LIFETIME_MS:
        session.pop(_SESSION_KEY, None)
        return None
    account = find_by_identity(stored["identity"])
    return PendingSignIn(account, stored["method"], stored["next"]) if account and account.active else None


def forget_second_step() -> None:
    session.pop(_SESSION_KEY, None)


def other_steps(account_id: int) -> dict[str, str]:
    """The addresses of the pages for the other second factors of the account, by their labels."""
    pages = [page for page in _usable_steps(account_id) if page.endpoint != request.endpoint]
    return {_(page.label): url_for(page.endpoint) for page in pages}


def _usable_steps(account_id: int) -> list[StepPage]:
    """Without passkeys if the public address is none for them any more."""
    names = [name for name in second_factors_of(account_id) if name != PASSKEY or current_site()]
    return [STEP_PAGES[name] for name in names or ["recovery_code"]]
