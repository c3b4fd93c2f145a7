"""Decide whether to send a text, and if not, why (docs/consent-rules.md#one-decision).

Preview, fan-out, the final check before sending, and history all use this decision.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from portal.core.translation import N_


class Reason(StrEnum):
    """Why a text is not sent, or not yet. Rows store the value; people read `label`."""

    FEATURE_OFF = "feature_off"
    TEMPLATE_EMAIL_ONLY = "template_email_only"
    NO_NUMBER = "no_number"
    NOT_OPTED_IN = "not_opted_in"
    STOPPED = "stopped"
    OTHER_ACCOUNT_RECEIVES = "other_account_receives"
    UNREACHABLE = "unreachable"
    NUMBER_DEACTIVATED = "number_deactivated"
    """The carrier has ended its service; it may have a new owner (docs/consent-rules.md#deactivated-numbers)."""
    TOPIC_OFF = "topic_off"
    """The account has switched off texts about the template's topic."""
    NOT_CONFIGURED = "not_configured"
    QUIET_HOURS = "quiet_hours"
    """The text is deferred, because it is night for the recipient."""
    FREQUENCY_CAP = "frequency_cap"
    """The phone number has had as many texts in 24 hours as one may get."""
    EXPIRED = "expired"
    DUPLICATE_WELCOME = "duplicate_welcome"
    """The account was welcomed on this phone number a short while ago, or several times within a day."""
    ACCOUNT_DEACTIVATED = "account_deactivated"
    """Neither texts nor emails go to a deactivated account."""
    MODE_CHANGED = "mode_changed"
    """Test mode changed after a test text was requested: a simulated text must never become a real one."""

    @property
    def label(self) -> str:
        return _REASON_LABELS[self]


_REASON_LABELS = {
    Reason.FEATURE_OFF: N_("Texts are switched off"),
    Reason.TEMPLATE_EMAIL_ONLY: N_("This template is sent by email only"),
    Reason.NO_NUMBER: N_("No phone number on the account"),
    Reason.NOT_OPTED_IN: N_("No phone number on the account is enabled for texts"),
    Reason.STOPPED: N_("The phone number is opted out; only START from that phone turns texts on again"),
    Reason.OTHER_ACCOUNT_RECEIVES: N_("Texts to this phone number go to another account"),
    Reason.UNREACHABLE: N_("The phone number cannot receive texts"),
    Reason.NUMBER_DEACTIVATED: N_("The carrier reports that the phone number is no longer in service"),
    Reason.TOPIC_OFF: N_("Texts about this topic are switched off for the account"),
    Reason.NOT_CONFIGURED: N_("The SMS gateway is not set up"),
    Reason.QUIET_HOURS: N_("Waiting for the end of quiet hours"),
    Reason.FREQUENCY_CAP: N_("The phone number has had as many texts within 24 hours as it may get"),
    Reason.EXPIRED: N_("The text expired before it could be sent"),
    Reason.DUPLICATE_WELCOME: N_("The same welcome was sent a short while ago"),
    Reason.ACCOUNT_DEACTIVATED: N_("The account is deactivated"),
    Reason.MODE_CHANGED: N_("Test mode changed before this test text was sent"),
}


DEACTIVATED_CODE = "deactivated"
"""In place of an error code of an unreachable number (docs/twilio.md#deactivated-numbers)."""
MAX_VALIDITY_SECONDS = 14_400
"""Four hours: a notification that arrives later is confusing. Twilio's own limit is ten hours."""
MIN_VALIDITY_MS = 10_000
"""Twilio advises against a `ValidityPeriod` of five seconds or less."""


class TextKind(StrEnum):
    """The kind of a communication that is sent as a text."""

    NOTIFICATION = "notification"
    INVITATION = "invitation"
    WELCOME = "welcome"
    TEST = "test"
    ANSWER = "answer"
    """An administrator answers a text from the phone, which may be on no account."""


class Mode(StrEnum):
    """What happens to texts; every attempt records the mode it was made in."""

    OFF = "off"
    LIVE = "live"
    OVERRIDE = "override"
    TEST = "test"
    TEST_OVERRIDE = "test_override"


SIMULATED_MODES = (Mode.TEST, Mode.TEST_OVERRIDE)
"""Modes in which nothing reaches a phone."""


class RecipientPhone(NamedTuple):
    """A phone number on the account. `receives_sms_elsewhere`: it receives texts for another account.

    Like the decision, a tuple: a fan-out makes 100,000, and a frozen dataclass takes several times as long.
    """

    phone: str
    receives_sms: bool
    receives_sms_elsewhere: bool = False
    is_opted_out: bool = False
    is_unreachable: bool = False
    is_deactivated: bool = False


@dataclass(frozen=True)
class Switches:
    """The current settings that affect routing."""

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


class RoutingDecision(NamedTuple):
    """`phone` is the recipient's, `sent_to` where the text really goes (the override number, if one is set).

    With `deferred_until_ms`, the text waits for the end of quiet hours.
    """

    will_send: bool
    reason: Reason | None = None
    phone: str = ""
    sent_to: str = ""
    deferred_until_ms: int | None = None


def route_text(
    switches: Switches,
    sms_enabled: bool,
    phones: Sequence[RecipientPhone],
    quiet_hours_end_ms: int | None = None,
    sms_expires_at_ms: int | None = None,
    is_beyond_cap: bool = False,
    is_topic_off: bool = False,
) -> RoutingDecision:
    """Decide in the order of docs/consent-rules.md#one-decision: feature, template, person, number, topic, hour, cap.

    `quiet_hours_end_ms` is given if quiet hours apply to this text now, `sms_expires_at_ms` if it expires.
    `is_beyond_cap`: by then the phone number will have had as many texts as it may get. `is_topic_off`: the account has
    switched off texts about the topic of this template, which is not urgent.
    """
    if not switches.feature_on:
        return RoutingDecision(False, Reason.FEATURE_OFF)
    if not sms_enabled:
        return RoutingDecision(False, Reason.TEMPLATE_EMAIL_ONLY)
    if not phones:
        return RoutingDecision(False, Reason.NO_NUMBER)
    chosen = choose_phone(phones)
    if chosen is None:
        return RoutingDecision(False, _no_recipient_reason(phones))
    blocked = block_reason(chosen)
    if blocked is not None:
        return RoutingDecision(False, blocked, chosen.phone)
    if is_topic_off:
        return RoutingDecision(False, Reason.TOPIC_OFF, chosen.phone)
    if not switches.configured:
        return RoutingDecision(False, Reason.NOT_CONFIGURED, chosen.phone)
    decision = _schedule(switches.override_number or chosen.phone, chosen, quiet_hours_end_ms, sms_expires_at_ms)
    is_capped = decision.will_send and is_beyond_cap
    return RoutingDecision(False, Reason.FREQUENCY_CAP, chosen.phone) if is_capped else decision


def choose_phone(phones: Sequence[RecipientPhone]) -> RecipientPhone | None:
    """The first enabled phone that is not blocked, else the first enabled one, whose block reason is reported."""
    first_enabled = None
    for phone in phones:
        if phone.receives_sms:
            if block_reason(phone) is None:
                return phone
            first_enabled = first_enabled or phone
    return first_enabled


def _schedule(
    sent_to: str, chosen: RecipientPhone, quiet_until_ms: int | None, sms_expires_at_ms: int | None
) -> RoutingDecision:
    if quiet_until_ms is None:
        return RoutingDecision(True, None, chosen.phone, sent_to)
    if is_expired(sms_expires_at_ms, quiet_until_ms):
        return RoutingDecision(False, Reason.EXPIRED, chosen.phone)
    return RoutingDecision(True, Reason.QUIET_HOURS, chosen.phone, sent_to, quiet_until_ms)


def block_reason(phone: RecipientPhone) -> Reason | None:
    """Why a phone that is enabled for texts gets none."""
    if phone.is_opted_out:
        return Reason.STOPPED
    if phone.is_deactivated:
        return Reason.NUMBER_DEACTIVATED
    return Reason.UNREACHABLE if phone.is_unreachable else None


def send_block_reason(
    kind: str,
    phone: RecipientPhone,
    on_account: bool = True,
    too_late: bool = False,
    is_active: bool = True,
    is_beyond_cap: bool = False,
    is_topic_off: bool = False,
) -> Reason | None:
    """The final check before sending, for every kind of text: a STOP in the meantime wins.

    `on_account`: the phone number is still on the account, which `is_active`. `is_beyond_cap` and
    `is_topic_off` are known for notifications only. A test text may go to any number that has not opted out, and an
    answer to any that can get texts as well.
    """
    if not is_active:
        return Reason.ACCOUNT_DEACTIVATED
    if kind == TextKind.TEST:
        return Reason.STOPPED if phone.is_opted_out else None
    if kind != TextKind.ANSWER and not on_account:
        return Reason.NO_NUMBER
    if kind not in (TextKind.INVITATION, TextKind.ANSWER) and not phone.receives_sms:
        return block_reason(phone) or Reason.NOT_OPTED_IN
    if blocked := block_reason(phone):
        return blocked
    if is_topic_off:
        return Reason.TOPIC_OFF
    return Reason.EXPIRED if too_late else Reason.FREQUENCY_CAP if is_beyond_cap else None


def crosses_test_mode(requested_mode: str | None, mode: Mode) -> bool:
    """Whether a text requested as simulated would now be real, or vice versa. None: requested for any mode."""
    return requested_mode is not None and (requested_mode in SIMULATED_MODES) != (mode in SIMULATED_MODES)


def is_expired(sms_expires_at_ms: int | None, at_ms: int) -> bool:
    """Whether a text sent at `at_ms` would be expired on arrival."""
    return sms_expires_at_ms is not None and at_ms > sms_expires_at_ms - MIN_VALIDITY_MS


def validity_seconds(sms_expires_at_ms: int | None, at_ms: int) -> int:
    """Twilio's `ValidityPeriod` for a text sent at `at_ms` (docs/twilio.md#validity-period)."""
    if sms_expires_at_ms is None:
        return MAX_VALIDITY_SECONDS
    return max(MIN_VALIDITY_MS // 1000, min(MAX_VALIDITY_SECONDS, (sms_expires_at_ms - at_ms) // 1000))


def _no_recipient_reason(phones: Sequence[RecipientPhone]) -> Reason:
    if any(phone.is_opted_out for phone in phones):
        return Reason.STOPPED
    if any(phone.receives_sms_elsewhere for phone in phones):
        return Reason.OTHER_ACCOUNT_RECEIVES
    return Reason.NOT_OPTED_IN
