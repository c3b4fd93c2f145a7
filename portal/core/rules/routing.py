"""Does a text go, and why not? The one decision, used by preview, fan-out, the moment of sending and history.

Values in, a decision out: no database, no clock (docs/consent-rules.md#one-decision).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class Reason(StrEnum):
    """Why no text goes, or not yet. The value is what rows hold; `words` is what people read."""

    FEATURE_OFF = "feature_off"
    TEMPLATE_EMAIL_ONLY = "template_email_only"
    NO_NUMBER = "no_number"
    NOT_OPTED_IN = "not_opted_in"
    STOPPED = "stopped"
    OTHER_ACCOUNT_RECEIVES = "other_account_receives"
    UNREACHABLE = "unreachable"
    NOT_CONFIGURED = "not_configured"
    QUIET_HOURS = "quiet_hours"
    """It goes, but later: it is night where the person is."""
    EXPIRED = "expired"
    DUPLICATE_WELCOME = "duplicate_welcome"
    """Of a welcome: the same account was welcomed at the number a short while ago, or often within a day."""
    MODE_CHANGED = "mode_changed"
    """Of a test text: what was asked for as a rehearsal is never sent for real, nor the other way round."""

    @property
    def label(self) -> str:
        return _REASON_LABELS[self]


_REASON_LABELS = {
    Reason.FEATURE_OFF: "Texts are switched off",
    Reason.TEMPLATE_EMAIL_ONLY: "This template goes by email only",
    Reason.NO_NUMBER: "No phone number on the account",
    Reason.NOT_OPTED_IN: "No number on the account is enabled for texts",
    Reason.STOPPED: "The number replied STOP; only START from that phone turns texts on again",
    Reason.OTHER_ACCOUNT_RECEIVES: "The number gets its texts for another account",
    Reason.UNREACHABLE: "The number cannot receive texts",
    Reason.NOT_CONFIGURED: "The gateway is not set up",
    Reason.QUIET_HOURS: "In quiet hours no text leaves that can wait",
    Reason.EXPIRED: "The text could not leave while it was still of use",
    Reason.DUPLICATE_WELCOME: "The same welcome went there a short while ago",
    Reason.MODE_CHANGED: "Test mode was switched before this test text had left, so it was not sent",
}


MAX_VALIDITY_SECONDS = 14_400
"""Four hours: what has not reached a phone by then reaches it as a surprise; Twilio would go on for ten."""
MIN_VALIDITY_MS = 10_000
"""Twilio advises against a `ValidityPeriod` of five seconds or less."""


class TextKind(StrEnum):
    """What a text is for: a communication's kind, wherever one of ours leaves as a text."""

    NOTIFICATION = "notification"
    INVITATION = "invitation"
    WELCOME = "welcome"
    TEST = "test"


class Mode(StrEnum):
    """What happens to texts now; every attempt records the one it was made under."""

    OFF = "off"
    LIVE = "live"
    OVERRIDE = "override"
    TEST = "test"
    TEST_OVERRIDE = "test_override"


SIMULATED_MODES = (Mode.TEST, Mode.TEST_OVERRIDE)
"""Modes in which nothing real leaves."""


@dataclass(frozen=True)
class RecipientPhone:
    """One number of the account. `receives_sms_elsewhere`: another account holds SMS for it."""

    phone: str
    receives_sms: bool
    receives_sms_elsewhere: bool = False
    is_opted_out: bool = False
    is_unreachable: bool = False


@dataclass(frozen=True)
class Switches:
    """The settings that matter here, as they stand at this moment."""

    feature_on: bool
    test_mode: bool = False
    override_number: str | None = None
    configured: bool = True

    @property
    def mode(self) -> Mode:
        if not self.feature_on:
            return Mode.OFF
        if self.test_mode:
            return Mode.TEST_OVERRIDE if self.override_number else Mode.TEST
        return Mode.OVERRIDE if self.override_number else Mode.LIVE


@dataclass(frozen=True)
class RoutingDecision:
    """`number` is whom the text is meant for, `sent_to` where it really goes (the override number, if one is set).

    A text that goes, but waits for the end of quiet hours, does so until `deferred_until_ms`.
    """

    will_send: bool
    reason: Reason | None = None
    phone: str = ""
    sent_to: str = ""
    deferred_until_ms: int | None = None


