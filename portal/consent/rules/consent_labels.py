"""Labels of the ledger's events, defined once for pages, the command line and exports."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from portal.consent.rules.consent_state import ConsentState, EventKind, EventSource, MessageSource
from portal.content.rules.content_block_checks import BLOCKS
from portal.core.rules.routing import DEACTIVATED_CODE
from portal.core.translation import N_
from portal.core.translation import gettext as _
from portal.gateways.rules.provider_codes import explain_error_code


@dataclass(frozen=True)
class Label:
    """`tone` (ok, wait, bad, off, new) colours a label; the text alone carries the meaning."""

    text: str
    tone: str


EVENT_LABELS: dict[str, Label] = {
    EventKind.INVITED: Label(N_("Invitation requested"), "wait"),
    EventKind.REQUESTED: Label(N_("Texts requested while opted out"), "wait"),
    EventKind.START: Label(N_("START from the phone"), "ok"),
    EventKind.STOP: Label(N_("Opted out"), "bad"),
    EventKind.HELP: Label(N_("HELP from the phone"), "off"),
    EventKind.OPT_IN: Label(N_("Imported opt-in"), "ok"),
    EventKind.EVIDENCE: Label(N_("Imported opt-in, without effect"), "off"),
    EventKind.MOVED: Label(N_("Texts moved to another account"), "new"),
    EventKind.MERGED: Label(N_("Number taken over from a merged account"), "new"),
    EventKind.REMOVED: Label(N_("Number removed from the account"), "off"),
    EventKind.UNREACHABLE: Label(N_("Number cannot receive texts"), "bad"),
    EventKind.CONFIRMED: Label(N_("Number confirmed as correct"), "ok"),
}
_STOP_LABELS: dict[str, str] = {
    EventSource.HANDSET: N_("STOP from the phone"),
    EventSource.TWILIO: N_("STOP reported by Twilio"),
    EventSource.PORTAL: N_("Texts stopped on a page of the portal"),
    EventSource.MANUAL: N_("Opted out by an administrator"),
    EventSource.REPLY: N_("Opted out by an administrator after reading a reply"),
    EventSource.IMPORT: N_("Opted out, from a file"),
}
SOURCE_LABELS: dict[str, str] = {
    EventSource.HANDSET: N_("A text from the phone"),
    EventSource.PORTAL: N_("A page of the portal"),
    EventSource.TWILIO: N_("A response from Twilio"),
    EventSource.MANUAL: N_("An administrator"),
    EventSource.REPLY: N_("A reply read by an administrator"),
    EventSource.IMPORT: N_("An imported file"),
}
SYSTEM_ACTORS: dict[str, str] = {EventSource.HANDSET: N_("The phone"), EventSource.TWILIO: N_("Twilio")}
OPT_OUT_CHANNELS = {
    "phone": N_("Phone call"),
    "email": N_("Email"),
    "letter": N_("Letter"),
    "in_person": N_("In person"),
    "other": N_("Another way"),
}
"""How a person asks an administrator to be opted out."""

ANSWERED = "answered"
DECISION_LABELS = {
    "stop": N_("Opted the number out"),
    "moved": N_("Gave the texts to an account"),
    "nothing": N_("Closed without action"),
    ANSWERED: N_("Answered"),
}
"""What an administrator may decide about a reply."""

INTERPRETED_NOTE = N_("An opt-out in other words, read as STOP.")


def event_label(kind: str, source: str) -> Label:
    """In the language of the reader."""
    label = EVENT_LABELS.get(kind, Label(kind.capitalize(), "off"))
    text = _STOP_LABELS.get(source, label.text) if kind == EventKind.STOP else label.text
    return Label(_(text), label.tone)


def event_text_label(kind: str, source: str) -> str:
    """Say what an event's text is: shown on a page, texted from the phone, or written down by somebody."""
    if source in (EventSource.HANDSET, EventSource.REPLY):
        return _("Texted")
    if kind in (EventKind.OPT_IN, EventKind.EVIDENCE):
        return _("Evidence")
    if kind in (EventKind.INVITED, EventKind.REQUESTED):
        return _("Prompt shown")
    return _("Reason") if kind == EventKind.STOP else _("Text")


def content_block_title(key: str) -> str:
    return BLOCKS[key].title if key in BLOCKS else key


def event_notes(detail: Mapping[str, Any]) -> list[str]:
    """Describe the rest of what an event records, one sentence each."""
    code, channel = str(detail.get("error_code", "")), str(detail.get("channel", ""))
    is_from_list = detail.get("source") == MessageSource.LIST
    notes = {
        "interpreted": _(INTERPRETED_NOTE),
        "cannot_clear_stop": _("YES at a toll-free number: only START or UNSTOP clears a STOP there."),
        "source": _("Fetched from Twilio’s list: its webhook never arrived.") if is_from_list else "",
        "channel": _(
            "How the person asked: %(channel)s.",
            channel=_(OPT_OUT_CHANNELS.get(channel, channel)).lower() if channel else "",
        ),
        "error_code": _code_note(code),
        "day": _("Only the day is known."),
        "row": _("Row %(row)s of the file.", row=detail.get("row")),
        "reply": _("The reply’s MessageSid is %(sid)s.", sid=detail.get("reply")),
        "received_sms": _("This ended texts to that account at this number."),
    }
    return [sentence for name, sentence in notes.items() if detail.get(name) and sentence]


def _code_note(code: str) -> str:
    if code == DEACTIVATED_CODE:
        return _("The carrier reports that the number is no longer in service.")
    return _("%(meaning)s (code %(code)s)", meaning=explain_error_code(code, "").sentence, code=code)


def describe_effect(before: ConsentState, after: ConsentState) -> str:
    """Say what an event changed, or return "" if nothing; “{}” stands for the account that gets the texts."""
    was_stopped = before.stopped_at_ms is not None
    if after.stopped_at_ms is not None:
        return "" if was_stopped else _("After this, no texts go to this number.")
    if after.recipient_id is not None and (was_stopped or after.recipient_id != before.recipient_id):
        return _("After this, its texts go to {}.")
    if after.unassigned_start_id not in (None, before.unassigned_start_id):
        return _("After this, no account gets its texts until an administrator decides which one should.")
    if after.recipient_id is None and before.recipient_id is not None:
        return _("After this, no account gets its texts.")
    return ""
