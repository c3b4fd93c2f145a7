"""Labels of the actions in the audit log."""

from portal.messages.rules.lane_labels import LANE_LABELS_BY_KEY
from portal.messages.rules.report_conflicts import ReportConflict

_ACTIONS: dict[str, tuple[str, str]] = {
    "send_paused": ("Sends paused", "Paused {}"),
    "send_paused_after_restore": ("Sends paused after a restore", "Paused {} after the database was restored"),
    "send_resumed": ("Sends resumed", "Resumed {}"),
    "send_canceled": ("Sends cancelled", "Cancelled {}"),
    "job_retried": ("Jobs started again", "Started {} again"),
    "lane_paused": ("Lanes paused", "Paused the lane of {}"),
    "lane_resumed": ("Lanes resumed", "Resumed the lane of {}"),
    "sender_resumed": ("Sending numbers resumed", "Resumed {}"),
    "text_marked_sent": ("Texts marked as sent", "Marked {} as sent, without evidence"),
    "text_marked_unsent": ("Texts marked as not sent", "Marked {} as not sent, without evidence"),
    "text_resent": ("Texts sent again by hand", "Sent {} again, without evidence"),
    ReportConflict.LISTED_TWICE: ("Texts listed twice", "Twilio lists {} more than once: it may have arrived twice"),
    ReportConflict.ACCEPTED_TWICE: ("Texts accepted twice", "Twilio accepted {} twice: it may have arrived twice"),
    ReportConflict.CONFLICTING_OUTCOMES: (
        "Texts reported as delivered and not delivered",
        "Twilio reported {} as delivered and as not delivered",
    ),
    ReportConflict.SENT_AND_NOT_SENT: (
        "Texts reported as sent and not sent",
        "Twilio reported {} as sent and as not sent",
    ),
    "reply_answered": ("Replies answered", "Answered {}"),
    "reply_assigned": ("Replies assigned", "Assigned {}"),
    "setting_changed": ("Settings changed", "Changed {}"),
    "timezone_changed": ("Time zones changed", "Changed the time zone of {}"),
    "password_link_sent": ("Password links emailed", "Emailed {} a link to choose a new password"),
    "password_changed": ("Passwords changed", "Changed the password of {}"),
    "database_restored": ("Databases restored", "Held back waiting messages: {} was restored from a backup"),
    "texts_reconciled": ("Days reconciled", "Compared the texts of {} with Twilio’s list"),
}
"""By action: the label of the filter, and a sentence about one entry with a placeholder for its subject."""
ACTION_LABELS = {action: label for action, (label, _) in _ACTIONS.items()}
ACTION_TEMPLATES = {action: template for action, (_, template) in _ACTIONS.items()}


def describe_action(action: str, subject: str) -> str:
    """An action without a template is shown by its name."""
    template = ACTION_TEMPLATES.get(action, action.replace("_", " ").capitalize() + ": {}")
    return template.format(LANE_LABELS_BY_KEY.get(subject, subject)).strip()
