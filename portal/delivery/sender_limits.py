"""Pause a sending number, or make it wait for a provider limit, after what responses and receipts say about it.

Call inside a transaction, after locking the consent ledger if that is needed.
"""

import re

from portal.core.extensions import db
from portal.delivery.rules import unexplained_rejections
from portal.delivery.rules.provider_quotas import cooldown_ends_ms
from portal.gateways.rules.provider_codes import Cooldown, explain_error_code
from portal.messages.tables.communications import Attempt
from portal.settings import app_settings
from portal.settings.tables import sending_numbers
from portal.settings.tables.sending_numbers import SendingNumber, lock_all_senders, lock_senders_by_key, pause_sender

_PHONES = re.compile(r"\+?[0-9][0-9 ().-]{5,}[0-9]")
_MAX_MESSAGE_LENGTH = 200


def pause_numbers(sender: str, code: str, message: str, attempted_at_ms: int, now_ms: int) -> None:
    """Pause the number, or all of them if the account is at fault: texts submitted until then would be lost."""
    for number in _affected_senders(sender, code):
        pause_sender(number, f"{code}: {message}", attempted_at_ms, now_ms)


def apply_quota_limit(sender: str, code: str, cooldown: Cooldown, attempted_at_ms: int, now_ms: int) -> None:
    """Hold the number until the limit resets, and the others too if the limit is the account’s."""
    for number, row in _affected_senders(sender, code).items():
        until_ms = cooldown_ends_ms(cooldown, attempted_at_ms, row.limit_resets_at_ms if row.limit_code == code else 0)
        if until_ms > now_ms:
            sending_numbers.set_sender_limit(number, code, until_ms, attempted_at_ms)


def record_unexplained(attempt: Attempt, column: str, code: str, message: str, now_ms: int) -> None:
    """Count an unexplained rejection or failure; after several recipients in a row, pause the number.

    `column` is `unrecognized_rejections` or `unrecognized_failures`. All numbers from which nothing has got through
    count together: a rejected account is rejected from each of them.
    """
    lock_all_senders()
    row = lock_senders_by_key([attempt.sender])[attempt.sender]
    if attempt.started_at_ms <= (row.resumed_at_ms or 0):
        return
    setattr(row, column, unexplained_rejections.add_recipient(getattr(row, column), attempt.destination))
    db.session.flush()
    rows = sending_numbers.senders_with_unrecognized(column)
    if unexplained_rejections.is_pause_threshold_reached(*(getattr(sender, column) for sender in rows)):
        for sender in rows:
            pause_sender(sender.number, f"{code}: {_pause_reason(message)}", attempt.started_at_ms, now_ms)


def _pause_reason(message: str) -> str:
    """Twilio’s message, with any phone numbers in it masked."""
    masked = _PHONES.sub("•••", message).strip()[:_MAX_MESSAGE_LENGTH].rstrip(".")
    count = unexplained_rejections.PAUSE_THRESHOLD
    reason = f"Texts to {count} different people in a row were refused for an unknown reason."
    return f"{reason} Twilio said: {masked}." if masked else reason


def _affected_senders(sender: str, code: str) -> dict[str, SendingNumber]:
    live = app_settings.live_gateway().sender
    live_keys = live.sender_assignment.sender_keys if live else ()
    are_all_affected = explain_error_code(code).is_account_fault and sender in live_keys
    lock_all_senders()
    return lock_senders_by_key([sender, *(live_keys if are_all_affected else ())])
