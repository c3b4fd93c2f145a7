"""Describe a delivery in plain words: its current state and its history."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import groupby

from portal.core import audit_log
from portal.core.audit_log import AuditEntry
from portal.core.context import settings
from portal.core.rules import delivery_status
from portal.core.rules.delivery_status import STATES, WAITING, DeliveryState, StateGroup, displayed_state
from portal.core.rules.phone import format_phone, mask_phone
from portal.core.rules.routing import Mode, Reason
from portal.core.translation import N_, ngettext
from portal.core.translation import gettext as _
from portal.gateways.rules.provider_codes import explain_error_code
from portal.gateways.rules.smtp_codes import describe_smtp_status
from portal.messages.rules.attempt_outcome import AttemptOutcome
from portal.messages.rules.message_modes import mask_email_address
from portal.messages.rules.report_conflicts import CONFLICT_LABELS, describe_conflict
from portal.messages.tables.communications import Attempt, Delivery, Receipt

_OUTCOMES: dict[str, tuple[str, str]] = {
    AttemptOutcome.PENDING: (N_("Sending"), "wait"),
    AttemptOutcome.ACCEPTED: (N_("Accepted by Twilio"), "ok"),
    AttemptOutcome.REJECTED: (N_("Refused by Twilio"), "bad"),
    AttemptOutcome.NOT_SENT: (N_("Not accepted; will be retried"), "wait"),
    AttemptOutcome.UNKNOWN: (N_("No answer; checking whether it was sent"), "wait"),
    AttemptOutcome.ACCOUNT_FAULT: (N_("On hold: the gateway settings are wrong"), "bad"),
    AttemptOutcome.UNRECOGNIZED_ERROR: (N_("Refused for an unknown reason; will be retried"), "wait"),
    AttemptOutcome.NOT_FOUND: (N_("Twilio did not receive it; will be sent again"), "wait"),
    AttemptOutcome.RELEASED: (N_("Moved to a later slot"), "off"),
}
_EMAIL_OUTCOMES = {
    **_OUTCOMES,
    AttemptOutcome.ACCEPTED: (N_("Accepted by the mail server"), "ok"),
    AttemptOutcome.REJECTED: (N_("Refused by the mail server"), "bad"),
}
_TWILIO_STATUS_LABELS = {
    "accepted": N_("Accepted by Twilio"),
    "scheduled": N_("Scheduled by Twilio"),
    "queued": N_("Queued at Twilio"),
    "sending": N_("Twilio is sending it"),
    "sent": N_("Sent to the carrier"),
    "read": N_("Read on the phone"),
}
_NO_RECEIPT_DETAIL = N_(
    "Twilio accepted it but reported no final status within a day, so the portal has stopped asking. "
    "It may have arrived. A late report still shows here."
)
_MODE_NOTES = {
    Mode.TEST: N_("Test mode: nothing was really sent."),
    Mode.TEST_OVERRIDE: N_("Test mode: nothing was really sent."),
    Mode.OVERRIDE: N_("Override: it went to %(recipient)s instead."),
}


@dataclass(frozen=True)
class TimelineEntry:
    """`source` is who reported it, `provider_id` and `code` are theirs, and `remedy` is what to do about it."""

    at_ms: int
    label: str
    detail: str
    tone: str
    source: str = ""
    provider_id: str = ""
    code: str = ""
    remedy: str = ""


def describe_state(delivery: Delivery) -> tuple[str, str, str]:
    """Return the label, tone and detail of the delivery’s state. Used wherever a status is shown."""
    state = STATES[displayed_state(delivery.state, delivery.due_at_ms)]
    label, tone = _(state.label), state.tone
    if delivery.channel == "email" and delivery.state == DeliveryState.SKIPPED:
        label = _("No email sent")
    if delivery.state == DeliveryState.SKIPPED and delivery.reason == Reason.ACCOUNT_DEACTIVATED:
        label = _("Not sent")
    if delivery.state == DeliveryState.READY and delivery.attempt_count:
        label = _("Waiting to be tried again")
    if _was_redirected(delivery):
        label = _("Override: %(status)s", status=f"{label[0].lower()}{label[1:]}")
        tone = "off" if tone == "ok" else tone
    return label, tone, _detail(delivery)


def redirect_note(delivery: Delivery) -> str:
    """Name the intended recipient of a redirected or simulated message; "" for any other."""
    recipient = delivery.address if delivery.channel == "email" else format_phone(delivery.address, settings().region)
    if _was_redirected(delivery):
        people = {"override": mask_destination(delivery.attempt_history[-1].destination), "recipient": recipient}
        if delivery.channel == "email":
            return _("It went to the override address %(override)s. It was meant for %(recipient)s.", **people)
        return _("It went to the override number %(override)s. It was meant for %(recipient)s.", **people)
    if STATES[delivery.state].group == StateGroup.SIMULATED:
        return _("Test mode: nothing was really sent. It was meant for %(recipient)s.", recipient=recipient)
    return ""


def timeline_entries(delivery: Delivery) -> list[TimelineEntry]:
    """From creation to the last receipt, in order of time."""
    entries = [TimelineEntry(delivery.created_at_ms, _creation_label(delivery), "", "off", _("Portal"))]
    entries += [_attempt_entry(attempt, delivery) for attempt in delivery.attempt_history]
    entries += [_receipt_entry(receipt) for receipt in delivery.receipts]
    if delivery.channel == "sms":
        conflicts = audit_log.entries_about(f"text {delivery.id}", list(CONFLICT_LABELS))
        entries += [_conflict_entry(entry) for entry in conflicts]
    if _has_no_receipt(delivery) and delivery.provider_id:
        slots_ms = [attempt.slot_at_ms for attempt in delivery.attempt_history] or [delivery.state_changed_at_ms]
        last_check_ms = max(slots_ms) + delivery_status.LAST_RECEIPT_CHECK_MS
        entries.append(TimelineEntry(last_check_ms, _(STATES[DeliveryState.NO_RECEIPT].label), "", "off", _("Portal")))
    return _collapse_repeats(sorted(entries, key=lambda entry: entry.at_ms))


def _was_redirected(delivery: Delivery) -> bool:
    """Whether the state results from an attempt under the override."""
    if delivery.state in (*WAITING, DeliveryState.SKIPPED, DeliveryState.CANCELED):
        return False
    return bool(delivery.attempt_history) and delivery.attempt_history[-1].mode == Mode.OVERRIDE


def _collapse_repeats(entries: Iterable[TimelineEntry]) -> list[TimelineEntry]:
    """Show consecutive equal entries as one, with a count and the time of the last."""
    runs = [list(run) for _key, run in groupby(entries, key=lambda entry: (entry.label, entry.detail, entry.tone))]
    return [run[-1] if len(run) == 1 else replace(run[-1], label=_repeated(run[-1].label, len(run))) for run in runs]


def _repeated(label: str, times: int) -> str:
    return ngettext("%(label)s (%(num)s time)", "%(label)s (%(num)s times)", times, label=label)


def _has_no_receipt(delivery: Delivery) -> bool:
    return displayed_state(delivery.state, delivery.due_at_ms) == DeliveryState.NO_RECEIPT


def _creation_label(delivery: Delivery) -> str:
    if delivery.state == DeliveryState.SKIPPED and not delivery.attempt_history:
        skipped = describe_state(delivery)[0]
        return _("%(status)s: %(reason)s", status=skipped, reason=_reason(delivery.reason))
    return _("Created")


def _detail(delivery: Delivery) -> str:
    if _has_no_receipt(delivery):
        return _(_NO_RECEIPT_DETAIL) if not delivery.reason else f"{_(delivery.reason)}."
    if delivery.reason:
        return f"{_reason(delivery.reason)}."
    if delivery.error_code and delivery.channel == "sms":
        explanation = explain_error_code(delivery.error_code, _last_detail(delivery))
        meaning, code = explanation.sentence, explanation.code
        if delivery.state == DeliveryState.SIMULATED_REJECTED:
            return _("Simulated: %(meaning)s (code %(code)s)", meaning=meaning, code=code)
        return _with_code(meaning, explanation.remedy, code)
    if delivery.error_code:
        status = describe_smtp_status(delivery.error_code)
        return _with_code(status.sentence, status.remedy, status.code)
    if delivery.state in (DeliveryState.REJECTED, DeliveryState.READY) and delivery.attempt_history:
        return _last_detail(delivery)
    return ""


def _with_code(meaning: str, remedy: str, code: str) -> str:
    return _("%(meaning)s %(remedy)s (code %(code)s)", meaning=meaning, remedy=remedy, code=code)


def _last_detail(delivery: Delivery) -> str:
    details = [attempt.detail for attempt in delivery.attempt_history if attempt.detail]
    return _(details[-1]) if details else ""


def _reason(reason: str) -> str:
    return _(Reason(reason).label if reason in list(Reason) else reason)


def _attempt_entry(attempt: Attempt, delivery: Delivery) -> TimelineEntry:
    label, tone = (_EMAIL_OUTCOMES if delivery.channel == "email" else _OUTCOMES)[attempt.outcome]
    response, is_email = _(attempt.detail) if attempt.detail else "", delivery.channel == "email"
    if attempt.error_code and is_email:
        meaning = describe_smtp_status(attempt.error_code).sentence
        response = _("%(meaning)s The server said: %(answer)s", meaning=meaning, answer=attempt.detail)
    note = _MODE_NOTES.get(Mode(attempt.mode), "")
    note = _(note, recipient=mask_destination(attempt.destination)) if note else ""
    return TimelineEntry(
        attempt.finished_at_ms or attempt.started_at_ms,
        _(label),
        f"{response} {note}".strip(),
        tone,
        source=_("The mail server’s answer") if is_email else _("Twilio’s answer"),
        provider_id=attempt.provider_id or "",
        code=attempt.error_code,
        remedy=code_remedy(attempt.error_code, delivery.channel),
    )


def code_remedy(code: str, channel: str) -> str:
    """What an administrator can do about an error code of Twilio or of the mail server; "" without a code."""
    if not code:
        return ""
    return describe_smtp_status(code).remedy if channel == "email" else explain_error_code(code).remedy


def mask_destination(destination: str) -> str:
    return mask_email_address(destination) if "@" in destination else mask_phone(destination)


def _conflict_entry(entry: AuditEntry) -> TimelineEntry:
    states = entry.detail
    detail = describe_conflict(states["recorded"], states["reported"]) if "reported" in states else ""
    return TimelineEntry(entry.at_ms, _(CONFLICT_LABELS[entry.action]), detail, "bad", _("Portal"))


def _receipt_entry(receipt: Receipt) -> TimelineEntry:
    state = delivery_status.state_for_receipt(receipt.status, receipt.error_code)
    label = _(_TWILIO_STATUS_LABELS.get(receipt.status) or (state.label if state else receipt.status))
    error_message = str((receipt.raw or {}).get("ErrorMessage", ""))
    detail = explain_error_code(receipt.error_code, error_message).sentence if receipt.error_code else ""
    return TimelineEntry(
        receipt.received_at_ms,
        label,
        detail,
        state.tone if state else "off",
        source=_("Status callback from Twilio"),
        provider_id=receipt.provider_id,
        code=receipt.error_code,
        remedy=code_remedy(receipt.error_code, "sms"),
    )
