"""The one table of what the audit log tells, in words; `{}` is what it was done to."""

from portal.domain.contradictions import Contradiction
from portal.domain.lane_words import WORDS_OF_KEY

ACTIONS: dict[str, str] = {
    "send_paused": "Paused {}",
    "send_held_back": "Stopped {} after the database was restored from a copy",
    "send_resumed": "Resumed {}",
    "send_canceled": "Cancelled {}",
    "lane_paused": "Paused the lane of {}",
    "lane_resumed": "Resumed the lane of {}",
    "sender_resumed": "Let {} send again",
    "text_taken_as_sent": "Took {} as sent, without evidence",
    "text_taken_as_unsent": "Took {} as not sent, without evidence",
    "text_sent_again": "Sent {} again, without evidence",
    Contradiction.LISTED_TWICE: "Found {} more than once in Twilio’s list: the person may have it twice",
    Contradiction.TAKEN_TWICE: "Twilio took {} more than once: the person may have it twice",
    Contradiction.BOTH_ENDS: "Twilio said that {} arrived, and that it did not",
    Contradiction.BOTH_WAYS: "There is word that {} left, and word that it did not",
    "setting_changed": "Changed {}",
    "timezone_changed": "Changed the time zone of {}",
    "password_link_mailed": "Mailed a link to choose a new password for {}",
    "password_changed": "Chose a new password for {}",
    "database_restored": "Held back what waited: {} was restored from a copy",
    "texts_compared": "Compared the texts of {} with Twilio’s list",
}
KINDS: dict[str, str] = {
    "send_paused": "Sends paused",
    "send_held_back": "Sends stopped after a restore",
    "send_resumed": "Sends resumed",
    "send_canceled": "Sends cancelled",
    "lane_paused": "Lanes paused",
    "lane_resumed": "Lanes resumed",
    "sender_resumed": "Sending numbers resumed",
    "text_taken_as_sent": "Texts taken as sent",
    "text_taken_as_unsent": "Texts taken as not sent",
    "text_sent_again": "Texts sent again by hand",
    Contradiction.LISTED_TWICE: "Texts that Twilio lists twice",
    Contradiction.TAKEN_TWICE: "Texts that Twilio took twice",
    Contradiction.BOTH_ENDS: "Texts that arrived and did not",
    Contradiction.BOTH_WAYS: "Texts that left and did not",
    "setting_changed": "Settings changed",
    "timezone_changed": "Time zones changed",
    "password_link_mailed": "Password links mailed",
    "password_changed": "Passwords changed",
    "database_restored": "Databases restored",
    "texts_compared": "Days compared",
}
"""What one can ask the audit log for: every action by a name of its own."""


def words_for(action: str, subject: str) -> str:
    """An action that this table does not know is shown by its name."""
    words = ACTIONS.get(action, action.replace("_", " ").capitalize() + ": {}")
    return words.format(WORDS_OF_KEY.get(subject, subject)).strip()
