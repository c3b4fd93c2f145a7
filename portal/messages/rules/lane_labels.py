"""Labels of the four lanes."""

from portal.core.rules.lanes import Lane
from portal.core.rules.phone import mask_phone
from portal.core.translation import N_
from portal.core.translation import gettext as _

CHANNELS = ("sms", "email")
LANE_NAMES: dict[int, str] = {Lane.URGENT: "urgent", Lane.BULK: "bulk"}
_LABELS: dict[tuple[str, int], str] = {
    ("sms", Lane.URGENT): N_("urgent texts"),
    ("sms", Lane.BULK): N_("bulk texts"),
    ("email", Lane.URGENT): N_("urgent emails"),
    ("email", Lane.BULK): N_("bulk emails"),
}
_TITLES: dict[tuple[str, int], str] = {
    ("sms", Lane.URGENT): N_("Urgent texts"),
    ("sms", Lane.BULK): N_("Bulk texts"),
    ("email", Lane.URGENT): N_("Urgent emails"),
    ("email", Lane.BULK): N_("Bulk emails"),
}


def lane_title(channel: str, lane: int) -> str:
    return _(_TITLES[channel, lane])


def lane_label(channel: str, lane: int) -> str:
    """For example “urgent texts”."""
    return _(_LABELS[channel, lane])


def override_opted_out_message(number: str) -> str:
    """Say why no text can go to the override number, and how to fix it."""
    return _(
        "%(number)s is opted out, so it may not be texted. Text START from that phone, or choose another number.",
        number=mask_phone(number),
    )


def lane_key(channel: str, lane: int) -> str:
    """The name of a lane in the audit log, such as “sms urgent”."""
    return f"{channel} {LANE_NAMES[lane]}"


LANE_LABELS_BY_KEY = {lane_key(*lane): label for lane, label in _LABELS.items()}
