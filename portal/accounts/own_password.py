"""Change one's own password, with the current one."""

from portal.accounts.passwords import password_matches, password_rule_problem, reset_password_by_link
from portal.accounts.sign_in_throttle import count_attempt, throttle_key
from portal.accounts.tables.accounts import Account
from portal.core.errors import InvalidInput
from portal.core.translation import gettext as _
from portal.core.translation import ngettext


def change_password(account: Account, current: str, new: str, now_ms: int) -> None:
    """Ends every session. Raises `InvalidInput` for `current` or `password`, or `Busy`."""
    account_id, identity, stored = account.id, account.fs_uniquifier, account.password
    personal = (account.name, account.email, account.external_id)
    if wait_ms := count_attempt([throttle_key("own_password", account_id)], [()], now_ms).retry_after_ms:
        seconds = wait_ms // 1000 + 1
        message = ngettext("Wait %(num)s second, then try again.", "Wait %(num)s seconds, then try again.", seconds)
        raise InvalidInput({"current": message})
    if not password_matches(current, stored):
        raise InvalidInput({"current": _("This is not your current password.")})
    if problem := password_rule_problem(new, *personal):
        raise InvalidInput({"password": problem})
    if not reset_password_by_link(account_id, identity, new, now_ms):
        raise InvalidInput({"current": _("Your password was changed in the meantime. Sign in again.")})
