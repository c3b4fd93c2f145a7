"""The one table of what the audit log tells, in words; `{}` is what it was done to."""

from portal.messages.rules.lane_labels import LANE_LABELS_BY_KEY
from portal.messages.rules.report_conflicts import ReportConflict

ACTION_TEMPLATES: dict[str, str] = {
    "send_paused": "Paused {}",
    "send_paused_after_restore": "Stopped {} after the database was restored from a copy",
    "send_resumed": "Resumed {}",
    "send_canceled": "Cancelled {}",
    "lane_paused": "Paused the lane of {}",
    "lane_resumed": "Resumed the lane of {}",
    "sender_resumed": "Let {} send again",
    "text_marked_sent": "Took {} as sent, without evidence",
    "text_marked_unsent": "Took {} as not sent, without evidence",
    "text_resent": "Sent {} again, without evidence",
    ReportConflict.LISTED_TWICE: "Found {} more than once in Twilio’s list: the person may have it twice",
    ReportConflict.ACCEPTED_TWICE: "Twilio took {} more than once: the person may have it twice",
    ReportConflict.CONFLICTING_OUTCOMES: "Twilio said that {} arrived, and that it did not",
    ReportConflict.SENT_AND_NOT_SENT: "There is word that {} left, and word that it did not",
    "setting_changed": "Changed {}",
    "timezone_changed": "Changed the time zone of {}",
    "password_link_sent": "Mailed a link to choose a new password for {}",
    "password_changed": "Chose a new password for {}",
    "database_restored": "Held back what waited: {} was restored from a copy",
    "texts_reconciled": "Compared the texts of {} with Twilio’s list",
}
ACTION_LABELS: dict[str, str] = {
    "send_paused": "Sends paused",
    "send_paused_after_restore": "Sends stopped after a restore",
    "send_resumed": "Sends resumed",
    "send_canceled": "Sends cancelled",
    "lane_paused": "Lanes paused",
    "lane_resumed": "Lanes resumed",
    "sender_resumed": "Sending numbers resumed",
    "text_marked_sent": "Texts taken as sent",
    "text_marked_unsent": "Texts taken as not sent",
    "text_resent": "Texts sent again by hand",
    ReportConflict.LISTED_TWICE: "Texts that Twilio lists twice",
    ReportConflict.ACCEPTED_TWICE: "Texts that Twilio took twice",
    ReportConflict.CONFLICTING_OUTCOMES: "Texts that arrived and did not",
    ReportConflict.SENT_AND_NOT_SENT: "Texts that left and did not",
    "setting_changed": "Settings changed",
    "timezone_changed": "Time zones changed",
    "password_link_sent": "Password links mailed",
    "password_changed": "Passwords changed",
    "database_restored": "Databases restored",
    "texts_reconciled": "Days compared",
}
"""What one can ask the audit log for: every action by a name of its own."""


def describe_action(action: str, subject: str) -> str:
    """An action that this table does not know is shown by its name."""
    words = ACTION_TEMPLATES.get(action, action.replace("_", " ").capitalize() + ": {}")
    return words.format(LANE_LABELS_BY_KEY.get(subject, subject)).strip()
