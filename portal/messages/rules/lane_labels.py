"""What the four lanes are called, and what keeps all of them."""

from portal.core.rules.phone import mask_phone

CHANNELS = {"sms": "texts", "email": "emails"}
LANE_NAMES = {0: "urgent", 1: "bulk"}


def lane_label(channel: str, lane: int) -> str:
    """“urgent texts”"""
    return f"{LANE_NAMES[lane]} {CHANNELS[channel]}"


def override_opted_out_message(number: str) -> str:
    """What is wrong with a number that every text would go to, and the ways out."""
    way_out = "Text START from that phone, or choose another number."
    return f"{mask_phone(number)} replied STOP, so no text may go there. {way_out}"


def lane_key(channel: str, lane: int) -> str:
    """“sms urgent”, as the audit log has it."""
    return f"{channel} {LANE_NAMES[lane]}"


LANE_LABELS_BY_KEY = {
    lane_key(channel, number): lane_label(channel, number) for channel in CHANNELS for number in LANE_NAMES
}
