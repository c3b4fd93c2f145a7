"""The progress of a send: counts, and a forecast of its last text."""

from collections import Counter
from dataclasses import dataclass

from portal.core.errors import ActionRefused
from portal.core.extensions import db
from portal.core.rules.delivery_status import GROUPS, OPEN, STATES
from portal.core.translation import gettext as _
from portal.messages.tables import delivery_counts
from portal.sends.forecast import Forecast, current_traffic
from portal.sends.tables.sends import ACTIVE_STATES, Send

_RECEIPT_WAIT_MS = 600_000
"""How long the page of a finished send keeps polling for receipts."""


@dataclass(frozen=True)
class SendReport:
    """Channel to delivery state (`counts`) or state group (`groups`) to count. The page polls until `is_final`."""

    id: int
    state: str
    is_paused: bool
    recipients: int
    counts: dict[str, dict[str, int]]
    groups: dict[str, dict[str, int]]
    forecast: Forecast | None
    is_final: bool
    created_at_ms: int
    finished_at_ms: int | None

    @property
    def last_text_at_ms(self) -> int | None:
        """None if nothing is left to send or something blocks the send."""
        return self.forecast.last_text_at_ms if self.forecast else None


def send_report(send_id: int, now_ms: int) -> SendReport:
    """Raises `ActionRefused` if there is no such send."""
    send = db.session.get(Send, send_id, populate_existing=True)
    if send is None:
        raise ActionRefused(_("There is no send %(id)s.", id=str(send_id)))
    counts = delivery_counts.delivery_counts(send_id)
    return SendReport(
        id=send.id,
        state=send.state,
        is_paused=send.paused_at_ms is not None and send.state in ACTIVE_STATES,
        recipients=send.recipients,
        counts=counts,
        groups={channel: _counts_by_group(states) for channel, states in counts.items()},
        forecast=current_traffic(now_ms).forecast_send(send),
        is_final=_is_final(send, counts, now_ms),
        created_at_ms=send.created_at_ms,
        finished_at_ms=send.finished_at_ms,
    )


def _counts_by_group(states: dict[str, int]) -> dict[str, int]:
    counts = Counter[str]()
    for state, count in states.items():
        counts[STATES[state].group] += count
    return {group: counts[group] for group in GROUPS if counts[group]}


def _is_final(send: Send, counts: dict[str, dict[str, int]], now_ms: int) -> bool:
    if send.state in ACTIVE_STATES or send.finished_at_ms is None:
        return False
    is_open = any(state in OPEN for states in counts.values() for state in states)
    return not is_open or now_ms - send.finished_at_ms > _RECEIPT_WAIT_MS
