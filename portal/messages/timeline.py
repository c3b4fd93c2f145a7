"""What happened to a delivery, in plain words: its state now, and its story."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import groupby

from portal.core import audit_log
from portal.core.audit_log import AuditEntry
from portal.core.context import settings
from portal.core.rules.delivery_status import (
    LAST_RECEIPT_CHECK_MS,
    STATES,
    WAITING,
    DeliveryState,
    displayed_state,
    state_for_receipt,
)
from portal.core.rules.phone import format_phone, mask_phone
from portal.core.rules.routing import Mode, Reason
from portal.gateways.rules.provider_codes import explain_error_code
from portal.gateways.rules.smtp_codes import describe_smtp_status
from portal.messages.rules.message_modes import mask_email_address
from portal.messages.rules.report_conflicts import CONFLICT_LABELS, describe_conflict
from portal.messages.tables.communications import Attempt, Delivery, Receipt

_OUTCOMES = {
    "": ("Being handed over", "wait"),
    "accepted": ("Accepted", "ok"),
    "rejected": ("Refused", "bad"),
    "not_sent": ("Not taken; it is tried again", "wait"),
    "unknown": ("Answer not heard; being looked into", "wait"),
    "account_fault": ("Held back: the gateway's settings are wrong", "bad"),
    "unrecognized_error": ("Refused, and nobody knows why; it is tried again", "wait"),
    "not_found": ("It had not arrived; it is sent again", "wait"),
    "released": ("Took a later turn", "off"),
}
_RECEIVING_SERVER = {"email": "the mail server", "sms": "Twilio"}
_TWILIO_STATUS_LABELS = {
    "accepted": "Twilio has it",
    "scheduled": "Twilio has scheduled it",
    "queued": "Waiting at Twilio",
    "sending": "Twilio is sending it",
    "sent": "Sent to the carrier",
    "read": "Read on the phone",
}
_NO_RECEIPT_DETAIL = (
    "Twilio took it and told no final status within a day, so it is asked no more. It may have arrived. "
    "Should news come after all, it shows here."
)
_MODES = {
    Mode.TEST: "Test mode: nothing real left.",
    Mode.TEST_OVERRIDE: "Test mode: nothing real left.",
    Mode.OVERRIDE: "Override: it went to {} instead.",
}


@dataclass(frozen=True)
class TimelineEntry:
    at_ms: int
    label: str
    detail: str
    tone: str


def describe_state(delivery: Delivery) -> tuple[str, str, str]:
    """Words, tone and a sentence of detail for where the delivery stands. Used wherever a status is shown."""
    state = STATES[displayed_state(delivery.state, delivery.due_at_ms)]
    words, tone = state.label, state.tone
    if delivery.channel == "email" and delivery.state == DeliveryState.SKIPPED:
        words = "No email sent"
    if delivery.state == DeliveryState.READY and delivery.attempt_count:
        words = "Waiting to be tried again"
    if _was_redirected(delivery):
        words, tone = f"Override: {words[0].lower()}{words[1:]}", "off" if tone == "ok" else tone
    return words, tone, _detail(delivery)


def redirect_note(delivery: Delivery) -> str:
    """For whom a message was meant, where it did not go there; "" where it did, or will."""
    meant = delivery.address if delivery.channel == "email" else format_phone(delivery.address, settings().region)
    if _was_redirected(delivery):
        what = "address" if delivery.channel == "email" else "number"
        return f"It went to the override {what} {_masked(delivery.attempt_history[-1].destination)}. It was meant for {meant}."
    if STATES[delivery.state].group == "simulated":
        return f"Test mode: nothing real left. It was meant for {meant}."
    return ""


def timeline_entries(delivery: Delivery) -> list[TimelineEntry]:
    """From its making to its last receipt, in order of time."""
    story = [TimelineEntry(delivery.created_at_ms, _creation_label(delivery), "", "off")]
    story += [_attempt_entry(attempt, delivery) for attempt in delivery.attempt_history]
    story += [_receipt_entry(receipt) for receipt in delivery.receipts]
    if delivery.channel == "sms":
        story += [
            _conflict_entry(entry) for entry in audit_log.entries_about(f"text {delivery.id}", list(CONFLICT_LABELS))
        ]
    if _has_no_receipt(delivery) and delivery.provider_id:
        story.append(TimelineEntry(_last_check_ms(delivery), STATES[DeliveryState.NO_RECEIPT].label, "", "off"))
    return _collapse_repeats(sorted(story, key=lambda entry: entry.at_ms))


def _was_redirected(delivery: Delivery) -> bool:
    """To the override number or address: of its states, those that an attempt under the override led to."""
    if delivery.state in WAITING or delivery.state in (DeliveryState.SKIPPED, DeliveryState.CANCELED):
        return False
    return bool(delivery.attempt_history) and delivery.attempt_history[-1].mode == Mode.OVERRIDE


def _collapse_repeats(story: Iterable[TimelineEntry]) -> list[TimelineEntry]:
    """What happened again and again is told once, with how often, at the time of the last."""
    runs = [list(run) for _, run in groupby(story, key=lambda entry: (entry.label, entry.detail, entry.tone))]
    return [run[-1] if len(run) == 1 else replace(run[-1], label=f"{run[-1].label} ({len(run)} times)") for run in runs]


def _has_no_receipt(delivery: Delivery) -> bool:
    return displayed_state(delivery.state, delivery.due_at_ms) == "no_receipt"


def _last_check_ms(delivery: Delivery) -> int:
    return (
        max([attempt.slot_at_ms for attempt in delivery.attempt_history], default=delivery.state_changed_at_ms)
        + LAST_RECEIPT_CHECK_MS
    )


def _creation_label(delivery: Delivery) -> str:
    if delivery.state == DeliveryState.SKIPPED and not delivery.attempt_history:
        return f"{STATES['skipped'].label}: {_reason(delivery.reason)}"
    return "Made ready"


def _detail(delivery: Delivery) -> str:
    if _has_no_receipt(delivery):
        return _NO_RECEIPT_DETAIL if not delivery.reason else f"{delivery.reason}."
    if delivery.reason:
        return f"{_reason(delivery.reason)}."
    if delivery.error_code and delivery.channel == "sms":
        found = explain_error_code(delivery.error_code, _last_detail(delivery))
        if delivery.state == DeliveryState.SIMULATED_REJECTED:
            return f"Rehearsed: {found.sentence} (code {found.code})"
        return f"{found.sentence} {found.remedy} (code {found.code})"
    if delivery.error_code:
        known = describe_smtp_status(delivery.error_code)
        return f"{known.sentence} {known.remedy} (code {known.code})"
    if delivery.state in (DeliveryState.REJECTED, DeliveryState.READY) and delivery.attempt_history:
        return _last_detail(delivery)
    return ""


def _last_detail(delivery: Delivery) -> str:
    spoken = [attempt.detail for attempt in delivery.attempt_history if attempt.detail]
    return spoken[-1] if spoken else ""


def _reason(reason: str) -> str:
    return Reason(reason).label if reason in list(Reason) else reason


def _attempt_entry(attempt: Attempt, delivery: Delivery) -> TimelineEntry:
    words, tone = _OUTCOMES[attempt.outcome]
    if attempt.outcome in ("accepted", "rejected"):
        words = f"{words} by {_RECEIVING_SERVER[delivery.channel]}"
    heard = attempt.detail
    if attempt.error_code and delivery.channel == "email":
        heard = f"{describe_smtp_status(attempt.error_code).sentence} Its words: {attempt.detail}"
    detail = " ".join(filter(None, [heard, _mode_note(attempt)]))
    return TimelineEntry(attempt.finished_at_ms or attempt.started_at_ms, words, detail, tone)


def _mode_note(attempt: Attempt) -> str:
    text = _MODES.get(Mode(attempt.mode), "")
    return text.format(_masked(attempt.destination))


def _masked(sent_to: str) -> str:
    return mask_email_address(sent_to) if "@" in sent_to else mask_phone(sent_to)


def _conflict_entry(entry: AuditEntry) -> TimelineEntry:
    known = entry.detail
    both = describe_conflict(known["recorded"], known["told"]) if "told" in known else ""
    return TimelineEntry(entry.at_ms, CONFLICT_LABELS[entry.action], both, "bad")


def _receipt_entry(receipt: Receipt) -> TimelineEntry:
    to = state_for_receipt(receipt.status, receipt.error_code)
    state = STATES[to] if to else None
    words = _TWILIO_STATUS_LABELS.get(receipt.status) or (state.label if state else receipt.status)
    providers_words = str((receipt.raw or {}).get("ErrorMessage", ""))
    detail = explain_error_code(receipt.error_code, providers_words).sentence if receipt.error_code else ""
    return TimelineEntry(receipt.received_at_ms, words, detail, state.tone if state else "off")
