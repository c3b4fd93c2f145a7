"""What a claim does not send, and why: a policy takes the waiting texts and returns those that may still be sent."""

from collections.abc import Sequence
from typing import TypeVar

from portal.accounts.tables.phone_numbers import is_stopped
from portal.core.rules import quiet_hours, routing
from portal.core.rules.delivery_status import DeliveryState
from portal.core.rules.lanes import Lane
from portal.core.rules.routing import Mode, Reason, TextKind
from portal.delivery.tables.ready_queue import WaitingEmail, WaitingText
from portal.messages.tables import attempts, transitions, unsent_messages
from portal.sends.deferred_texts import quiet_hours_lookup
from portal.settings.rules.app_config import SendRoute

_DUPLICATE_WAIT_MS = 2_000
_DEFER_BATCH_SIZE = 250
"""Texts that one claim defers: this locks SQLite for some 10 ms."""
_Waiting = TypeVar("_Waiting", WaitingText, WaitingEmail)


def apply_send_states(waiting: Sequence[_Waiting], now_ms: int) -> list[_Waiting]:
    """Pause or cancel messages whose send was paused or cancelled: that takes effect at once."""
    for state in (DeliveryState.PAUSED, DeliveryState.CANCELED):
        ids = [message.delivery_id for message in waiting if message.target_state == state]
        if ids:
            transitions.follow_send(ids, state, now_ms)
    return [message for message in waiting if message.target_state == DeliveryState.READY]


def skip_deactivated(waiting: Sequence[WaitingEmail], now_ms: int) -> list[WaitingEmail]:
    """Decide again at the moment of sending, as `skip_blocked` does for texts."""
    for email in waiting:
        if not email.is_account_active:
            transitions.skip(email.delivery_id, Reason.ACCOUNT_DEACTIVATED, now_ms)
    return [email for email in waiting if email.is_account_active]


def defer_for_quiet_hours(waiting: Sequence[WaitingText], mode: Mode, now_ms: int) -> list[WaitingText]:
    """Defer texts in quiet hours, with a batch of the same time zone. Answers, which have no send, stay ready."""
    ends_ms = quiet_hours_lookup(now_ms)
    deferred = [
        text
        for text in waiting
        if quiet_hours.is_subject_to_quiet_hours(text.kind, text.lane == Lane.URGENT, mode)
        and ends_ms(text.timezone) is not None
    ]
    for zone in {text.timezone for text in deferred}:
        until_ms = ends_ms(zone) or now_ms
        transitions.defer(zone, until_ms, _DEFER_BATCH_SIZE, now_ms)
        answers = [text.delivery_id for text in deferred if (text.kind, text.timezone) == (TextKind.ANSWER, zone)]
        unsent_messages.postpone(answers, until_ms, reason=Reason.QUIET_HOURS)
    deferred_ids = {text.delivery_id for text in deferred}
    return [text for text in waiting if text.delivery_id not in deferred_ids]


def skip_blocked(waiting: Sequence[WaitingText], mode: Mode, now_ms: int) -> list[WaitingText]:
    """Decide again at the moment of sending: a STOP since the fan-out wins."""
    blocked = {text.delivery_id: _block_reason(text, mode, now_ms) for text in waiting}
    for delivery_id, reason in blocked.items():
        if reason is not None:
            transitions.skip(delivery_id, reason, now_ms)
    return [text for text in waiting if blocked[text.delivery_id] is None]


def _block_reason(text: WaitingText, mode: Mode, now_ms: int) -> Reason | None:
    if routing.crosses_test_mode(text.requested_mode, mode):
        return Reason.MODE_CHANGED
    is_expired = routing.is_expired(text.sms_expires_at_ms, now_ms)
    return routing.send_block_reason(text.kind, text.recipient, text.is_on_account, is_expired, text.is_account_active)


def postpone_duplicates(waiting: Sequence[WaitingText], route: SendRoute, now_ms: int) -> list[WaitingText]:
    """Keep one of several equal texts in flight: without a link, only phone and words identify a text."""
    linkless = [text for text in waiting if text.kind != TextKind.NOTIFICATION]
    if not linkless:
        return list(waiting)
    phones = [destination_for(text, route) for text in linkless]
    in_flight = attempts.duplicates_in_flight(phones, route.credentials.account_sid)
    postponed: list[int] = []
    for phone, text in zip(phones, linkless, strict=True):
        key = (phone, text.body)
        if key in in_flight:
            postponed.append(text.delivery_id)
        in_flight.add(key)
    unsent_messages.postpone(postponed, now_ms + _DUPLICATE_WAIT_MS)
    return [text for text in waiting if text.delivery_id not in postponed]


def is_override_opted_out(route: SendRoute) -> bool:
    """No text goes to an override number that replied STOP."""
    return is_stopped(route.override_number)


def destination_for(text: WaitingText, route: SendRoute) -> str:
    return route.override_number or text.recipient.phone
