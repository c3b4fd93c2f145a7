"""The one table of what the audit log tells, in words; `{}` is what it was done to."""

ACTIONS: dict[str, str] = {
    "send_paused": "Paused {}",
    "send_resumed": "Resumed {}",
    "send_canceled": "Cancelled {}",
    "lane_paused": "Paused the lane {}",
    "lane_resumed": "Resumed the lane {}",
    "database_restored": "Held back what waited: {} was restored from a copy",
    "texts_compared": "Compared the texts of {} with Twilio’s list",
    "sender_resumed": "Let {} send again",
}


def words_for(action: str, subject: str) -> str:
    """An action that this table does not know is shown by its name."""
    return ACTIONS.get(action, action.replace("_", " ").capitalize() + ": {}").format(subject)
