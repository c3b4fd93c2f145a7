"""The words by which a handset leaves and comes back (TWILIO.md 4, 6.3): the whole text, whatever its case."""

import re

STOP_WORDS = frozenset(
    {"stop", "stopall", "unsubscribe", "cancel", "end", "quit", "revoke", "optout", "opt out", "opt-out"}
)
START_WORDS = frozenset({"start", "yes", "unstop"})
_EDGES = re.compile(r"^[\s.,!\"'“”]+|[\s.,!\"'“”]+$")


def keyword(body: str, opt_out_type: str = "") -> str | None:
    """`stop`, `start` or None. `opt_out_type` is Twilio's own reading of the text, where it sends one."""
    said = opt_out_type.lower() or " ".join(_EDGES.sub("", body).lower().split())
    if said in STOP_WORDS:
        return "stop"
    return "start" if said in START_WORDS else None
