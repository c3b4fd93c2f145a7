"""What the pages of a send say about it in words."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from portal.core.audit_log import AuditEntry
from portal.core.clock import now_ms
from portal.core.rules.delivery_status import StateGroup
from portal.core.translation import N_, join_words, ngettext
from portal.core.translation import gettext as _
from portal.sends.progress import SendReport
from portal.sends.rules.send_state import SendState
from portal.sends.tables.sends import Send
from portal.web.layout import is_sms_visible
from portal.web.time_display import relative_time

_NOT_SENT_GROUPS = (StateGroup.WAITING, StateGroup.SENDING, StateGroup.SKIPPED, StateGroup.CANCELED)
_CHANGES = {
    "send_paused": N_("Paused %(when)s by %(name)s"),
    "send_paused_after_restore": N_("Paused %(when)s by the portal, after the database was restored"),
    "send_resumed": N_("Resumed %(when)s by %(name)s"),
    "send_canceled": N_("Canceled %(when)s by %(name)s"),
    "send_undone": N_("Undone %(when)s by %(name)s, before anything was sent"),
    "send_declined": N_("Declined %(when)s by %(name)s: %(reason)s"),
    "send_withdrawn": N_("Withdrawn %(when)s by %(name)s"),
    "send_superseded": N_("Withdrawn %(when)s by the portal, because a later run of its schedule took its place"),
    "send_archived": N_("Archived %(when)s by %(name)s"),
    "send_unarchived": N_("Restored from the archive %(when)s by %(name)s"),
}
"""By the action in the audit log."""
_DATABASE_STATES = {
    SendState.AWAITING_APPROVAL: N_("The send waits for approval. No messages have been prepared."),
    SendState.QUEUED: N_("No messages have been prepared yet."),
    SendState.FANNING_OUT: N_("Messages are being prepared; some recipients have none yet."),
    SendState.SENDING: N_("All messages have been prepared."),
    SendState.DONE: N_("All messages have been prepared."),
    SendState.CANCELED: N_("The send is canceled."),
}


def describe_last_change(entry: AuditEntry | None) -> str:
    """Who paused, resumed or canceled the send, or changed it otherwise, and when."""
    if entry is None or entry.action not in _CHANGES:
        return ""
    name = entry.actor.name if entry.actor else _("the command line")
    values = {"when": relative_time(entry.at_ms), "name": name, "reason": entry.detail.get("reason", "")}
    return Markup(_(_CHANGES[entry.action])) % values  # noqa: S704  our own words


def seconds_to_start(send: Send) -> int:
    """Until the send begins and can no longer be undone; 0 if it has begun, or will not."""
    return max(0, -(-(send.starts_at_ms - now_ms()) // 1000)) if send.state == SendState.QUEUED else 0


def describe_database_state(report: SendReport) -> str:
    return _(_DATABASE_STATES[SendState(report.state)])


def describe_cancel(report: SendReport) -> dict[str, Any]:
    """Phrases for what is waiting, what has left, and what is being sent ("" if nothing is)."""
    waiting, sending, sent = Counter[str](), Counter[str](), Counter[str]()
    for channel, groups in report.groups.items():
        waiting[channel] = groups.get(StateGroup.WAITING, 0)
        sending[channel] = groups.get(StateGroup.SENDING, 0)
        sent[channel] = _sent_count(groups)
    return {
        "waiting": _describe_counts(waiting, _channels()),
        "sent": _describe_counts(sent, _channels()),
        "sending": _describe_counts(sending, [channel for channel in ("email", "sms") if sending[channel]]),
        "sending_count": sending.total(),
    }


def _channels() -> list[str]:
    return ["email", "sms"] if is_sms_visible() else ["email"]


def _describe_counts(counts: Counter[str], channels: list[str]) -> str:
    """“6 emails and 1 text”."""
    phrases = {
        "email": ngettext("%(num)s email", "%(num)s emails", counts["email"]),
        "sms": ngettext("%(num)s text", "%(num)s texts", counts["sms"]),
    }
    return join_words([phrases[channel] for channel in channels])


def progress_bars(report: SendReport) -> list[tuple[str, str, dict[str, int], int, int]]:
    """For each channel: its key, label, counts by group, and how many of how many messages are sent."""
    bars = []
    for channel, name in (("email", _("Emails")), ("sms", _("Texts"))):
        groups = report.groups.get(channel, {})
        total = sum(groups.values()) - groups.get(StateGroup.SKIPPED, 0)
        bars.append((channel, name, groups, _sent_count(groups), total))
    return bars


def _sent_count(groups: Mapping[str, int]) -> int:
    return sum(count for group, count in groups.items() if group not in _NOT_SENT_GROUPS)
