"""Authenticator apps: set one up, and check its codes."""

import secrets
from dataclasses import dataclass

import structlog

from portal.accounts.tables.accounts import Account
from portal.authentication.recovery import hashed_codes, missing_codes, store_codes
from portal.authentication.rules.totp import SECRET_BYTES, CodeUsed, matching_step, new_secret
from portal.authentication.tables.totp_credentials import find_totp, replace_totp, totp_secret_name, use_step
from portal.authentication.tables.trusted_devices import forget_trusted_devices
from portal.core import audit_log
from portal.core.context import settings
from portal.core.errors import InvalidInput
from portal.core.transaction import transaction
from portal.core.translation import N_
from portal.core.translation import gettext as _
from portal.settings.rules.encryption import DecryptionError, decrypt_secret
from portal.settings.setting_changes import encrypt_setting

_UNREADABLE = N_("The portal cannot check your app at the moment. Use a recovery code, or ask a system administrator.")
_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class TotpEnrolment:
    """What an app is told, and the recovery codes that go with it, if the account has none. Not in use yet."""

    secret: str
    recovery_codes: tuple[str, ...]


def begin_enrolment(account_id: int) -> str:
    """A new enrolment, encrypted, for the browser to bring back with the first code."""
    enrolment = new_secret(secrets.token_bytes(SECRET_BYTES)), *missing_codes(account_id)
    return encrypt_setting(_enrolment_name(account_id), " ".join(enrolment))


def read_enrolment(account_id: int, encrypted: str) -> TotpEnrolment | None:
    """None for what is no enrolment of this account."""
    try:
        text = decrypt_secret(encrypted, _enrolment_name(account_id), settings().encryption_keys)
    except DecryptionError:
        return None
    secret, *codes = text.split()
    return TotpEnrolment(secret, tuple(codes))


def enrol_totp(account: Account, enrolment: TotpEnrolment, code: str, now_ms: int) -> None:
    """Take the app and the recovery codes into use once its first code is right, in place of an earlier app.

    Ends the trust in devices. Raises `InvalidInput` for `code`.
    """
    account_id, subject, secret = account.id, f"account {account.external_id}", enrolment.secret
    step = matching_step(secret, "".join(code.split()), now_ms, 0)
    if step is None:
        raise InvalidInput({"code": _("This code is not right. Enter the one that the app shows now.")})
    hashed = hashed_codes(enrolment.recovery_codes)
    with transaction():
        replace_totp(account_id, encrypt_setting(totp_secret_name(account_id), secret), step, now_ms)
        forget_trusted_devices(account_id)
        audit_log.record_audit_entry("totp_enrolled", subject, account_id, now_ms, account_id=account_id)
        store_codes(account_id, hashed)


def use_totp_code(account_id: int, code: str, now_ms: int) -> bool:
    """Whether it is right; it works once. Raises `InvalidInput` for `code` if it was used, or cannot be checked."""
    credential = find_totp(account_id)
    if credential is None:
        return False
    stored, last_step = credential.secret, credential.last_step
    try:
        secret = decrypt_secret(stored, totp_secret_name(account_id), settings().encryption_keys)
        step = matching_step(secret, "".join(code.split()), now_ms, last_step)
    except DecryptionError as error:
        _log.error("TOTP secret is unreadable", account_id=account_id, error=str(error))
        raise InvalidInput({"code": _(_UNREADABLE)}) from error
    except CodeUsed as error:
        raise InvalidInput({"code": _("This code was used already. Wait until the app shows the next one.")}) from error
    if step is None:
        return False
    with transaction():
        return use_step(account_id, stored, step)


def _enrolment_name(account_id: int) -> str:
    return f"TOTP enrolment of account {account_id}"
