"""Send one claimed text in its slot. Each call has its own thread, and no transaction is open during it."""

import time
from collections.abc import Callable
from dataclasses import replace

import structlog

from portal.delivery.sms_attempt import ClaimedText, ReleasedText, SmsResult
from portal.delivery.sms_scheduling import MAX_SLOT_WAIT_US
from portal.gateways.outcomes import Outcome, Unknown
from portal.gateways.provider import MAX_IN_FLIGHT, SmsGateway

_NEARLY_SATURATED = MAX_IN_FLIGHT * 3 // 4
_log = structlog.get_logger(__name__)


class SmsCaller:
    """The calls of one run, which share what they learn about blocked sending numbers."""

    def __init__(self, gateway: SmsGateway, clock: Callable[[], int]) -> None:
        self._gateway = gateway
        self._clock = clock
        self._sender_blocked_at_us: dict[str, int] = {}
        self._active_calls: set[str] = set()

    def send(self, claimed: ClaimedText) -> SmsResult:
        """Wait for the text's slot and call the provider. Raises nothing: whatever happens, there is one result."""
        try:
            result = SmsResult(claimed, self._call_in_slot(claimed))
        except Exception as error:  # the text may have been sent: its result must not be lost
            _log.exception("unexpected error from the SMS gateway", attempt=claimed.attempt.id)
            result = SmsResult(claimed, Unknown(f"The call ended unexpectedly ({type(error).__name__})."))
        if result.blocks_sender:
            self._sender_blocked_at_us[claimed.attempt.sender] = self._clock()
        return result

    def _call_in_slot(self, claimed: ClaimedText) -> Outcome | ReleasedText:
        wait_us = claimed.slot_us - self._clock()
        if wait_us > MAX_SLOT_WAIT_US:
            return ReleasedText()
        time.sleep(max(0.0, wait_us / 1_000_000))
        is_saturated = len(self._active_calls) >= _NEARLY_SATURATED
        if claimed.is_too_late(self._clock(), is_saturated) or self._is_sender_blocked(claimed):
            return ReleasedText()
        self._active_calls.add(claimed.attempt.id)
        try:
            outcome = self._gateway.submit_message(claimed.credentials, claimed.sender, claimed.text)
            return outcome if claimed.is_test else replace(outcome, provider_response="")
        finally:
            self._active_calls.remove(claimed.attempt.id)

    def _is_sender_blocked(self, claimed: ClaimedText) -> bool:
        """Once the number is blocked, what was claimed before would only be rejected."""
        blocked_at_us = self._sender_blocked_at_us.get(claimed.attempt.sender, 0)
        return claimed.claimed_at_us <= blocked_at_us and not claimed.is_test
