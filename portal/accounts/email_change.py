"""Change one's own email address: a link at the new address confirms it, and the old address is told."""

from portal.accounts import smtputf8_check
from portal.accounts.account_editing import store_fields
from portal.accounts.one_time_links import make_token, read_token
from portal.accounts.sign_in_throttle import count_attempt, throttle_key
from portal.accounts.tables.accounts import Account
from portal.core.errors import InvalidInput
from portal.core.extensions import db
from portal.core.rules import text_input
from portal.core.rules.case_folding import fold_case
from portal.core.rules.email_address import address_problem
from portal.core.transaction import transaction
from portal.core.translation import gettext as _
from portal.core.translation import ngettext

_PURPOSE = "email change"
LINK_HOURS = 24


def request_email_change(account: Account, typed: str, now_ms: int) -> tuple[str, str]:
    """Return the new address and the token of its link. Raises `InvalidInput` for `email`.

    Whether somebody else has the address is not looked up, so the answer cannot tell: only who reads its mail can use
    the link, and several accounts may share an address (ADR 6).
    """
    email = text_input.clean_code(typed)
    problem = address_problem(email) or smtputf8_check.smtputf8_problem([email])
    if email == account.email:
        problem = _("This is your address already.")
    if problem:
        raise InvalidInput({"email": problem})
    keys = [throttle_key("email_change", account.id), throttle_key("email_change", "to", fold_case(email))]
    account_id, identity = account.id, account.fs_uniquifier
    if wait_ms := count_attempt(keys, [()], now_ms).retry_after_ms:
        minutes = wait_ms // 60_000 + 1
        message = ngettext("Wait %(num)s minute, then try again.", "Wait %(num)s minutes, then try again.", minutes)
        raise InvalidInput({"email": message})
    return email, make_token(_PURPOSE, {"account": account_id, "identity": identity, "to": email})


def requested_change(token: str) -> tuple[Account, str] | None:
    """The account and its new address; None if the link is too old, was used or was overtaken by another change."""
    values = read_token(_PURPOSE, token, LINK_HOURS * 3600) or {}
    account = db.session.get(Account, int(values.get("account", 0)))
    is_valid = account is not None and account.active and account.fs_uniquifier == values.get("identity")
    return (account, str(values["to"])) if account is not None and is_valid else None


def confirm_email_change(token: str, now_ms: int) -> tuple[int, str, str] | None:
    """Return the account, the old and the new address. None as `requested_change`.

    The new identity that comes with another address makes the link useless, and ends all sessions.
    """
    with transaction() as session:
        found = requested_change(token)
        if found is None:
            return None
        account, email = found
        session.refresh(account, with_for_update=True)
        if (current := requested_change(token)) is None:
            return None
        before = current[0].email
        store_fields(account, {"email": email}, account.id, now_ms)
        return account.id, before, email
