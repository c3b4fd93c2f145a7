"""How a message ends, and the simulator's own phone numbers whose outcome is fixed."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Outcome:
    """The final status and its error code, if any. With status None the message stays at `sent`."""

    status: str | None
    error_code: int | None = None


DELIVERED = Outcome("delivered")
STUCK_AT_SENT = Outcome(None)

FIXED_OUTCOMES = {
    "+12025550190": Outcome("undelivered", 30003),
    "+12025550191": Outcome("undelivered", 30005),
    "+12025550192": Outcome("undelivered", 30006),
    "+12025550193": Outcome("undelivered", 30007),
    "+12025550194": Outcome("undelivered", 30008),
    "+12025550195": STUCK_AT_SENT,
}
"""By recipient. These numbers are not Twilio's: the API accepts a text to one of them, which then ends like this."""
