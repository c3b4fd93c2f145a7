"""Add passkeys, and sign in with them (WebAuthn, ADR 60).

Each must have verified its owner, by a fingerprint, a face or a PIN: it counts as both factors.
"""

from collections.abc import Iterable

from webauthn import (
    base64url_to_bytes,
    generate_authentication_options,
    generate_registration_options,
    options_to_json,
    verify_authentication_response,
    verify_registration_response,
)
from webauthn.helpers import bytes_to_base64url, parse_authentication_credential_json
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AuthenticationCredential,
    AuthenticatorSelectionCriteria,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from portal.accounts.sign_in_throttle import keyed_hashes
from portal.accounts.tables.accounts import Account
from portal.authentication.recovery import hashed_codes, missing_codes, store_codes
from portal.authentication.rules.passkey_site import PasskeySite
from portal.authentication.second_factors import PASSKEY, SECOND_FACTORS, needs_second_factor
from portal.authentication.tables.passkeys import Passkey, find_passkey, lock_passkey, passkeys_of
from portal.authentication.tables.spent_challenges import CHALLENGE_LIFETIME_MS, spend_challenge
from portal.authentication.tables.trusted_devices import forget_trusted_devices
from portal.core.audit_log import record_audit_entry
from portal.core.errors import ActionRefused, InvalidInput
from portal.core.rules.text_input import clean_line
from portal.core.transaction import transaction
from portal.core.translation import gettext as _

_MAX_PASSKEYS, _MAX_NAME_LENGTH, _MAX_ANSWER_LENGTH, _MAX_REASON_LENGTH = 10, 60, 8_000, 200
_MALFORMED = (WebAuthnException, ValueError, KeyError, TypeError, AttributeError)
"""What the library raises for an answer of an unexpected shape."""


class PasskeyRefused(ActionRefused):
    """`reason` is for the log."""

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


def registration_options(account: Account, organisation: str, site: PasskeySite, challenge: bytes) -> str:
    """What the browser needs to make a passkey, as JSON. An authenticator that has one already makes none."""
    own = passkeys_of(account.id)
    return options_to_json(
        generate_registration_options(
            rp_id=site.host,
            rp_name=organisation,
            user_id=base64url_to_bytes(_user_handle(account.id, own)),
            user_name=account.email,
            user_display_name=f"{account.name} ({account.external_id})",
            challenge=challenge,
            timeout=CHALLENGE_LIFETIME_MS,
            authenticator_selection=AuthenticatorSelectionCriteria(
                resident_key=ResidentKeyRequirement.REQUIRED, user_verification=UserVerificationRequirement.REQUIRED
            ),
            exclude_credentials=_descriptors(own),
        )
    )


def authentication_options(account_id: int | None, site: PasskeySite, challenge: bytes) -> str:
    """What the browser needs to use a passkey, as JSON: one of the account, or without one any that it has for us."""
    return options_to_json(
        generate_authentication_options(
            rp_id=site.host,
            challenge=challenge,
            timeout=CHALLENGE_LIFETIME_MS,
            allow_credentials=_descriptors(passkeys_of(account_id)) if account_id else None,
            user_verification=UserVerificationRequirement.REQUIRED,
        )
    )


def add_passkey(
    account: Account, name: str, answer: str, challenge: bytes | None, site: PasskeySite, now_ms: int
) -> list[str]:
    """Recovery codes if the account had none. Raises `InvalidInput` for `name`, or `PasskeyRefused`."""
    account_id, subject, name = account.id, f"account {account.external_id}", _checked_name(name)
    passkey = _new_passkey(answer, challenge, site)
    codes = missing_codes(account_id)
    hashed = hashed_codes(codes)
    with transaction() as session:
        session.get_one(Account, account_id, with_for_update=True)
        own = passkeys_of(account_id)
        if not challenge or not spend_challenge(bytes_to_base64url(challenge), now_ms):
            raise _refused("challenge")
        if len(own) >= _MAX_PASSKEYS:
            message = _("An account has at most %(count)s passkeys. Remove one first.", count=_MAX_PASSKEYS)
            raise InvalidInput({"name": message})
        if find_passkey(passkey.credential_id):
            raise _refused("known credential")
        passkey.account_id, passkey.user_handle = account_id, _user_handle(account_id, own)
        passkey.name, passkey.created_at_ms = name, now_ms
        session.add(passkey)
        forget_trusted_devices(account_id)
        record_audit_entry("passkey_added", subject, account_id, now_ms, account_id=account_id, passkey=name)
        store_codes(account_id, hashed)
    return codes


