"""Some pages ask for a proof of identity again: a session that was left open must not be enough for them.

The proof counts for ten minutes. A form that was sent without one is kept, encrypted, in the page that asks, and goes
on from there.
"""

import json
import os
from collections.abc import Callable
from typing import Any, TypeVar

from flask import Flask, current_app, render_template, request
from flask.typing import ResponseReturnValue
from flask_security import current_user
from werkzeug.datastructures import ImmutableMultiDict
from wtforms import HiddenField, PasswordField, StringField

from portal.accounts.tables.accounts import Account
from portal.authentication.identity_proof import prove_by_password, prove_by_totp
from portal.authentication.passkey_ceremonies import PasskeyRefused, authentication_options, use_passkey
from portal.authentication.rules.passkey_site import PasskeySite
from portal.authentication.second_factors import PASSKEY, second_factors_of
from portal.core.clock import now_ms
from portal.core.context import settings
from portal.core.errors import InvalidInput
from portal.core.translation import lazy_gettext
from portal.settings.rules.encryption import DecryptionError, decrypt_secret, encrypt_secret
from portal.web.account.known_devices import current_client
from portal.web.authentication.browser_sessions import confirm_identity, current_session
from portal.web.authentication.passkey_challenges import PROOF, current_site, new_challenge, take_challenge
from portal.web.base_form import PortalForm

View = TypeVar("View", bound=Callable[..., Any])
_RECENT_MS = 600_000
_KEPT = "kept_form"


class ProofForm(PortalForm):
    proof_password = PasswordField(lazy_gettext("Your password"))
    proof_code = StringField(lazy_gettext("Code of your authenticator app"))
    proof_passkey = HiddenField()


def needs_recent_sign_in(view: View) -> View:
    """A view for POST, reached only by who proved their identity in the last ten minutes, or does so now."""
    view.needs_recent_sign_in = True  # type: ignore[attr-defined]
    return view


def init_app(app: Flask) -> None:
    """After the check of the CSRF token."""
    app.before_request(_require_proof)


def _require_proof() -> ResponseReturnValue | None:
    view = current_app.view_functions.get(request.endpoint or "")
    if request.method != "POST" or not getattr(view, "needs_recent_sign_in", False) or _is_recent():
        return None
    if _KEPT not in request.form:
        return _page(ProofForm(formdata=None), _keep_form())
    form, kept = ProofForm(), request.form[_KEPT]
    try:
        _check_proof(current_user, form)
    except InvalidInput as error:
        form.with_errors(InvalidInput({f"proof_{name}": message for name, message in error.errors.items()}))
        return _page(form, kept)
    confirm_identity()
    request.form = _kept_form(kept)
    return None


def _is_recent() -> bool:
    current = current_session()
    return current is not None and 0 <= now_ms() - current.authenticated_at_ms < _RECENT_MS


def _check_proof(account: Account, form: ProofForm) -> None:
    """Raises `InvalidInput` for `password`, `code` or `passkey`, or `Busy`."""
    site = current_site()
    if form.proof_passkey.data and site:
        _check_passkey(account.id, form.proof_passkey.data, site)
    elif form.proof_code.data:
        prove_by_totp(account.id, form.proof_code.data, current_client(), now_ms())
    else:
        prove_by_password(account, form.proof_password.data, now_ms())


def _check_passkey(account_id: int, answer: str, site: PasskeySite) -> None:
    try:
        use_passkey(answer, take_challenge(PROOF), site, now_ms(), account_id)
    except PasskeyRefused as refusal:
        raise InvalidInput({"passkey": refusal.message}) from refusal


def _keep_form() -> str:
    """Encrypted, because secrets and new passwords are among what is typed."""
    text = json.dumps(list(request.form.items(multi=True)))
    return encrypt_secret(text, _kept_name(), settings().encryption_keys[0], os.urandom(12))


def _kept_form(kept: str) -> ImmutableMultiDict[str, str]:
    """Empty if it is none of this person for this address: the view then says what is missing."""
    try:
        text = decrypt_secret(kept, _kept_name(), settings().encryption_keys)
    except DecryptionError:
        return ImmutableMultiDict()
    return ImmutableMultiDict((name, value) for name, value in json.loads(text))


def _kept_name() -> str:
    return f"form of account {current_user.id} for {request.path}"


def _page(form: ProofForm, kept: str) -> ResponseReturnValue:
    site, factors = current_site(), second_factors_of(current_user.id)
    page = render_template(
        "authentication/recent_sign_in.html",
        form=form,
        kept=kept,
        has_password=bool(current_user.password) and settings().password_sign_in,
        has_totp="totp" in factors,
        passkey_options=authentication_options(current_user.id, site, new_challenge(PROOF))
        if site and PASSKEY in factors
        else "",
    )
    return page, 422 if form.errors else 403
