"""Send one claimed text in its slot. Each call has its own thread, and no transaction is open during it."""

import time
from collections.abc import Callable

import structlog

from portal.core.rules.routing import SIMULATED_MODES, TextKind
from portal.delivery.sms_claim import ClaimedText
from portal.delivery.sms_outcome import ReleasedText, SmsResult, blocks_sender
from portal.delivery.sms_scheduling import HORIZON_US
from portal.gateways.outcomes import Outcome, Unknown
from portal.gateways.provider import MAX_IN_FLIGHT, OutgoingText, SmsGateway

_MAX_SLOT_WAIT_US = HORIZON_US + 1_000_000
_MAX_QUEUED_US = 800_000
"""A text that waits longer for a free request is claimed again: after a STOP none may be sent for over a second."""
_NEARLY_SATURATED = MAX_IN_FLIGHT * 3 // 4

_log = structlog.get_logger(__name__)


class SmsCaller:
    """The calls of one run, which share what they learn about blocked sending numbers."""

    def __init__(self, gateway: SmsGateway, clock: Callable[[], int], timeout_ms: int) -> None:
        self._gateway = gateway
        self._clock = clock
        self._timeout_ms = timeout_ms
        self._sender_blocked_at_us: dict[str, int] = {}
        self._active_calls: set[str] = set()

    def send(self, claimed: ClaimedText) -> SmsResult:
        """Wait for the text's slot and call the provider. Raises nothing: whatever happens, there is one result."""
        try:
            outcome = self._call_provider(claimed)
        except Exception as error:  # the text may have been sent: its result must not be lost
            _log.exception("unexpected error from the SMS gateway", attempt=claimed.attempt_id)
            outcome = Unknown(f"The call ended unexpectedly ({type(error).__name__}).")
        mode, sender_key = claimed.mode, claimed.sender.sender_key
        if blocks_sender(outcome) and mode not in SIMULATED_MODES:
            self._sender_blocked_at_us[sender_key] = self._clock()
        return SmsResult(claimed.attempt_id, claimed.delivery_id, mode, sender_key, outcome, claimed.kind)

    def _call_provider(self, claimed: ClaimedText) -> Outcome | ReleasedText:
        wait_us = claimed.slot_us - self._clock()
        if wait_us > _MAX_SLOT_WAIT_US:
            return ReleasedText()
        time.sleep(max(0.0, wait_us / 1_000_000))
        if self._is_too_late(claimed):
            return ReleasedText()
        text = OutgoingText(claimed.sent_to, claimed.body, claimed.attempt_id, claimed.validity_seconds)
        self._active_calls.add(claimed.attempt_id)
        try:
            return self._gateway.submit_message(claimed.credentials, claimed.sender, text)
        finally:
            self._active_calls.remove(claimed.attempt_id)

    def _is_too_late(self, claimed: ClaimedText) -> bool:
        """If nearly all requests are busy, the lane is below its rate, so a late text does not crowd out others."""
        now_us, claimed_us = self._clock(), claimed.claimed_at_us
        is_saturated = len(self._active_calls) >= _NEARLY_SATURATED
        latest_us = claimed_us + _MAX_QUEUED_US if is_saturated else claimed.slot_us + _max_lateness_us(claimed)
        is_lease_ending = now_us // 1000 > claimed.lease_until_ms - self._timeout_ms
        # once the number is blocked, what was claimed before would only be rejected
        was_blocked = claimed_us <= self._sender_blocked_at_us.get(claimed.sender.sender_key, 0)
        return now_us > latest_us or is_lease_ending or (was_blocked and claimed.kind != TextKind.TEST)


def _max_lateness_us(claimed: ClaimedText) -> int:
    """A text that is later than this takes a new slot: sending it now would exceed the rate in that second."""
    return round(max(10_000.0, min(200_000.0, 1_000_000 / claimed.sender.segments_per_second)))
