"""The words of the audit log: labels of actions, sentences about entries, and their details."""

from collections.abc import Mapping
from typing import Any

from portal.core.translation import N_, format_number
from portal.core.translation import gettext as _
from portal.messages.rules.lane_labels import LANE_LABELS_BY_KEY
from portal.messages.rules.report_conflicts import ReportConflict

_ACTIONS: dict[str, tuple[str, str]] = {
    "send_paused": (N_("Sends paused"), N_("Paused send %(subject)s")),
    "send_paused_after_restore": (
        N_("Sends paused after a restore"),
        N_("Paused send %(subject)s after the database was restored"),
    ),
    "send_resumed": (N_("Sends resumed"), N_("Resumed send %(subject)s")),
    "send_canceled": (N_("Sends canceled"), N_("Canceled send %(subject)s")),
    "job_retried": (N_("Jobs started again"), N_("Started job %(subject)s again")),
    "lane_paused": (N_("Lanes paused"), N_("Paused the lane of %(subject)s")),
    "lane_resumed": (N_("Lanes resumed"), N_("Resumed the lane of %(subject)s")),
    "sender_resumed": (N_("Sending numbers resumed"), N_("Resumed the sending number")),
    "text_marked_sent": (N_("Texts marked as sent"), N_("Marked text %(subject)s as sent, without evidence")),
    "text_marked_unsent": (N_("Texts marked as not sent"), N_("Marked text %(subject)s as not sent, without evidence")),
    "text_resent": (N_("Texts sent again by hand"), N_("Sent text %(subject)s again, without evidence")),
    ReportConflict.LISTED_TWICE: (
        N_("Texts listed twice"),
        N_("Twilio lists text %(subject)s more than once: it may have arrived twice"),
    ),
    ReportConflict.ACCEPTED_TWICE: (
        N_("Texts accepted twice"),
        N_("Twilio accepted text %(subject)s twice: it may have arrived twice"),
    ),
    ReportConflict.CONFLICTING_OUTCOMES: (
        N_("Texts reported as delivered and not delivered"),
        N_("Twilio reported text %(subject)s as delivered and as not delivered"),
    ),
    ReportConflict.SENT_AND_NOT_SENT: (
        N_("Texts reported as sent and not sent"),
        N_("Twilio reported text %(subject)s as sent and as not sent"),
    ),
    "reply_answered": (N_("Replies answered"), N_("Answered reply %(subject)s")),
    "reply_assigned": (N_("Replies assigned"), N_("Assigned reply %(subject)s")),
    "setting_changed": (N_("Settings changed"), N_("Changed %(subject)s")),
    "timezone_changed": (N_("Time zones changed"), N_("Changed the time zone of account %(subject)s")),
    "password_link_sent": (
        N_("Password links emailed"),
        N_("Emailed account %(subject)s a link to choose a new password"),
    ),
    "password_changed": (N_("Passwords changed"), N_("Changed the password of account %(subject)s")),
    "database_restored": (
        N_("Databases restored"),
        N_("Held back waiting messages, because the database was restored from a backup"),
    ),
    "texts_reconciled": (N_("Days reconciled"), N_("Compared the texts of %(subject)s with Twilio’s list")),
}
"""By action: the label of the filter, and a sentence about one entry."""
ACTION_LABELS = {action: label for action, (label, _sentence) in _ACTIONS.items()}
ACTION_TEMPLATES = {action: template for action, (_label, template) in _ACTIONS.items()}
_KINDS = ("send", "text", "reply", "job", "account")
"""What the subjects of entries begin with; the sentences say it themselves."""
_DETAILS = {
    "listed": N_("listed: %(value)s"),
    "not_ours": N_("not ours: %(value)s"),
    "not_listed": N_("not listed: %(value)s"),
    "not_ours_ids": N_("ids not ours: %(value)s"),
    "not_listed_ids": N_("ids not listed: %(value)s"),
    "texts": N_("texts: %(value)s"),
    "mails": N_("emails: %(value)s"),
    "error_code": N_("error code %(value)s"),
    "ids": N_("ids %(value)s"),
    "recorded": N_("recorded %(value)s"),
    "reported": N_("reported %(value)s"),
    "by": N_("by %(value)s"),
    "from": N_("from %(value)s"),
    "to": N_("to %(value)s"),
}
_STATES = ("recorded", "reported")
_WORDS = (N_("email"), N_("text"), N_("email and text"), N_("text and email"), N_("nobody"))
"""What details say in English, besides the labels of states."""
_LINK_KEYS = ("communication", "attempt")


def describe_action(action: str, subject: str) -> str:
    """A sentence about an entry. An action without one is shown by its name."""
    if (template := ACTION_TEMPLATES.get(action)) is None:
        return f"{action.replace('_', ' ').capitalize()}: {subject}"
    kind, _space, rest = subject.partition(" ")
    name = rest if kind in _KINDS else _(LANE_LABELS_BY_KEY.get(subject, "")) or subject
    return _(template, subject=name)


def describe_detail(detail: Mapping[str, Any]) -> str:
    """Leaves out times in milliseconds, ids for links, and empty lists."""
    return ", ".join(
        _(_DETAILS[key], value=_format_value(key, value)) if key in _DETAILS else f"{key}: {value}"
        for key, value in detail.items()
        if key not in _LINK_KEYS and not key.endswith("_ms") and value != []
    )


def _format_value(key: str, value: Any) -> str:
    if isinstance(value, list):
        return " ".join(map(str, value))
    if isinstance(value, int):
        return format_number(value)
    return _(value) if key in _STATES or value in _WORDS else str(value)
