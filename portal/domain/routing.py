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
    HELD_BY_OTHER = "held_by_other"
    UNREACHABLE = "unreachable"
    NOT_CONFIGURED = "not_configured"
    QUIET_HOURS = "quiet_hours"
    """It goes, but later: it is night where the person is."""
    TOO_LATE = "too_late"
    REPEATED = "repeated"
    """Of a welcome: the same account was welcomed at the number a short while ago, or often within a day."""
    MODE_CHANGED = "mode_changed"
    """Of a test text: what was asked for as a rehearsal is never sent for real, nor the other way round."""

    @property
    def words(self) -> str:
        return _WORDS[self]


_WORDS = {
    Reason.FEATURE_OFF: "Texts are switched off",
    Reason.TEMPLATE_EMAIL_ONLY: "This template goes by email only",
    Reason.NO_NUMBER: "No phone number on the account",
    Reason.NOT_OPTED_IN: "No number on the account is enabled for texts",
    Reason.STOPPED: "The number replied STOP; only START from that phone turns texts on again",
    Reason.HELD_BY_OTHER: "The number gets its texts for another account",
    Reason.UNREACHABLE: "The number cannot receive texts",
    Reason.NOT_CONFIGURED: "The gateway is not set up",
    Reason.QUIET_HOURS: "In quiet hours no text leaves that can wait",
    Reason.TOO_LATE: "The text could not leave while it was still of use",
    Reason.REPEATED: "The same welcome went there a short while ago",
    Reason.MODE_CHANGED: "Test mode was switched before this test text had left, so it was not sent",
}


LONGEST_HELD_SECONDS = 14_400
"""Four hours: what has not reached a phone by then reaches it as a surprise; Twilio would go on for ten."""
LEAST_USE_MS = 10_000
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
class Number:
    """One number of the account. `held_elsewhere`: another account holds SMS for it."""

    number: str
    receives_sms: bool
    held_elsewhere: bool = False
    stopped: bool = False
    unreachable: bool = False


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
class Decision:
    """`number` is whom the text is meant for, `sent_to` where it really goes (the override number, if one is set).

    A text that goes, but waits for the end of quiet hours, does so until `waits_until_ms`.
    """

    goes: bool
    reason: Reason | None = None
    number: str = ""
    sent_to: str = ""
    waits_until_ms: int | None = None


def decide(
    switches: Switches,
    sms_enabled: bool,
    numbers: Sequence[Number],
    quiet_until_ms: int | None = None,
    sms_expires_at_ms: int | None = None,
) -> Decision:
    """Decide in this order: feature, template, person, number, hour (docs/consent-rules.md#one-decision).

    `quiet_until_ms` is given where quiet hours hold for this text now, `sms_expires_at_ms` where it loses its use.
    """
    if not switches.feature_on:
        return Decision(False, Reason.FEATURE_OFF)
    if not sms_enabled:
        return Decision(False, Reason.TEMPLATE_EMAIL_ONLY)
    if not numbers:
        return Decision(False, Reason.NO_NUMBER)
    holder = _whom_to_text(numbers)
    if holder is None:
        return Decision(False, _why_none_holds(numbers))
    refusal = why_not(holder)
    if refusal is not None:
        return Decision(False, refusal, holder.number)
    if not switches.configured:
        return Decision(False, Reason.NOT_CONFIGURED, holder.number)
    return _when(switches.override_number or holder.number, holder, quiet_until_ms, sms_expires_at_ms)


def _whom_to_text(numbers: Sequence[Number]) -> Number | None:
    """Of those that hold SMS the first that nothing keeps texts from, else the first: its reason is the one told."""
    holders = [number for number in numbers if number.receives_sms]
    return next((number for number in holders if why_not(number) is None), holders[0] if holders else None)


def _when(sent_to: str, holder: Number, quiet_until_ms: int | None, sms_expires_at_ms: int | None) -> Decision:
    if quiet_until_ms is None:
        return Decision(True, None, holder.number, sent_to)
    if is_past(sms_expires_at_ms, quiet_until_ms):
        return Decision(False, Reason.TOO_LATE, holder.number)
    return Decision(True, Reason.QUIET_HOURS, holder.number, sent_to, quiet_until_ms)


def why_not(number: Number) -> Reason | None:
    """What keeps texts from a number that is enabled for them."""
    if number.stopped:
        return Reason.STOPPED
    return Reason.UNREACHABLE if number.unreachable else None


def why_not_now(kind: str, number: Number, on_account: bool = True, too_late: bool = False) -> Reason | None:
    """The decision once more at the moment of sending, for every kind of text: a STOP since then wins.

    `on_account` is whether the number still stands on the account. A test text goes to whom the sysadmin says.
    """
    if kind == TextKind.TEST:
        return Reason.STOPPED if number.stopped else None
    if not on_account:
        return Reason.NO_NUMBER
    if kind != TextKind.INVITATION and not number.receives_sms:
        return why_not(number) or Reason.NOT_OPTED_IN
    return why_not(number) or (Reason.TOO_LATE if too_late else None)


def changes_sides(asked_mode: str | None, mode: Mode) -> bool:
    """Whether a text asked for as a rehearsal would now be real, or the other way round. None: in no mode."""
    return asked_mode is not None and (asked_mode in SIMULATED_MODES) != (mode in SIMULATED_MODES)


def is_past(sms_expires_at_ms: int | None, at_ms: int) -> bool:
    """Whether a text that leaves about then would be of no use any more, or of none by the time it arrives."""
    return sms_expires_at_ms is not None and at_ms > sms_expires_at_ms - LEAST_USE_MS


def validity_seconds(sms_expires_at_ms: int | None, at_ms: int) -> int:
    """How long Twilio may hold a text that leaves now: its `ValidityPeriod` (docs/twilio.md#validity-period)."""
    if sms_expires_at_ms is None:
        return LONGEST_HELD_SECONDS
    return max(LEAST_USE_MS // 1000, min(LONGEST_HELD_SECONDS, (sms_expires_at_ms - at_ms) // 1000))


def _why_none_holds(numbers: Sequence[Number]) -> Reason:
    if any(number.stopped for number in numbers):
        return Reason.STOPPED
    if any(number.held_elsewhere for number in numbers):
        return Reason.HELD_BY_OTHER
    return Reason.NOT_OPTED_IN
