"""The sign-in page, and the page where somebody with several accounts chooses one."""

import time
from collections.abc import Sequence
from typing import Any, cast

import structlog
from flask import Response, abort, flash, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue
from flask_security import current_user, login_user
from sqlalchemy import select
from wtforms import HiddenField, PasswordField, StringField
from wtforms.validators import DataRequired

from portal.accounts.authentication import authenticate, record_sign_in
from portal.accounts.tables.accounts import Account
from portal.core.clock import now_ms
from portal.core.context import settings
from portal.core.extensions import db
from portal.core.translation import N_, lazy_gettext, ngettext
from portal.core.translation import gettext as _
from portal.web.account import known_devices
from portal.web.authentication.passkey_challenges import current_site
from portal.web.authentication.password_refusal import passwords_off_page
from portal.web.authentication.second_step import begin_second_step, forget_second_step, needs_second_step
from portal.web.authentication.security_emails import NEW_DEVICE, tell_by_email
from portal.web.base_form import PortalForm
from portal.web.languages import keep_choice
from portal.web.request_input import parse_id, safe_redirect_target

_CHOICE_SESSION_KEY, _CHOICE_SECONDS = "accounts_to_choose", 300
_WRONG_CREDENTIALS = N_(
    "The email, account number or password is incorrect. If several accounts share your email, use the account number."
)
_log = structlog.get_logger(__name__)


class NameForm(PortalForm):
    email = StringField(
        lazy_gettext("Email or account number"),
        [DataRequired(lazy_gettext("Enter your email or account number."))],
        filters=[str.strip],
    )


class SignInForm(NameForm):
    password = PasswordField(lazy_gettext("Password"), [DataRequired(lazy_gettext("Enter your password."))])
    next = HiddenField()


class AccountChoiceForm(PortalForm):
    account = HiddenField(filters=[parse_id])


def sign_in() -> ResponseReturnValue:
    form = SignInForm()
    target = safe_redirect_target(form.next.data or request.args.get("next", ""))
    if current_user.is_authenticated:
        return redirect(target)
    form.next.data = "" if target == "/" else target
    if request.method == "POST" and not settings().password_sign_in:
        return passwords_off_page()
    if not form.validate_on_submit():
        return _page(form)
    account_ids = _authenticate(form)
    if not account_ids:
        form.form_errors.append(_(_WRONG_CREDENTIALS))
        return _page(form)
    return continue_sign_in(account_ids[0], target) if len(account_ids) == 1 else _offer_accounts(account_ids, target)


def choose_account() -> ResponseReturnValue:
    """Offer only accounts whose password this browser entered in the last five minutes."""
    offered = _offered_accounts()
    if not offered:
        session.pop(_CHOICE_SESSION_KEY, None)
        flash(_("Your time to choose ran out. Sign in again."), "info")
        return redirect(url_for("security.login"))
    if request.method == "GET":
        return render_template("security/choose_account.html", accounts=offered)
    account_id = AccountChoiceForm().account.data
    chosen = next((account for account in offered if account.id == account_id), None)
    if chosen is None:
        return render_template("security/choose_account.html", accounts=offered, error=_("Choose an account.")), 422
    return continue_sign_in(chosen.id, safe_redirect_target(session.pop(_CHOICE_SESSION_KEY)["next"]))


def _authenticate(form: SignInForm) -> tuple[int, ...]:
    result = authenticate(form.email.data, form.password.data, known_devices.current_client(), now_ms())
    if result.retry_after_ms:
        abort(429, description=wait_message(result.retry_after_ms))
    return result.account_ids


def wait_message(wait_ms: int) -> str:
    return ngettext(
        "Wait %(num)s second, then try again.", "Wait %(num)s seconds, then try again.", wait_ms // 1000 + 1
    )


def _offer_accounts(account_ids: tuple[int, ...], target: str) -> ResponseReturnValue:
    """Store the accounts' `fs_uniquifier`, which changes with the password, so that an old password no longer works."""
    identities = db.session.scalars(select(Account.fs_uniquifier).where(Account.id.in_(account_ids)))
    session[_CHOICE_SESSION_KEY] = {"identities": sorted(identities), "at": int(time.time()), "next": target}
    return redirect(url_for("sign_in_choice.choose"))


def _offered_accounts() -> list[Account]:
    choice: dict[str, Any] = session.get(_CHOICE_SESSION_KEY) or {}
    if not choice or time.time() - choice["at"] > _CHOICE_SECONDS:
        return []
    query = select(Account).where(Account.fs_uniquifier.in_(choice["identities"])).order_by(Account.id)
    return [account for account in db.session.scalars(query) if account.active]


def continue_sign_in(account_id: int, target: str, method: str = "password") -> ResponseReturnValue:
    """After the first factor, which `method` proved: ask for the second one, or sign in if none is needed."""
    if needs_second_step(account_id):
        return begin_second_step(account_id, target, method)
    return start_session(account_id, target, [method])


def start_session(account_id: int, target: str, methods: Sequence[str] = ("password",)) -> ResponseReturnValue:
    """Sign in. `methods` have proved every factor of the account."""
    is_known_device = account_id in known_devices.current_client().known_account_ids
    if record_sign_in(account_id, now_ms()) and not is_known_device:
        tell_by_email(db.session.get_one(Account, account_id), NEW_DEVICE)
    account = db.session.get_one(Account, account_id)
    session.pop(_CHOICE_SESSION_KEY, None)
    forget_second_step()
    login_user(account, remember=False, authn_via=list(methods))
    _log.info("session started", account_id=account_id, methods=" ".join(methods))
    response = cast(Response, redirect(target))
    known_devices.remember_device(response, account_id)
    keep_choice(response, account)
    return response


def _page(form: SignInForm) -> str:
    config = settings()
    ways = {
        "passwords": config.password_sign_in,
        "passkeys": current_site() if config.password_sign_in else None,
        "single_sign_on": config.single_sign_on,
    }
    return render_template("security/login_user.html", login_user_form=form, **ways)
