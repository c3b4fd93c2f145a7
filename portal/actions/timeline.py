"""What happened to a delivery, in plain words: its state now, and its story."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import groupby

from portal.context import settings
from portal.domain.contradictions import CONFLICT_LABELS, describe_conflict
from portal.domain.mail_codes import explain_mail
from portal.domain.phone import format_phone, mask_phone
from portal.domain.provider_codes import explain
from portal.domain.rehearsal import masked_address
from portal.domain.routing import Mode, Reason
from portal.domain.status import LAST_LOOK_MS, STATES, WAITING, standing, state_for_receipt
from portal.models import audit_log
from portal.models.audit_log import AuditEntry
from portal.models.communication import Attempt, Delivery, Receipt

_OUTCOMES = {
    "": ("Being handed over", "wait"),
    "accepted": ("Accepted", "ok"),
    "refused": ("Refused", "bad"),
    "not_processed": ("Not taken; it is tried again", "wait"),
    "unknown": ("Answer not heard; being import_preview into", "wait"),
    "misconfigured": ("Held back: the gateway's settings are wrong", "bad"),
    "unexplained": ("Refused, and nobody knows why; it is tried again", "wait"),
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
_SILENT = (
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
    words: str
    detail: str
    tone: str


def explain_state(delivery: Delivery) -> tuple[str, str, str]:
    """Words, tone and a sentence of detail for where the delivery stands. Used wherever a status is shown."""
    state = STATES[standing(delivery.state, delivery.next_at_ms)]
    words, tone = state.words, state.tone
    if delivery.channel == "email" and delivery.state == "skipped":
        words = "No email sent"
    if delivery.state == "ready" and delivery.attempts:
        words = "Waiting to be tried again"
    if _went_elsewhere(delivery):
        words, tone = f"Override: {words[0].lower()}{words[1:]}", "off" if tone == "ok" else tone
    return words, tone, _detail(delivery)


def where_to(delivery: Delivery) -> str:
    """For whom a message was meant, where it did not go there; "" where it did, or will."""
    meant = delivery.address if delivery.channel == "email" else format_phone(delivery.address, settings().region)
    if _went_elsewhere(delivery):
        what = "address" if delivery.channel == "email" else "number"
        return (
            f"It went to the override {what} {_masked(delivery.made_attempts[-1].sent_to)}. It was meant for {meant}."
        )
    if STATES[delivery.state].group == "simulated":
        return f"Test mode: nothing real left. It was meant for {meant}."
    return ""


def entries(delivery: Delivery) -> list[TimelineEntry]:
    """From its making to its last receipt, in order of time."""
    story = [TimelineEntry(delivery.created_at_ms, _made(delivery), "", "off")]
    story += [_attempted(attempt, delivery) for attempt in delivery.made_attempts]
    story += [_received(receipt) for receipt in delivery.receipts]
    if delivery.channel == "sms":
        story += [_contradicted(entry) for entry in audit_log.entries_about(f"text {delivery.id}", list(CONFLICT_LABELS))]
    if _is_unreported(delivery) and delivery.provider_id:
        story.append(TimelineEntry(_last_look_ms(delivery), STATES["unreported"].words, "", "off"))
    return _together(sorted(story, key=lambda entry: entry.at_ms))


def _went_elsewhere(delivery: Delivery) -> bool:
    """To the override number or address: of its states, those that an attempt under the override led to."""
    if delivery.state in WAITING or delivery.state in ("skipped", "canceled"):
        return False
    return bool(delivery.made_attempts) and delivery.made_attempts[-1].mode == Mode.OVERRIDE


def _together(story: Iterable[TimelineEntry]) -> list[TimelineEntry]:
    """What happened again and again is told once, with how often, at the time of the last."""
    runs = [list(run) for _, run in groupby(story, key=lambda entry: (entry.words, entry.detail, entry.tone))]
    return [run[-1] if len(run) == 1 else replace(run[-1], words=f"{run[-1].words} ({len(run)} times)") for run in runs]


def _is_unreported(delivery: Delivery) -> bool:
    return standing(delivery.state, delivery.next_at_ms) == "unreported"


def _last_look_ms(delivery: Delivery) -> int:
    return max([attempt.slot_at_ms for attempt in delivery.made_attempts], default=delivery.state_at_ms) + LAST_LOOK_MS


def _made(delivery: Delivery) -> str:
    if delivery.state == "skipped" and not delivery.made_attempts:
        return f"{STATES['skipped'].words}: {_reason(delivery.reason)}"
    return "Made ready"


def _detail(delivery: Delivery) -> str:
    if _is_unreported(delivery):
        return _SILENT if not delivery.reason else f"{delivery.reason}."
    if delivery.reason:
        return f"{_reason(delivery.reason)}."
    if delivery.error_code and delivery.channel == "sms":
        found = explain(delivery.error_code, _last_words(delivery))
        if delivery.state == "simulated_refused":
            return f"Rehearsed: {found.sentence} (code {found.code})"
        return f"{found.sentence} {found.remedy} (code {found.code})"
    if delivery.error_code:
        known = explain_mail(delivery.error_code)
        return f"{known.sentence} {known.remedy} (code {known.code})"
    if delivery.state in ("rejected", "ready") and delivery.made_attempts:
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
    heard = attempt.detail
    if attempt.error_code and delivery.channel == "email":
        heard = f"{explain_mail(attempt.error_code).sentence} Its words: {attempt.detail}"
    detail = " ".join(filter(None, [heard, _mode(attempt)]))
    return TimelineEntry(attempt.finished_at_ms or attempt.started_at_ms, words, detail, tone)


def _mode(attempt: Attempt) -> str:
    text = _MODES.get(Mode(attempt.mode), "")
    return text.format(_masked(attempt.sent_to))


def _masked(sent_to: str) -> str:
    return masked_address(sent_to) if "@" in sent_to else mask_phone(sent_to)


def _contradicted(entry: AuditEntry) -> TimelineEntry:
    known = entry.detail
    both = describe_conflict(known["recorded"], known["told"]) if "told" in known else ""
    return TimelineEntry(entry.at_ms, CONFLICT_LABELS[entry.action], both, "bad")


def _received(receipt: Receipt) -> TimelineEntry:
    to = state_for_receipt(receipt.status, receipt.error_code)
    state = STATES[to] if to else None
    words = _OF_TWILIO.get(receipt.status) or (state.words if state else receipt.status)
    providers_words = str((receipt.raw or {}).get("ErrorMessage", ""))
    detail = explain(receipt.error_code, providers_words).sentence if receipt.error_code else ""
    return TimelineEntry(receipt.received_at_ms, words, detail, state.tone if state else "off")
