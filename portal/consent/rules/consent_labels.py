"""Labels of the ledger's events, defined once for pages, the command line and exports."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from portal.consent.rules.consent_state import ConsentState, EventKind, open_requests
from portal.content.rules.content_block_checks import BLOCKS
from portal.gateways.rules.provider_codes import explain_error_code


@dataclass(frozen=True)
class Label:
    """`tone` (ok, wait, bad, off, new) colours a label; the text alone carries the meaning."""

    text: str
    tone: str


EVENT_LABELS = {
    EventKind.INVITED: Label("Invitation requested", "wait"),
    EventKind.REQUESTED: Label("Texts requested while opted out", "wait"),
    EventKind.START: Label("START from the phone", "ok"),
    EventKind.STOP: Label("Opted out", "bad"),
    EventKind.HELP: Label("HELP from the phone", "off"),
    EventKind.OPT_IN: Label("Opt-in given elsewhere", "ok"),
    EventKind.EVIDENCE: Label("Opt-in given elsewhere, without effect", "off"),
    EventKind.MOVED: Label("Texts moved to another account", "new"),
    EventKind.REMOVED: Label("Number removed from the account", "off"),
    EventKind.UNREACHABLE: Label("Number cannot receive texts", "bad"),
    EventKind.CONFIRMED: Label("Number confirmed by its owner", "ok"),
}
_STOP_LABELS = {
    "handset": "STOP from the phone",
    "twilio": "STOP reported by Twilio",
    "manual": "Opted out by an administrator",
    "reply": "Opted out by an administrator after reading a reply",
    "import": "Opted out, from a file",
}
SOURCE_LABELS = {
    "handset": "A text from the phone",
    "portal": "A page of the portal",
    "twilio": "A response from Twilio",
    "manual": "An administrator",
    "reply": "A reply read by an administrator",
    "import": "An imported file",
}
OPT_OUT_CHANNELS = {
    "phone": "Phone call",
    "email": "Email",
    "letter": "Letter",
    "in_person": "In person",
    "other": "Another way",
}
"""How a person asks an administrator to be opted out."""

DECISION_LABELS = {
    "stop": "Opted the number out",
    "moved": "Gave the texts to an account",
    "nothing": "Nothing to do",
}
"""What an administrator may decide about a reply."""

INTERPRETED_NOTE = "An opt-out in other words, read as STOP."


def event_label(kind: str, source: str) -> Label:
    label = EVENT_LABELS[EventKind(kind)] if kind in set(EventKind) else Label(kind.capitalize(), "off")
    return Label(_STOP_LABELS.get(source, label.text), label.tone) if kind == EventKind.STOP else label


def event_text_label(kind: str, source: str) -> str:
    """Say what an event's text is: shown on a page, texted from the phone, or written down by somebody."""
    if source in ("handset", "reply"):
        return "Texted"
    labels: dict[str, str] = {
        EventKind.OPT_IN: "Evidence",
        EventKind.EVIDENCE: "Evidence",
        EventKind.INVITED: "Prompt shown",
        EventKind.REQUESTED: "Prompt shown",
        EventKind.STOP: "Reason",
    }
    return labels.get(kind, "Text")


def content_block_title(key: str) -> str:
    return BLOCKS[key].title if key in BLOCKS else key


def event_notes(detail: Mapping[str, Any]) -> list[str]:
    """Describe the rest of what an event records, one sentence each."""
    code, channel = str(detail.get("error_code", "")), str(detail.get("channel", ""))
    notes = {
        "interpreted": INTERPRETED_NOTE,
        "cannot_clear_stop": "YES at a toll-free number: only START or UNSTOP clears a STOP there.",
        "source": "Fetched from Twilio's list: its webhook never arrived." if detail.get("source") == "list" else "",
        "channel": f"Asked for by: {OPT_OUT_CHANNELS.get(channel, channel).lower()}.",
        "error_code": f"{explain_error_code(code, '').sentence} (code {code})",
        "day": "Only the day is known.",
        "row": f"Row {detail.get('row')} of the file.",
        "reply": f"The reply's MessageSid is {detail.get('reply')}.",
        "received_sms": "This ended its texts.",
    }
    return [sentence for name, sentence in notes.items() if detail.get(name) and sentence]


def describe_effect(before: ConsentState, after: ConsentState) -> str:
    """Say what an event changed, or return "" if nothing; “{}” stands for the account that gets the texts."""
    if after.stopped_at_ms is not None:
        return "" if before.stopped_at_ms is not None else "Nothing is texted there from now on."
    reopened = before.stopped_at_ms is not None
    if after.recipient_id is not None and (after.recipient_id != before.recipient_id or reopened):
        return "Texts go to {} from now on."
    if after.unassigned_start_id not in (None, before.unassigned_start_id):
        return "Nobody gets its texts until an administrator decides which account they belong to."
    if after.recipient_id is None and before.recipient_id is not None:
        return "Nobody gets its texts from now on."
    return ""


def state_label(state: ConsentState, now_ms: int) -> Label:
    """Label the state of a phone number, whichever accounts have it."""
    if state.stopped_at_ms is not None:
        return Label("Opted out", "off")
    if state.unreachable_at_ms is not None:
        return Label("Cannot receive texts", "bad")
    if state.recipient_id is not None:
        return Label("Enabled for texts", "ok")
    if state.unassigned_start_id is not None:
        return Label("START arrived, account not known", "wait")
    if open_requests(state, now_ms):
        return Label("Invited, no answer yet", "wait")
    return Label("Not enabled for texts", "off")
