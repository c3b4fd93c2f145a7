"""Administration → dashboard: what became of the messages, what is under way, and what waits for somebody."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flask import Blueprint, render_template, request, url_for

from portal.core.clock import now_ms
from portal.core.rules.delivery_status import StateGroup, group_labels
from portal.core.translation import gettext as _
from portal.monitoring import current_work
from portal.monitoring.failure_rates import recent_failure_rates
from portal.monitoring.rules.cost_table import cost_table
from portal.monitoring.rules.event_history import EventHistory
from portal.monitoring.rules.message_history import FailureRate, MessageHistory, failure_rate, message_history
from portal.monitoring.statistics import DAYS, Statistics, load_statistics
from portal.monitoring.tables.pending_work import WorkCounts, work_counts
from portal.settings.rules.send_settings import alert_limits, send_settings
from portal.web.access import allow, has_role
from portal.web.admin.dashboard import dashboard_charts
from portal.web.admin.dashboard.waiting_items import waiting_items
from portal.web.layout import current_configuration, is_sms_visible
from portal.web.time_display import current_time_zone

pages = Blueprint("admin_dashboard", __name__, url_prefix="/Admin")
PERIODS = (7, 30, DAYS)
"""Days that the charts can show."""
_DEFAULT_DAYS = 30
_TABLE_PERIODS = (1, *PERIODS)


@dataclass(frozen=True)
class Step:
    """One of the first steps of a new installation."""

    label: str
    action: str
    url: str
    is_done: bool


@dataclass(frozen=True)
class ChannelTable:
    """`rows` are the label of a group of states, and its count in each period."""

    periods: tuple[str, ...]
    rows: tuple[tuple[str, tuple[int, ...]], ...]
    rates: tuple[FailureRate, ...]


@pages.get("")
@allow("admin")
def page() -> str:
    counts, at_ms = work_counts(), now_ms()
    values = _figures(at_ms) if counts.has_sends else {"steps": _first_steps(counts)}
    return render_template(
        "admin/dashboard/page.html",
        waiting=list(waiting_items(current_work.load_waiting_work(at_ms), counts.drafts)),
        under_way=current_work.load_under_way(at_ms),
        schedules_on_dates=counts.schedules_on_dates,
        time_zone=current_time_zone().key,
        **values,
    )


def _figures(at_ms: int) -> dict[str, object]:
    days, settings = _requested_days(), current_configuration().values
    statistics, limit = load_statistics(at_ms, current_time_zone()), alert_limits(settings).failure_percent
    history = message_history(statistics.days, statistics.messages)
    labels = dashboard_charts.day_labels(statistics.days.days[-days:])
    channels = ("sms", "email") if is_sms_visible() else ("email",)
    values: dict[str, object] = {
        "days": days,
        "periods": PERIODS,
        "limit": limit,
        "recent": recent_failure_rates(at_ms),
        "tables": {channel: _channel_table(history, channel) for channel in channels},
        "message_charts": {
            channel: dashboard_charts.message_chart(history, channel, labels, limit) for channel in channels
        },
        "message_columns": {channel: dashboard_charts.message_columns(history, channel, days) for channel in channels},
        "day_labels": labels,
    }
    return {**values, **_text_figures(statistics, labels, settings)} if is_sms_visible() else values


def _text_figures(statistics: Statistics, labels: list[str], settings: Mapping[str, Any]) -> dict[str, object]:
    consent = EventHistory(len(statistics.days.days), statistics.events)
    price = send_settings(settings).price_per_segment
    costs = cost_table(statistics.months.days, statistics.segments, price)
    funnel = dashboard_charts.funnel_rows(consent, len(labels))
    return {
        "consent_columns": dashboard_charts.consent_columns(consent, len(labels)),
        "consent_chart": dashboard_charts.consent_chart(consent, labels),
        "funnel_chart": dashboard_charts.funnel_chart(funnel),
        "costs": costs,
        "cost_chart": dashboard_charts.cost_chart(costs),
        "cost_label": dashboard_charts.cost_label,
    }


def _requested_days() -> int:
    days = request.args.get("days", "")
    return int(days) if days in map(str, PERIODS) else _DEFAULT_DAYS


def _channel_table(history: MessageHistory, channel: str) -> ChannelTable:
    """With the groups that occur, and those that everybody looks for."""
    labels, always = group_labels(channel), (StateGroup.DELIVERED, StateGroup.FAILED)
    counts = [history.of_last_days(channel, days) for days in _TABLE_PERIODS]
    groups = [group for group in StateGroup if counts[-1][group] or group in always]
    return ChannelTable(
        periods=(_("Today"), *(_("%(days)s days", days=days) for days in PERIODS)),
        rows=tuple((_(labels[group]), tuple(period[group] for period in counts)) for group in groups),
        rates=tuple(map(failure_rate, counts)),
    )


def _first_steps(counts: WorkCounts) -> list[Step]:
    steps = [
        Step(
            _("Add the people who get messages"),
            _("Open accounts"),
            url_for("admin_accounts.listing"),
            counts.has_people,
        ),
        Step(
            _("Write a template"),
            _("New template"),
            url_for("admin_templates.new"),
            counts.has_templates,
        ),
        Step(_("Send it"), _("New send"), url_for("admin_sends.new"), counts.has_sends),
    ]
    if has_role("sysadmin"):
        url = url_for("sysadmin_config.listing")
        steps.insert(0, Step(_("Set up the gateway"), _("Open settings"), url, is_sms_visible()))
    return steps
