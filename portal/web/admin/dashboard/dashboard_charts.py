"""The charts of the dashboard in words: what each part is called, and what stands beside it."""

from collections.abc import Sequence
from datetime import date

from portal.consent.rules.consent_state import EventKind
from portal.core.rules.delivery_status import StateGroup, group_labels
from portal.core.translation import N_, format_number, ngettext
from portal.core.translation import gettext as _
from portal.monitoring.rules.charts import BarChart, ColumnChart, Series, bar_chart, column_chart
from portal.monitoring.rules.cost_table import CostTable
from portal.monitoring.rules.event_history import EventHistory
from portal.monitoring.rules.message_history import MessageHistory, failure_rate
from portal.web.template_filters import format_dollars
from portal.web.time_display import month_name, short_day_name

_SHOWN = (StateGroup.DELIVERED, StateGroup.FAILED, StateGroup.SIMULATED)
_TONES = ("", "bad", "off")
_FUNNEL = (
    (N_("Invited"), (EventKind.INVITED,)),
    (N_("Opted in"), (EventKind.START, EventKind.OPT_IN)),
    (N_("Stopped"), (EventKind.STOP,)),
)


def message_chart(history: MessageHistory, channel: str, labels: Sequence[str], limit: int) -> ColumnChart:
    """Delivered, not delivered, and the share of the latter with its limit. `labels` are the days shown."""
    days = len(labels)
    columns = message_columns(history, channel, days)
    series = [
        Series(label, values, _in_days(sum(values), days), tone)
        for (label, values), tone in zip(columns, _TONES, strict=False)
    ]
    rate = failure_rate(history.of_last_days(channel, days))
    share = Series(
        name=_("Failure rate"),
        values=history.daily_failure_percent(channel, days),
        total=_in_days_percent(rate.percent, days),
        tone="bad",
        unit="%",
        limit=limit,
        limit_label=_("Limit %(percent)s%%", percent=limit),
    )
    return column_chart(labels, [*series, share])


def message_columns(history: MessageHistory, channel: str, days: int) -> list[tuple[str, tuple[int, ...]]]:
    """What the chart shows of each day: label and values. Without a gateway's test mode, nothing is simulated."""
    labels, total = group_labels(channel), history.of_last_days(channel, days)
    shown = [group for group in _SHOWN if total[group] or group is not StateGroup.SIMULATED]
    return [(_(labels[group]), history.daily(channel, days, group)) for group in shown]


def consent_columns(history: EventHistory, days: int) -> list[tuple[str, tuple[int, ...]]]:
    return [(_("START"), history.daily(days, EventKind.START)), (_("STOP"), history.daily(days, EventKind.STOP))]


def consent_chart(history: EventHistory, labels: Sequence[str]) -> ColumnChart:
    days = len(labels)
    series = [
        Series(label, values, _in_days(sum(values), days), tone)
        for (label, values), tone in zip(consent_columns(history, days), ("", "wait"), strict=True)
    ]
    return column_chart(labels, series)


def funnel_rows(history: EventHistory, days: int) -> list[tuple[str, int]]:
    return [(_(label), sum(history.daily(days, *kinds))) for label, kinds in _FUNNEL]


def funnel_chart(rows: Sequence[tuple[str, int]]) -> BarChart:
    return bar_chart([(label, count, format_number(count)) for label, count in rows])


def cost_chart(costs: CostTable) -> BarChart:
    """The months, each with its segments and their price."""
    rows = zip(costs.months, costs.totals, strict=True)
    return bar_chart([(month_name(month).capitalize(), total, cost_label(costs, total)) for month, total in rows])


def cost_label(costs: CostTable, segments: int) -> str:
    """“1,204 segments, $9.51”."""
    count, cost = ngettext("%(num)s segment", "%(num)s segments", segments), costs.cost(segments)
    if cost is None:
        return count
    return _("%(segments)s, %(cost)s", segments=count, cost=format_dollars(cost))


def day_labels(days: Sequence[date]) -> list[str]:
    return [short_day_name(day) for day in days]


def _in_days(count: int, days: int) -> str:
    return _("%(count)s in %(days)s days", count=count, days=days)


def _in_days_percent(percent: float, days: int) -> str:
    return _("%(percent)s%% in %(days)s days", percent=f"{percent:.1f}", days=days)
