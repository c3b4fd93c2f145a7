"""What happened to a delivery, in plain words: its state now, and its story."""

from dataclasses import dataclass

from portal.domain.phone import masked
from portal.domain.provider_codes import explain
from portal.domain.routing import Mode, Reason
from portal.domain.status import STATES, state_for_receipt
from portal.models.communication import Attempt, Delivery, Receipt

_OUTCOMES = {
    "": ("Being handed over", "wait"),
    "accepted": ("Accepted", "ok"),
    "refused": ("Refused", "bad"),
    "not_processed": ("Not taken; it is tried again", "wait"),
    "unknown": ("Answer not heard; being looked into", "wait"),
    "misconfigured": ("Held back: the gateway's settings are wrong", "bad"),
    "absent": ("It had not arrived; it is sent again", "wait"),
    "released": ("Took a later turn", "off"),
}
_PARTY = {"email": "the mail server", "sms": "Twilio"}
_OF_TWILIO = {
    "accepted": "Twilio has it",
    "scheduled": "Twilio has scheduled it",
    "queued": "Waiting at Twilio",
    "sending": "Twilio is sending it",
    "sent": "Sent to the carrier",
    "read": "Read on the phone",
}
_MODES = {
    Mode.TEST: "Test mode: nothing real left.",
    Mode.TEST_OVERRIDE: "Test mode: nothing real left.",
    Mode.OVERRIDE: "Override: it went to {} instead.",
}


@dataclass(frozen=True)
class TimelineEntry:
    at_ms: int
    words: str
    detail: str
    tone: str


def explain_state(delivery: Delivery) -> tuple[str, str, str]:
    """Words, tone and a sentence of detail for where the delivery stands. Used wherever a status is shown."""
    state = STATES[delivery.state]
    words = state.words
    if delivery.channel == "email" and delivery.state == "skipped":
        words = "No email sent"
    if delivery.state == "ready" and delivery.attempts:
        words = "Waiting to be tried again"
    return words, state.tone, _detail(delivery)


def entries(delivery: Delivery) -> list[TimelineEntry]:
    """From its making to its last receipt, in order of time."""
    story = [TimelineEntry(delivery.created_at_ms, _made(delivery), "", "off")]
    story += [_attempted(attempt, delivery) for attempt in delivery.made_attempts]
    story += [_received(receipt) for receipt in delivery.receipts]
    return sorted(story, key=lambda entry: entry.at_ms)


def _made(delivery: Delivery) -> str:
    if delivery.state == "skipped" and not delivery.made_attempts:
        return f"{STATES['skipped'].words}: {_reason(delivery.reason)}"
    return "Made ready"


def _detail(delivery: Delivery) -> str:
    if delivery.reason:
        return f"{_reason(delivery.reason)}."
    if delivery.error_code and delivery.channel == "sms":
        found = explain(delivery.error_code, _last_words(delivery))
        return f"{found.sentence} {found.remedy} (code {found.code})"
    if delivery.state in ("rejected", "ready") and delivery.attempts:
        return _last_words(delivery)
    return ""


def _last_words(delivery: Delivery) -> str:
    spoken = [attempt.detail for attempt in delivery.made_attempts if attempt.detail]
    return spoken[-1] if spoken else ""


def _reason(reason: str) -> str:
    return Reason(reason).words if reason in list(Reason) else reason


def _attempted(attempt: Attempt, delivery: Delivery) -> TimelineEntry:
    words, tone = _OUTCOMES[attempt.outcome]
    if attempt.outcome in ("accepted", "refused"):
        words = f"{words} by {_PARTY[delivery.channel]}"
    detail = " ".join(filter(None, [attempt.detail, _mode(attempt)]))
    return TimelineEntry(attempt.finished_at_ms or attempt.started_at_ms, words, detail, tone)


def _mode(attempt: Attempt) -> str:
    text = _MODES.get(Mode(attempt.mode), "")
    return text.format(masked(attempt.sent_to))


def _received(receipt: Receipt) -> TimelineEntry:
    to = state_for_receipt(receipt.status, receipt.error_code)
    state = STATES[to] if to else None
    words = _OF_TWILIO.get(receipt.status) or (state.words if state else receipt.status)
    providers_words = str((receipt.raw or {}).get("ErrorMessage", ""))
    detail = explain(receipt.error_code, providers_words).sentence if receipt.error_code else ""
    return TimelineEntry(receipt.received_at_ms, words, detail, state.tone if state else "off")
