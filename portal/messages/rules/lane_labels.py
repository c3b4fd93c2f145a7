"""Labels of the four lanes."""

from portal.core.rules.lanes import Lane
from portal.core.rules.phone import mask_phone

CHANNELS = {"sms": "texts", "email": "emails"}
LANE_NAMES: dict[int, str] = {Lane.URGENT: "urgent", Lane.BULK: "bulk"}


def lane_label(channel: str, lane: int) -> str:
    """For example “urgent texts”."""
    return f"{LANE_NAMES[lane]} {CHANNELS[channel]}"


def override_opted_out_message(number: str) -> str:
    """Say why no text can go to the override number, and how to fix it."""
    fix = "Text START from that phone, or choose another number."
    return f"{mask_phone(number)} replied STOP, so it may not be texted. {fix}"


def lane_key(channel: str, lane: int) -> str:
    """The name of a lane in the audit log, such as “sms urgent”."""
    return f"{channel} {LANE_NAMES[lane]}"


LANE_LABELS_BY_KEY = {lane_key(channel, lane): lane_label(channel, lane) for channel in CHANNELS for lane in LANE_NAMES}
