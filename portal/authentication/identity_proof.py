"""Check what somebody enters to prove who they are. Each try is counted first, so that nobody can guess."""

from collections.abc import Callable

import structlog

from portal.accounts.authentication import SignInClient
from portal.accounts.passwords import password_matches
from portal.accounts.sign_in_records import count_failed_sign_in
from portal.accounts.sign_in_throttle import count_attempt, throttle_key
from portal.accounts.tables.accounts import Account
from portal.accounts.tables.throttle_counters import delete_counters, lock_counters
from portal.authentication.authenticator_app import use_totp_code
from portal.core.context import settings
from portal.core.errors import InvalidInput
from portal.core.extensions import db
from portal.core.transaction import transaction
from portal.core.translation import gettext as _
from portal.core.translation import ngettext

_log = structlog.get_logger(__name__)


def attempt_second_factor(account_id: int, client: SignInClient, proves: Callable[[], bool], now_ms: int) -> bool:
    """Whether `proves`, which checks what was entered. Raises `InvalidInput` for `code` if the account has to wait.

    A device on which the account has signed in before has a counter of its own: whoever knows the password cannot
    lock its owner out. The audit log tells of a wrong code, because somebody who enters one may know the password.
    """
    is_known = account_id in client.known_account_ids
    device = client.device_id if is_known else "elsewhere"
    is_proven = _attempt("code", proves, now_ms, "second_factor", account_id, device)
    if not is_proven:
        count_failed_sign_in({account_id}, client.address, now_ms)
    return is_proven


def prove_by_password(account: Account, password: str, now_ms: int) -> None:
    """Raises `InvalidInput` for `password`, or `Busy`. No password is right while sign-in with passwords is off."""
    account_id, stored = account.id, account.password if settings().password_sign_in else None
    db.session.rollback()  # do not hold a database connection while hashing
    if not _attempt("password", lambda: password_matches(password, stored), now_ms, "own_password", account_id):
        raise InvalidInput({"password": _("This is not your password.")})


def prove_by_totp(account_id: int, code: str, client: SignInClient, now_ms: int) -> None:
    """Raises `InvalidInput` for `code`."""
    if not attempt_second_factor(account_id, client, lambda: use_totp_code(account_id, code, now_ms), now_ms):
        raise InvalidInput({"code": _("This code is not right. Enter the one that the app shows now.")})


def _attempt(field: str, proves: Callable[[], bool], now_ms: int, *counter: object) -> bool:
    """`counter` are the parts of the key under which it is counted: a kind, and an account."""
    key = throttle_key(*map(str, counter))
    if wait_ms := count_attempt([key], [()], now_ms).retry_after_ms:
        seconds = wait_ms // 1000 + 1
        message = ngettext("Wait %(num)s second, then try again.", "Wait %(num)s seconds, then try again.", seconds)
        raise InvalidInput({field: message})
    is_proven = proves()
    _log.info("identity proof attempted", kind=counter[0], account_id=counter[1], is_proven=is_proven)
    if is_proven:
        with transaction():
            lock_counters()
            delete_counters([key])
    return is_proven
