"""What a claim does not send, and why: a policy takes the waiting texts and returns those that may still be sent."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from portal.accounts.account_language import recipient_language
from portal.accounts.tables.phone_numbers import is_stopped
from portal.content.links import history_url
from portal.content.text_content import organisation_names
from portal.core.rules import routing
from portal.core.rules.delivery_status import DeliveryState
from portal.core.rules.lanes import Lane
from portal.core.rules.limits import quiet_hours
from portal.core.rules.limits.frequency_cap import is_subject_to_cap
from portal.core.rules.routing import Mode, Reason, TextKind
from portal.core.translation import use_language
from portal.delivery.rules.more_texts import TextCounts, with_more_texts
from portal.delivery.tables.ready_queue import WaitingEmail, WaitingText
from portal.messages.tables import attempts, lane_state, text_frequency, transitions, unsent_messages
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


def defer_for_quiet_hours(waiting: Sequence[WaitingText], route: SendRoute, now_ms: int) -> list[WaitingText]:
    """Defer texts in quiet hours, with the next of the lane. Answers, which have no send, stay ready."""
    ends_ms = quiet_hours_lookup(route.limits.quiet_hours, now_ms)
    quiet = {
        text.delivery_id: (text.kind, until_ms)
        for text in waiting
        if quiet_hours.is_subject_to_quiet_hours(text.kind, text.lane == Lane.URGENT, route.mode)
        and (until_ms := ends_ms(text.recipient.phone, text.timezone)) is not None
    }
    answers: dict[int, list[int]] = defaultdict(list)
    texts: dict[int, list[int]] = defaultdict(list)
    for delivery_id, (kind, until_ms) in quiet.items():
        (answers if kind == TextKind.ANSWER else texts)[until_ms].append(delivery_id)
    for delivery_id, phone, timezone in transitions.next_bulk_texts(_DEFER_BATCH_SIZE, now_ms) if texts else ():
        if delivery_id not in quiet and (until_ms := ends_ms(phone, timezone)) is not None:
            texts[until_ms].append(delivery_id)
    for until_ms, ids in texts.items():
        transitions.defer(ids, until_ms, now_ms)
    for until_ms, ids in answers.items():
        unsent_messages.postpone(ids, until_ms, reason=Reason.QUIET_HOURS)
    return [text for text in waiting if text.delivery_id not in quiet]


def skip_blocked(waiting: Sequence[WaitingText], route: SendRoute, now_ms: int) -> list[WaitingText]:
    """Decide again at the moment of sending: a STOP or a switched-off topic since the fan-out wins; so does the cap."""
    capped = _phones_with_cap(waiting, route)
    counts = TextCounts(route.limits.frequency_cap, text_frequency.recent_texts(capped.values(), now_ms))
    sendable, last, blocked = list[WaitingText](), list[WaitingText](), dict[int, Reason]()
    for text in waiting:
        is_capped, phone = text.delivery_id in capped, text.recipient.phone
        reason = _block_reason(text, route.mode, now_ms, is_capped and counts.is_full(phone))
        if reason is not None:
            blocked[text.delivery_id] = reason
            continue
        sendable.append(text)
        if is_capped:
            counts.add(phone)
            last += [text] if counts.is_full(phone) else []
    sendable = _name_the_rest(sendable, last, blocked, now_ms) if last else sendable
    for delivery_id, reason in blocked.items():
        transitions.skip(delivery_id, reason, now_ms)
    return sendable


def _phones_with_cap(waiting: Sequence[WaitingText], route: SendRoute) -> dict[int, str]:
    """Delivery id to phone number of the texts that the cap is about, which no other claim can decide meanwhile."""
    if route.limits.frequency_cap is None:
        return {}
    phones = {
        text.delivery_id: text.recipient.phone
        for text in waiting
        if is_subject_to_cap(text.kind, text.lane == Lane.URGENT, route.mode)
    }
    if phones:
        lane_state.lock_lane("sms", Lane.BULK)
    return phones


def _name_the_rest(
    sendable: Sequence[WaitingText], last: Sequence[WaitingText], blocked: Mapping[int, Reason], now_ms: int
) -> list[WaitingText]:
    """The last text that a number may get says how many more wait, unless it says so already or was tried before."""
    decided = {text.delivery_id for text in sendable}
    decided |= {delivery_id for delivery_id, reason in blocked.items() if reason is not Reason.FREQUENCY_CAP}
    waiting = text_frequency.waiting_texts_to([text.recipient.phone for text in last], now_ms)
    more = Counter(phone for phone, delivery_id in waiting if delivery_id not in decided)
    names = organisation_names()
    named = {text.delivery_id: text for text in last if not text.attempt_count and history_url() not in text.body}
    for delivery_id, text in named.items():
        if count := more[text.recipient.phone]:
            with use_language(recipient_language(text.language)):
                fitted = with_more_texts(text.body, count, history_url(), names)
            unsent_messages.change_text(delivery_id, fitted.text, fitted.size.segments)
            named[delivery_id] = replace(text, body=fitted.text, segments=fitted.size.segments)
    return [named.get(text.delivery_id, text) for text in sendable]


def _block_reason(text: WaitingText, mode: Mode, now_ms: int, is_beyond_cap: bool) -> Reason | None:
    if routing.crosses_test_mode(text.requested_mode, mode):
        return Reason.MODE_CHANGED
    is_expired = routing.is_expired(text.sms_expires_at_ms, now_ms)
    facts = text.is_on_account, is_expired, text.is_account_active, is_beyond_cap, text.is_topic_off
    return routing.send_block_reason(text.kind, text.recipient, *facts)


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
