"""The one table of what the ledger's events are called and how they look, for pages, the shell and exports."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from portal.domain.consent import Kind, Standing, invited_now
from portal.domain.provider_codes import explain
from portal.domain.wording import BLOCKS


@dataclass(frozen=True)
class Words:
    """`tone` (ok, wait, bad, off, new) colours a label that always has words as well."""

    words: str
    tone: str


KINDS = {
    Kind.INVITED: Words("Invitation asked for", "wait"),
    Kind.WISHED: Words("Texts asked for while opted out", "wait"),
    Kind.START: Words("START from the phone", "ok"),
    Kind.STOP: Words("Opted out", "bad"),
    Kind.HELP: Words("HELP from the phone", "off"),
    Kind.OPT_IN: Words("Opt-in given elsewhere", "ok"),
    Kind.EVIDENCE: Words("Opt-in given elsewhere, without effect", "off"),
    Kind.MOVED: Words("Texts moved to another account", "new"),
    Kind.REMOVED: Words("Number taken off the account", "off"),
    Kind.UNREACHABLE: Words("Number cannot receive texts", "bad"),
    Kind.CONFIRMED: Words("Number confirmed by its owner", "ok"),
}
_STOPS = {
    "handset": "STOP from the phone",
    "twilio": "STOP, learned from Twilio",
    "manual": "Opted out by an administrator",
    "reply": "Opted out after reading a reply",
    "import": "Opted out, from a file",
}
SOURCES = {
    "handset": "A text from the phone",
    "portal": "A page of the portal",
    "twilio": "An answer of Twilio's",
    "manual": "An administrator",
    "reply": "A reply that an administrator read",
    "import": "An imported file",
}
HOWS = {
    "phone": "Phone call",
    "email": "Email",
    "letter": "Letter",
    "in_person": "In person",
    "other": "Another way",
}
"""How somebody asked to be opted out by hand."""

DECISIONS = {
    "stop": "Opted the number out",
    "moved": "Gave the texts to an account",
    "nothing": "Nothing to do",
}
"""What an administrator may decide about a reply."""


INTERPRETED = "A refusal in other words, read as STOP."


def event_words(kind: str, source: str) -> Words:
    found = KINDS[Kind(kind)] if kind in set(Kind) else Words(kind.capitalize(), "off")
    return Words(_STOPS.get(source, found.words), found.tone) if kind == Kind.STOP else found


def words_are(kind: str, source: str) -> str:
    """What the words of an event are: what was shown, what was texted, or what somebody wrote down."""
    if source in ("handset", "reply"):
        return "Texted"
    if kind in (Kind.OPT_IN, Kind.EVIDENCE):
        return "Evidence"
    shown = {Kind.INVITED: "Words shown", Kind.WISHED: "Words shown", Kind.STOP: "Reason"}
    return shown.get(Kind(kind), "Words") if kind in set(Kind) else "Words"


def wording_title(key: str) -> str:
    return BLOCKS[key].title if key in BLOCKS else key


def notes(detail: Mapping[str, Any]) -> list[str]:
    """What else an event tells, a sentence each."""
    code = str(detail.get("code", ""))
    how = str(detail.get("how", ""))
    found = {
        "interpreted": INTERPRETED,
        "lifts_no_stop": "YES to a toll-free number: it lifts no STOP, only START or UNSTOP does.",
        "heard": "Fetched from Twilio's list: its webhook never came." if detail.get("heard") == "list" else "",
        "how": f"How it was asked for: {HOWS.get(how, how).lower()}.",
        "code": f"{explain(code, '').sentence} (code {code})",
        "day": "No more than the day is known.",
        "row": f"Row {detail.get('row')} of the file.",
        "reply": f"The reply's MessageSid is {detail.get('reply')}.",
        "held_sms": "Its texts ended with that." if detail.get("held_sms") else "",
    }
    return [sentence for name, sentence in found.items() if detail.get(name) and sentence]


def effect(before: Standing, now: Standing) -> str:
    """What an event changed, “{}” being the account that gets the texts; empty when nothing."""
    if now.stopped_ms is not None:
        return "" if before.stopped_ms is not None else "Nothing is texted there from here on."
    if now.holder is not None and (now.holder != before.holder or before.stopped_ms is not None):
        return "Texts go to {} from here on."
    if now.unanswered not in (None, before.unanswered):
        return "Nobody gets its texts until an administrator decides whose they are."
    if now.holder is None and before.holder is not None:
        return "Nobody gets its texts from here on."
    return ""


def standing_words(now: Standing, at_ms: int) -> Words:
    """How a number stands, whoever's account it is on."""
    if now.stopped_ms is not None:
        return Words("Opted out", "off")
    if now.unreachable_ms is not None:
        return Words("Cannot receive texts", "bad")
    if now.holder is not None:
        return Words("Enabled for texts", "ok")
    if now.unanswered is not None:
        return Words("START came, and it is not known for which account", "wait")
    if invited_now(now, at_ms):
        return Words("Invited, no answer yet", "wait")
    return Words("Not enabled for texts", "off")
