"""Labels of the ledger's events, defined once for pages, the command line and exports."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from portal.consent.rules.consent_state import ConsentState, EventKind, EventSource, MessageSource
from portal.content.rules.content_block_checks import BLOCKS
from portal.gateways.rules.provider_codes import explain_error_code


@dataclass(frozen=True)
class Label:
    """`tone` (ok, wait, bad, off, new) colours a label; the text alone carries the meaning."""

    text: str
    tone: str


EVENT_LABELS: dict[str, Label] = {
    EventKind.INVITED: Label("Invitation requested", "wait"),
    EventKind.REQUESTED: Label("Texts requested while opted out", "wait"),
    EventKind.START: Label("START from the phone", "ok"),
    EventKind.STOP: Label("Opted out", "bad"),
    EventKind.HELP: Label("HELP from the phone", "off"),
    EventKind.OPT_IN: Label("Imported opt-in", "ok"),
    EventKind.EVIDENCE: Label("Imported opt-in, without effect", "off"),
    EventKind.MOVED: Label("Texts moved to another account", "new"),
    EventKind.REMOVED: Label("Number removed from the account", "off"),
    EventKind.UNREACHABLE: Label("Number cannot receive texts", "bad"),
    EventKind.CONFIRMED: Label("Number confirmed by its owner", "ok"),
}
_STOP_LABELS: dict[str, str] = {
    EventSource.HANDSET: "STOP from the phone",
    EventSource.TWILIO: "STOP reported by Twilio",
    EventSource.MANUAL: "Opted out by an administrator",
    EventSource.REPLY: "Opted out by an administrator after reading a reply",
    EventSource.IMPORT: "Opted out, from a file",
}
SOURCE_LABELS: dict[str, str] = {
    EventSource.HANDSET: "A text from the phone",
    EventSource.PORTAL: "A page of the portal",
    EventSource.TWILIO: "A response from Twilio",
    EventSource.MANUAL: "An administrator",
    EventSource.REPLY: "A reply read by an administrator",
    EventSource.IMPORT: "An imported file",
}
SYSTEM_ACTORS: dict[str, str] = {EventSource.HANDSET: "The phone", EventSource.TWILIO: "Twilio"}
OPT_OUT_CHANNELS = {
    "phone": "Phone call",
    "email": "Email",
    "letter": "Letter",
    "in_person": "In person",
    "other": "Another way",
}
"""How a person asks an administrator to be opted out."""

DECISION_LABELS = {"stop": "Opted the number out", "moved": "Gave the texts to an account", "nothing": "Nothing to do"}
"""What an administrator may decide about a reply."""

INTERPRETED_NOTE = "An opt-out in other words, read as STOP."


def event_label(kind: str, source: str) -> Label:
    label = EVENT_LABELS.get(kind, Label(kind.capitalize(), "off"))
    return Label(_STOP_LABELS.get(source, label.text), label.tone) if kind == EventKind.STOP else label


def event_text_label(kind: str, source: str) -> str:
    """Say what an event's text is: shown on a page, texted from the phone, or written down by somebody."""
    if source in (EventSource.HANDSET, EventSource.REPLY):
        return "Texted"
    if kind in (EventKind.OPT_IN, EventKind.EVIDENCE):
        return "Evidence"
    if kind in (EventKind.INVITED, EventKind.REQUESTED):
        return "Prompt shown"
    return "Reason" if kind == EventKind.STOP else "Text"


def content_block_title(key: str) -> str:
    return BLOCKS[key].title if key in BLOCKS else key


def event_notes(detail: Mapping[str, Any]) -> list[str]:
    """Describe the rest of what an event records, one sentence each."""
    code, channel = str(detail.get("error_code", "")), str(detail.get("channel", ""))
    is_from_list = detail.get("source") == MessageSource.LIST
    notes = {
        "interpreted": INTERPRETED_NOTE,
        "cannot_clear_stop": "YES at a toll-free number: only START or UNSTOP clears a STOP there.",
        "source": "Fetched from Twilio's list: its webhook never arrived." if is_from_list else "",
        "channel": f"Requested by: {OPT_OUT_CHANNELS.get(channel, channel).lower()}.",
        "error_code": f"{explain_error_code(code, '').sentence} (code {code})",
        "day": "Only the day is known.",
        "row": f"Row {detail.get('row')} of the file.",
        "reply": f"The reply's MessageSid is {detail.get('reply')}.",
        "received_sms": "This ended its texts.",
    }
    return [sentence for name, sentence in notes.items() if detail.get(name) and sentence]


def describe_effect(before: ConsentState, after: ConsentState) -> str:
    """Say what an event changed, or return "" if nothing; “{}” stands for the account that gets the texts."""
    was_stopped = before.stopped_at_ms is not None
    if after.stopped_at_ms is not None:
        return "" if was_stopped else "No more texts go to this number."
    if after.recipient_id is not None and (was_stopped or after.recipient_id != before.recipient_id):
        return "Texts go to {} from now on."
    if after.unassigned_start_id not in (None, before.unassigned_start_id):
        return "Nobody gets its texts until an administrator decides which account they belong to."
    if after.recipient_id is None and before.recipient_id is not None:
        return "Nobody gets its texts from now on."
    return ""
