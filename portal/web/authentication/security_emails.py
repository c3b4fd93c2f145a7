"""Emails that tell a person what happened to the sign-in of their account, so that they notice what was not them."""

from collections.abc import Callable
from typing import Any

from flask import request

from portal.accounts.tables.accounts import Account
from portal.authentication.rules.devices import device_of
from portal.core.clock import now_ms
from portal.core.rules.time_zones import timezone_or_utc
from portal.core.translation import N_, lazy_gettext
from portal.web.account.account_emails import recipient_of, run_after_response, send_account_email
from portal.web.time_display import dated_time

NEW_DEVICE = N_("Sign-in on a new device")
RECOVERY_CODE_USED = N_("A recovery code was used")
RECOVERY_CODES_RENEWED = N_("You have new recovery codes")
TOTP_ENROLLED = N_("An authenticator app was set up")
PASSKEY_ADDED = N_("A passkey was added")
PASSKEY_REMOVED = N_("A passkey was removed")
SECOND_FACTOR_REMOVED = N_("Your second factor was removed")
_SENTENCES = {
    NEW_DEVICE: N_("Somebody signed in to account %(account)s on a device that is new to us."),
    RECOVERY_CODE_USED: N_("Somebody signed in to account %(account)s with a recovery code."),
    RECOVERY_CODES_RENEWED: N_("Account %(account)s has new recovery codes. The codes before no longer work."),
    TOTP_ENROLLED: N_("Signing in to account %(account)s now takes a code of an authenticator app."),
    PASSKEY_ADDED: N_("Account %(account)s has a new passkey, which signs in without a password."),
    PASSKEY_REMOVED: N_("A passkey of account %(account)s was removed. It signs nobody in any more."),
    SECOND_FACTOR_REMOVED: N_("Signing in to account %(account)s takes only the password now."),
}
"""By the subject of the email."""


def tell_by_email(account: Account, subject: str) -> None:
    """`subject` is one of those above. The email leaves after the response, with where the request came from."""
    where = {"browser": device_of(request.user_agent.string).name, "address": request.remote_addr or ""}
    run_after_response(security_email(account, subject, now_ms(), **where))


def security_email(
    account: Account, subject: str, at_ms: int, browser: str = "", address: str = ""
) -> Callable[[], object]:
    """Sends the email, in the language of the account and the time of its zone."""
    recipient, zone = recipient_of(account), timezone_or_utc(account.timezone)
    sentence = lazy_gettext(_SENTENCES[subject], account=account.external_id)
    context: dict[str, Any] = {"heading": lazy_gettext(subject), "sentence": sentence}
    context |= {"when": lambda: dated_time(at_ms, zone), "browser": browser, "address": address}
    return lambda: send_account_email("security_notice", recipient, subject, **context)