def use_passkey(answer: str, challenge: bytes | None, site: PasskeySite, now_ms: int, account_id: int = 0) -> int:
    """The id of the account whose passkey it is: that of `account_id`, if given. Raises `PasskeyRefused`."""
    credential = _read_answer(answer)
    with transaction() as session:
        passkey = lock_passkey(credential.id)
        if passkey is None or account_id not in (0, passkey.account_id):
            raise _refused("unknown credential")
        if not challenge or not spend_challenge(bytes_to_base64url(challenge), now_ms):
            raise _refused("challenge")
        handle = credential.response.user_handle
        if handle is not None and bytes_to_base64url(handle) != passkey.user_handle:
            raise _refused("user handle")
        passkey.sign_count = _verified_sign_count(credential, challenge, site, passkey)
        passkey.last_used_at_ms = now_ms
        account = session.get_one(Account, passkey.account_id)
        if not account.active:
            raise PasskeyRefused(_("Your account is not active. Ask an administrator."), "account not active")
        subject, detail = f"account {account.external_id}", {"account_id": account.id, "passkey": passkey.name}
        record_audit_entry("passkey_used", subject, account.id, now_ms, **detail)
        return account.id


def remove_passkey(account: Account, passkey_id: int, now_ms: int) -> bool:
    """False if it is gone already. Raises `ActionRefused` for the only second factor of a role that needs one."""
    account_id, role, subject = account.id, account.role, f"account {account.external_id}"
    with transaction() as session:
        session.get_one(Account, account_id, with_for_update=True)
        own = passkeys_of(account_id)
        passkey = next((each for each in own if each.id == passkey_id), None)
        if passkey is None:
            return False
        others = (f for f in SECOND_FACTORS if f.name != PASSKEY and not f.is_fallback and f.exists(account_id))
        if len(own) == 1 and needs_second_factor(role) and not any(others):
            raise ActionRefused(_("Your role needs a second factor. Add another one, then remove this passkey."))
        session.delete(passkey)
        forget_trusted_devices(account_id)
        detail = {"account_id": account_id, "passkey": passkey.name}
        record_audit_entry("passkey_removed", subject, account_id, now_ms, **detail)
        return True


def _checked_name(text: str) -> str:
    name = clean_line(text)
    if not name:
        raise InvalidInput({"name": _("Enter a name, such as the device that keeps the passkey.")})
    if len(name) > _MAX_NAME_LENGTH:
        message = _("Use at most %(count)s characters.", count=_MAX_NAME_LENGTH)
        raise InvalidInput({"name": message})
    return name


def _new_passkey(answer: str, challenge: bytes | None, site: PasskeySite) -> Passkey:
    try:
        verified = verify_registration_response(
            credential=answer[:_MAX_ANSWER_LENGTH],
            expected_challenge=challenge or b"",
            expected_rp_id=site.host,
            expected_origin=site.origin,
            require_user_verification=True,
        )
    except _MALFORMED as error:
        raise _refused(ascii(error)[:_MAX_REASON_LENGTH]) from error
    return Passkey(
        credential_id=bytes_to_base64url(verified.credential_id),
        public_key=bytes_to_base64url(verified.credential_public_key),
        sign_count=verified.sign_count,
    )


def _read_answer(answer: str) -> AuthenticationCredential:
    try:
        credential = parse_authentication_credential_json(answer[:_MAX_ANSWER_LENGTH])
    except _MALFORMED as error:
        raise _refused("malformed answer") from error
    if credential.id != bytes_to_base64url(credential.raw_id):
        raise _refused("malformed id")  # which may be text that no database stores
    return credential


def _verified_sign_count(
    credential: AuthenticationCredential, challenge: bytes, site: PasskeySite, passkey: Passkey
) -> int:
    """A count that does not grow means that somebody has a copy of the authenticator."""
    try:
        verified = verify_authentication_response(
            credential=credential,
            expected_challenge=challenge,
            expected_rp_id=site.host,
            expected_origin=site.origin,
            credential_public_key=base64url_to_bytes(passkey.public_key),
            credential_current_sign_count=passkey.sign_count,
            require_user_verification=True,
        )
    except _MALFORMED as error:
        raise _refused(ascii(error)[:_MAX_REASON_LENGTH]) from error
    return verified.new_sign_count


def _user_handle(account_id: int, own: list[Passkey]) -> str:
    """One for all passkeys of an account, so that the same authenticator keeps one of them; it names nobody."""
    hashed = bytes.fromhex(keyed_hashes("passkey user handle", account_id)[0])
    return own[0].user_handle if own else bytes_to_base64url(hashed)


def _descriptors(passkeys: Iterable[Passkey]) -> list[PublicKeyCredentialDescriptor]:
    return [PublicKeyCredentialDescriptor(id=base64url_to_bytes(each.credential_id)) for each in passkeys]


def _refused(reason: str) -> PasskeyRefused:
    """The same words for every reason: they would help only whoever tries to get in."""
    return PasskeyRefused(_("This passkey was not accepted, or it took too long. Try again."), reason)