def route_text(
    switches: Switches,
    sms_enabled: bool,
    numbers: Sequence[RecipientPhone],
    quiet_hours_end_ms: int | None = None,
    sms_expires_at_ms: int | None = None,
) -> RoutingDecision:
    """Decide in this order: feature, template, person, number, hour (docs/consent-rules.md#one-decision).

    `quiet_until_ms` is given where quiet hours hold for this text now, `sms_expires_at_ms` where it loses its use.
    """
    if not switches.feature_on:
        return RoutingDecision(False, Reason.FEATURE_OFF)
    if not sms_enabled:
        return RoutingDecision(False, Reason.TEMPLATE_EMAIL_ONLY)
    if not numbers:
        return RoutingDecision(False, Reason.NO_NUMBER)
    holder = _choose_phone(numbers)
    if holder is None:
        return RoutingDecision(False, _no_recipient_reason(numbers))
    refusal = block_reason(holder)
    if refusal is not None:
        return RoutingDecision(False, refusal, holder.phone)
    if not switches.configured:
        return RoutingDecision(False, Reason.NOT_CONFIGURED, holder.phone)
    return _schedule(switches.override_number or holder.phone, holder, quiet_hours_end_ms, sms_expires_at_ms)


def _choose_phone(numbers: Sequence[RecipientPhone]) -> RecipientPhone | None:
    """Of those that hold SMS the first that nothing keeps texts from, else the first: its reason is the one told."""
    holders = [number for number in numbers if number.receives_sms]
    return next((number for number in holders if block_reason(number) is None), holders[0] if holders else None)


def _schedule(
    sent_to: str, holder: RecipientPhone, quiet_until_ms: int | None, sms_expires_at_ms: int | None
) -> RoutingDecision:
    if quiet_until_ms is None:
        return RoutingDecision(True, None, holder.phone, sent_to)
    if is_expired(sms_expires_at_ms, quiet_until_ms):
        return RoutingDecision(False, Reason.EXPIRED, holder.phone)
    return RoutingDecision(True, Reason.QUIET_HOURS, holder.phone, sent_to, quiet_until_ms)


def block_reason(number: RecipientPhone) -> Reason | None:
    """What keeps texts from a number that is enabled for them."""
    if number.is_opted_out:
        return Reason.STOPPED
    return Reason.UNREACHABLE if number.is_unreachable else None


def send_block_reason(
    kind: str, number: RecipientPhone, on_account: bool = True, too_late: bool = False
) -> Reason | None:
    """The decision once more at the moment of sending, for every kind of text: a STOP since then wins.

    `on_account` is whether the number still stands on the account. A test text goes to whom the sysadmin says.
    """
    if kind == TextKind.TEST:
        return Reason.STOPPED if number.is_opted_out else None
    if not on_account:
        return Reason.NO_NUMBER
    if kind != TextKind.INVITATION and not number.receives_sms:
        return block_reason(number) or Reason.NOT_OPTED_IN
    return block_reason(number) or (Reason.EXPIRED if too_late else None)


def crosses_test_mode(asked_mode: str | None, mode: Mode) -> bool:
    """Whether a text asked for as a rehearsal would now be real, or the other way round. None: in no mode."""
    return asked_mode is not None and (asked_mode in SIMULATED_MODES) != (mode in SIMULATED_MODES)


def is_expired(sms_expires_at_ms: int | None, at_ms: int) -> bool:
    """Whether a text that leaves about then would be of no use any more, or of none by the time it arrives."""
    return sms_expires_at_ms is not None and at_ms > sms_expires_at_ms - MIN_VALIDITY_MS


def validity_seconds(sms_expires_at_ms: int | None, at_ms: int) -> int:
    """How long Twilio may hold a text that leaves now: its `ValidityPeriod` (docs/twilio.md#validity-period)."""
    if sms_expires_at_ms is None:
        return MAX_VALIDITY_SECONDS
    return max(MIN_VALIDITY_MS // 1000, min(MAX_VALIDITY_SECONDS, (sms_expires_at_ms - at_ms) // 1000))


def _no_recipient_reason(numbers: Sequence[RecipientPhone]) -> Reason:
    if any(number.is_opted_out for number in numbers):
        return Reason.STOPPED
    if any(number.receives_sms_elsewhere for number in numbers):
        return Reason.OTHER_ACCOUNT_RECEIVES
    return Reason.NOT_OPTED_IN
