"""Phone numbers: their shape, Twilio's magic ones, and the simulator's own that always fail."""

import re
from dataclasses import dataclass

_E164 = re.compile(r"\+[1-9][0-9]{6,14}")
_NANP = re.compile(r"\+1[2-9][0-9]{2}[2-9][0-9]{6}")
_TOLL_FREE = re.compile(r"\+18(00|22|33|44|55|66|77|88)[0-9]{7}")
_SENDER = re.compile(r"\+?[0-9]{3,15}")

# Twilio's test credentials: what a magic sender or recipient is answered with.
MAGIC_FROM = {"+15005550001": 21212, "+15005550007": 21606, "+15005550008": 21611}
MAGIC_FROM_ACCEPTED = "+15005550006"
MAGIC_TO = {
    "+15005550001": 21211,
    "+15005550002": 21612,
    "+15005550003": 21408,
    "+15005550004": 21610,
    "+15005550009": 21614,
}


@dataclass(frozen=True)
class Outcome:
    """How a message ends: its final status (None = it stays at sent) and the error code, if any."""

    status: str | None
    error_code: int | None = None


DELIVERED = Outcome("delivered")
STUCK_AT_SENT = Outcome(None)

# The simulator's own numbers (not Twilio's): a text to one of them is accepted and then ends like this.
OUTCOMES = {
    "+12025550190": Outcome("undelivered", 30003),
    "+12025550191": Outcome("undelivered", 30005),
    "+12025550192": Outcome("undelivered", 30006),
    "+12025550193": Outcome("undelivered", 30007),
    "+12025550194": Outcome("undelivered", 30008),
    "+12025550195": STUCK_AT_SENT,
}


def is_phone_number(text: str) -> bool:
    if text.startswith("+1"):
        return _NANP.fullmatch(text) is not None
    return _E164.fullmatch(text) is not None


def is_toll_free(text: str) -> bool:
    return _TOLL_FREE.fullmatch(text) is not None


def is_sender(text: str) -> bool:
    return _SENDER.fullmatch(text) is not None


def parse_typed(text: str) -> str | None:
    """What a person typed as E.164, or None. Ten digits are taken as a US number."""
    kept = re.sub(r"[\s().\-]", "", text)
    if re.fullmatch(r"[0-9]{10}", kept):
        kept = "+1" + kept
    elif re.fullmatch(r"1[0-9]{10}", kept):
        kept = "+" + kept
    return kept if is_phone_number(kept) else None


def friendly(number: str) -> str:
    if _NANP.fullmatch(number):
        return f"({number[2:5]}) {number[5:8]}-{number[8:]}"
    return number
