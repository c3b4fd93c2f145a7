"""What answers and receipts say of the number that sends: it stands still, or it rests for a limit that is used up.

All of it is kept with the number's row in the database, so it is one count for all workers, and outlasts them. Inside a
transaction, after the ledger was locked where it is.
"""

import re

from portal.core.extensions import db
from portal.delivery.rules import unexplained_rejections
from portal.delivery.rules.provider_quotas import cooldown_ends_ms
from portal.gateways.rules.provider_codes import Cooldown, explain_error_code
from portal.messages.tables.communications import Attempt
from portal.settings import app_settings
from portal.settings.tables.sending_numbers import (
    SendingNumber,
    lock_all_senders,
    lock_senders_by_key,
    pause_sender,
    senders_with_unrecognized,
    set_sender_limit,
)

_NUMBERS = re.compile(r"\+?[0-9][0-9 ().-]{5,}[0-9]")
_MAX_MESSAGE_LENGTH = 200


def pause_numbers(sender: str, code: str, words: str, tried_at_ms: int, now_ms: int) -> None:
    """The number stands still. Of a fault of the account all do: what they handed in until each is told is lost."""
    for number in _affected_senders(sender, code):
        pause_sender(number, f"{code}: {words}", tried_at_ms, now_ms)


def apply_quota_limit(sender: str, code: str, rest: Cooldown, tried_at_ms: int, now_ms: int) -> None:
    """Nothing leaves from the number until the limit is whole again, nor from the others where it is the account's."""
    for number, row in _affected_senders(sender, code).items():
        until_ms = cooldown_ends_ms(rest, tried_at_ms, row.limit_resets_at_ms if row.limit_code == code else 0)
        if until_ms > now_ms:
            set_sender_limit(number, code, until_ms, tried_at_ms)


def record_refusal(attempt: Attempt, code: str, words: str, now_ms: int) -> None:
    """A call was refused, and nobody knows why: of several people in a row the fault is not theirs."""
    _record_unexplained(attempt, "unrecognized_rejections", code, words, now_ms)


def record_failure(attempt: Attempt, code: str, words: str, now_ms: int) -> None:
    """The same of a text that was taken and failed."""
    _record_unexplained(attempt, "unrecognized_failures", code, words, now_ms)


def _record_unexplained(attempt: Attempt, name: str, code: str, words: str, now_ms: int) -> None:
    """Of all numbers from which nothing has passed since: an account that is refused is so from each of them."""
    lock_all_senders()
    row = lock_senders_by_key([attempt.sender])[attempt.sender]
    if attempt.started_at_ms <= (row.resumed_at_ms or 0):
        return
    setattr(row, name, unexplained_rejections.add_recipient(getattr(row, name), attempt.destination))
    db.session.flush()
    rows = senders_with_unrecognized(name)
    if unexplained_rejections.is_pause_threshold_reached(*(getattr(one, name) for one in rows)):
        for one in rows:
            pause_sender(one.number, f"{code}: {_pause_reason(words)}", attempt.started_at_ms, now_ms)


def _pause_reason(words: str) -> str:
    """Twilio's words without the numbers that they may quote."""
    said = _NUMBERS.sub("•••", words).strip()[:_MAX_MESSAGE_LENGTH].rstrip(".")
    people = f"Texts to {unexplained_rejections.PAUSE_THRESHOLD} different people in a row were refused, and the portal does not know why."
    return f"{people} Twilio’s words: {said}." if said else people


def _affected_senders(sender: str, code: str) -> dict[str, SendingNumber]:
    live = app_settings.live_gateway().sender
    others = (
        live.sender_assignment.sender_keys
        if live and explain_error_code(code).is_account_fault and sender in live.sender_assignment.sender_keys
        else ()
    )
    lock_all_senders()
    return lock_senders_by_key([sender, *others])
