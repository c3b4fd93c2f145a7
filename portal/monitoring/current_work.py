"""What is under way and what waits for a person, from small indexed queries (ADR 48)."""

from collections.abc import Mapping
from dataclasses import dataclass

from portal.consent.tables.import_tasks import ImportTask
from portal.consent.tables.inbound_messages import count_replies_to_review
from portal.core.rules.delivery_status import DeliveryState
from portal.messages.tables import delivery_counts, unsent_messages
from portal.messages.tables.delivery_counts import GroupCounts
from portal.messages.tables.delivery_totals import totals
from portal.monitoring.tables import pending_work
from portal.schedules.tables.schedules import Schedule
from portal.sends.tables.recipient_files import RecipientFile
from portal.sends.tables.sends import Send, count_sends_to_approve

_LISTED = 5
_RECENT_MS = 7 * 86_400_000
"""For how long imports and files with errors are shown, if nobody does anything about them."""


@dataclass(frozen=True)
class UnderWay:
    """`oldest_due_ms` is when the text became due that waits longest; None if no text is due."""

    sends: tuple[Send, ...]
    counts: Mapping[int, GroupCounts]
    oldest_due_ms: int | None
    schedules: tuple[Schedule, ...]


@dataclass(frozen=True)
class WaitingWork:
    """What waits for a person."""

    replies: int
    unknown_texts: int
    approvals: int
    imports: tuple[ImportTask, ...]
    files: tuple[RecipientFile, ...]


def load_under_way(now_ms: int) -> UnderWay:
    sends = pending_work.newest_active_sends(_LISTED)
    due_ms = unsent_messages.next_due_ms("sms")
    return UnderWay(
        sends=tuple(sends),
        counts=delivery_counts.group_counts_by_send([send.id for send in sends]) if sends else {},
        oldest_due_ms=due_ms if due_ms is not None and due_ms <= now_ms else None,
        schedules=tuple(pending_work.next_schedules(_LISTED)),
    )


def load_waiting_work(now_ms: int) -> WaitingWork:
    unknown = totals((), channel="sms", states=[DeliveryState.UNKNOWN]).get(())
    return WaitingWork(
        replies=count_replies_to_review(),
        unknown_texts=unknown.count if unknown else 0,
        approvals=count_sends_to_approve(),
        imports=tuple(pending_work.imports_to_look_at(now_ms - _RECENT_MS, _LISTED)),
        files=tuple(pending_work.files_with_errors(now_ms - _RECENT_MS, _LISTED)),
    )
