"""One attempt at a text: what its claim provides, how it ended, and what that says about the sending number."""

from dataclasses import dataclass

from portal.core.context import settings
from portal.core.rules import routing
from portal.core.rules.pacing import max_lateness_us
from portal.core.rules.routing import SIMULATED_MODES, TextKind
from portal.delivery.rules.circuit_breaker import Signal
from portal.delivery.tables.ready_queue import WaitingText
from portal.gateways.outcomes import AccountFault, NotSent, Outcome, Unknown, UnrecognizedError
from portal.gateways.provider import OutgoingText
from portal.gateways.rules.provider_codes import TOO_MANY_REQUESTS, Cooldown, explain_error_code
from portal.gateways.rules.provider_schema import Credentials, SenderSettings
from portal.messages.tables.attempts import NewAttempt
from portal.settings.rules.app_config import SendRoute

_TOO_MANY_REQUESTS = 429
_MAX_QUEUED_US = 800_000
"""A text that waits longer for a free request is claimed again: after a STOP none may be sent for over a second."""


@dataclass(frozen=True)
class ClaimedText:
    """Everything one attempt needs, read at one moment: no attempt mixes two configurations.

    A call that began after `lease_ends_us` might outlast the lease.
    """

    attempt: NewAttempt
    text: OutgoingText
    kind: str
    credentials: Credentials
    sender: SenderSettings
    claimed_at_us: int
    slot_us: int
    lease_ends_us: int

    @property
    def is_test(self) -> bool:
        return self.kind == TextKind.TEST

    @property
    def is_simulated(self) -> bool:
        return self.attempt.mode in SIMULATED_MODES

    def is_too_late(self, now_us: int, is_saturated: bool) -> bool:
        """Whether a call now would exceed the rate or the lease.

        If nearly all requests are busy, the lane is below its rate, so a late text does not crowd out others.
        """
        slot_ends_us = self.slot_us + max_lateness_us(self.sender.segments_per_second)
        return now_us > min(self.claimed_at_us + _MAX_QUEUED_US if is_saturated else slot_ends_us, self.lease_ends_us)


def claim_text(
    text: WaitingText, sent_to: str, route: SendRoute, sender: SenderSettings, slot_us: int, now_us: int
) -> ClaimedText:
    config, slot_ms = settings(), slot_us // 1000
    lease_until_ms = slot_ms + round(config.sms_lease_seconds * 1000)
    attempt = NewAttempt(
        delivery_id=text.delivery_id,
        mode=route.mode,
        account_sid=route.credentials.account_sid,
        sender=sender.sender_key,
        destination=sent_to,
        started_at_ms=now_us // 1000,
        slot_at_ms=slot_ms,
        lease_until_ms=lease_until_ms,
    )
    outgoing = OutgoingText(sent_to, text.body, attempt.id, routing.validity_seconds(text.sms_expires_at_ms, slot_ms))
    lease_ends_us = lease_until_ms * 1000 - round(config.sms_timeout_seconds * 1_000_000)
    return ClaimedText(attempt, outgoing, text.kind, route.credentials, sender, now_us, slot_us, lease_ends_us)


@dataclass(frozen=True)
class ReleasedText:
    """The text was not sent because its slot or lease had passed: it gets a new slot, without counting the attempt."""


@dataclass(frozen=True)
class SmsResult:
    claimed: ClaimedText
    outcome: Outcome | ReleasedText

    @property
    def attempt(self) -> NewAttempt:
        return self.claimed.attempt

    @property
    def signal(self) -> Signal:
        """Whether the provider answered; nothing if it was not asked or could not be reached."""
        if isinstance(self.outcome, ReleasedText) or self.was_unreachable:
            return Signal.NONE
        return Signal.FAILING if isinstance(self.outcome, Unknown) else Signal.WORKS

    @property
    def was_unreachable(self) -> bool:
        """Whether the provider was never reached: no connection, or a response from something in between."""
        return isinstance(self.outcome, NotSent) and not self.outcome.code

    @property
    def blocks_sender(self) -> bool:
        """Whether other texts claimed for the number would be rejected as well."""
        is_blocked = isinstance(self.outcome, AccountFault) or cooldown_after(self.outcome) is not None
        return is_blocked and not self.claimed.is_simulated

    @property
    def concerns_sender(self) -> bool:
        """Whether the outcome is a limit of the number, or a rejection that may be the number’s fault."""
        is_about_sender = isinstance(self.outcome, UnrecognizedError) or cooldown_after(self.outcome) is not None
        return is_about_sender and not self.claimed.is_simulated


def cooldown_after(outcome: Outcome | ReleasedText) -> Cooldown | None:
    """How long the number waits after this outcome; None if it is no limit. An unknown limit lasts minutes."""
    if not isinstance(outcome, NotSent) or outcome.code in ("", TOO_MANY_REQUESTS):
        return None
    is_unknown_limit = outcome.http_status == _TOO_MANY_REQUESTS
    return explain_error_code(outcome.code).cooldown or (Cooldown.FEW_MINUTES if is_unknown_limit else None)
