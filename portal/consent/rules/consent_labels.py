"""The one table of what the ledger's events are called and how they look, for pages, the shell and exports."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from portal.consent.rules.consent_state import ConsentState, EventKind, open_requests
from portal.content.rules.content_block_checks import BLOCKS
from portal.gateways.rules.provider_codes import explain_error_code


@dataclass(frozen=True)
class Label:
    """`tone` (ok, wait, bad, off, new) colours a label that always has words as well."""

    text: str
    tone: str


EVENT_LABELS = {
    EventKind.INVITED: Label("Invitation asked for", "wait"),
    EventKind.REQUESTED: Label("Texts asked for while opted out", "wait"),
    EventKind.START: Label("START from the phone", "ok"),
    EventKind.STOP: Label("Opted out", "bad"),
    EventKind.HELP: Label("HELP from the phone", "off"),
    EventKind.OPT_IN: Label("Opt-in given elsewhere", "ok"),
    EventKind.EVIDENCE: Label("Opt-in given elsewhere, without effect", "off"),
    EventKind.MOVED: Label("Texts moved to another account", "new"),
    EventKind.REMOVED: Label("Number taken off the account", "off"),
    EventKind.UNREACHABLE: Label("Number cannot receive texts", "bad"),
    EventKind.CONFIRMED: Label("Number confirmed by its owner", "ok"),
}
_STOP_LABELS = {
    "handset": "STOP from the phone",
    "twilio": "STOP, learned from Twilio",
    "manual": "Opted out by an administrator",
    "reply": "Opted out after reading a reply",
    "import": "Opted out, from a file",
}
SOURCE_LABELS = {
    "handset": "A text from the phone",
    "portal": "A page of the portal",
    "twilio": "An answer of Twilio's",
    "manual": "An administrator",
    "reply": "A reply that an administrator read",
    "import": "An imported file",
}
OPT_OUT_CHANNELS = {
    "phone": "Phone call",
    "email": "Email",
    "letter": "Letter",
    "in_person": "In person",
    "other": "Another way",
}
"""How somebody asked to be opted out by hand."""

DECISION_LABELS = {
    "stop": "Opted the number out",
    "moved": "Gave the texts to an account",
    "nothing": "Nothing to do",
}
"""What an administrator may decide about a reply."""


INTERPRETED_NOTE = "A refusal in other words, read as STOP."


def event_label(kind: str, source: str) -> Label:
    found = EVENT_LABELS[EventKind(kind)] if kind in set(EventKind) else Label(kind.capitalize(), "off")
    return Label(_STOP_LABELS.get(source, found.text), found.tone) if kind == EventKind.STOP else found


def event_text_label(kind: str, source: str) -> str:
    """What the words of an event are: what was shown, what was texted, or what somebody wrote down."""
    if source in ("handset", "reply"):
        return "Texted"
    if kind in (EventKind.OPT_IN, EventKind.EVIDENCE):
        return "Evidence"
    shown = {EventKind.INVITED: "Words shown", EventKind.REQUESTED: "Words shown", EventKind.STOP: "Reason"}
    return shown.get(EventKind(kind), "Words") if kind in set(EventKind) else "Words"


def content_block_title(key: str) -> str:
    return BLOCKS[key].title if key in BLOCKS else key


def event_notes(detail: Mapping[str, Any]) -> list[str]:
    """What else an event tells, a sentence each."""
    code = str(detail.get("code", ""))
    how = str(detail.get("how", ""))
    found = {
        "interpreted": INTERPRETED_NOTE,
        "lifts_no_stop": "YES to a toll-free number: it lifts no STOP, only START or UNSTOP does.",
        "heard": "Fetched from Twilio's list: its webhook never came." if detail.get("heard") == "list" else "",
        "how": f"How it was asked for: {OPT_OUT_CHANNELS.get(how, how).lower()}.",
        "code": f"{explain_error_code(code, '').sentence} (code {code})",
        "day": "No more than the day is known.",
        "row": f"Row {detail.get('row')} of the file.",
        "reply": f"The reply's MessageSid is {detail.get('reply')}.",
        "held_sms": "Its texts ended with that." if detail.get("held_sms") else "",
    }
    return [sentence for name, sentence in found.items() if detail.get(name) and sentence]


def describe_effect(before: ConsentState, now: ConsentState) -> str:
    """What an event changed, “{}” being the account that gets the texts; empty when nothing."""
    if now.stopped_at_ms is not None:
        return "" if before.stopped_at_ms is not None else "Nothing is texted there from here on."
    if now.recipient_id is not None and (now.recipient_id != before.recipient_id or before.stopped_at_ms is not None):
        return "Texts go to {} from here on."
    if now.unassigned_start_id not in (None, before.unassigned_start_id):
        return "Nobody gets its texts until an administrator decides whose they are."
    if now.recipient_id is None and before.recipient_id is not None:
        return "Nobody gets its texts from here on."
    return ""


def state_label(now: ConsentState, at_ms: int) -> Label:
    """How a number stands, whoever's account it is on."""
    if now.stopped_at_ms is not None:
        return Label("Opted out", "off")
    if now.unreachable_at_ms is not None:
        return Label("Cannot receive texts", "bad")
    if now.recipient_id is not None:
        return Label("Enabled for texts", "ok")
    if now.unassigned_start_id is not None:
        return Label("START came, and it is not known for which account", "wait")
    if open_requests(now, at_ms):
        return Label("Invited, no answer yet", "wait")
    return Label("Not enabled for texts", "off")
