"""What is wrong now, by the same judgments as the banners and the pages."""

from collections.abc import Iterator

from portal.delivery import mail_server_status
from portal.messages.rules.lane_labels import CHANNELS, lane_key
from portal.messages.tables import lane_state
from portal.messages.tables.delivery_totals import HOUR_MS, totals
from portal.monitoring.failure_rates import recent_failure_rates
from portal.monitoring.rules.alert_kinds import BUDGET_STEPS, AlertKind, Condition, is_step_used
from portal.monitoring.tables import check_verdicts, lane_activity
from portal.monitoring.tables.daily_counts import BILLED_STATES
from portal.operations import health
from portal.operations.rules import checks
from portal.operations.rules.mail_server_checks import MAIL_SERVER
from portal.operations.tables.log_verifications import last_verifications
from portal.sends.provider_availability import missing_process_kinds
from portal.settings import app_settings
from portal.settings.rules.app_config import GatewayConfig
from portal.settings.rules.send_settings import AlertLimits
from portal.settings.tables import sending_numbers

_STUCK_AFTER_MS = 600_000
_WATCHED_CHECKS = {
    spec.name for spec in (checks.QUEUE, checks.WORKER_HEARTBEATS, checks.SCHEDULER_HEARTBEAT, checks.LANES)
}
_WORKERS = {"sms": "worker:sms", "email": "worker:email"}


def current_conditions(now_ms: int, known: frozenset[Condition] = frozenset()) -> list[Condition]:
    """`known` are those of which an alert is open: a rate or a count ends only when it is clearly lower."""
    gateway, limits = app_settings.resolve_current_gateway(now_ms), app_settings.current_alert_limits()
    outages = [*_outages(gateway, now_ms), *_pauses(gateway)]
    return [
        *outages,
        *_stuck_lanes(gateway, {condition.kind for condition in outages}, now_ms),
        *_failure_rates(limits, known, now_ms),
        *_used_budget(limits, known, now_ms),
        *_worse_checks({condition.kind for condition in outages}),
        *_changed_logs(),
    ]


def _outages(gateway: GatewayConfig, now_ms: int) -> Iterator[Condition]:
    for process in sorted(missing_process_kinds(now_ms)):
        yield Condition(AlertKind.PROCESS_MISSING, process)
    if provider := health.unavailable_provider(gateway, now_ms):
        yield Condition(AlertKind.PROVIDER_AWAY, provider)
    if mail_server_status.mail_server_status().down_since_ms is not None:
        yield Condition(AlertKind.MAIL_SERVER_AWAY)
    if health.queue_problem():
        yield Condition(AlertKind.QUEUE_AWAY)


def _pauses(gateway: GatewayConfig) -> Iterator[Condition]:
    """Not what somebody paused on purpose."""
    if gateway.switches.feature_on and sending_numbers.paused_senders():
        yield Condition(AlertKind.SENDER_PAUSED)
    if any(lane.paused_at_ms and lane.paused_by_id is None for lane in lane_state.all_lanes()):
        yield Condition(AlertKind.LANES_PAUSED)


def _stuck_lanes(gateway: GatewayConfig, outages: set[AlertKind], now_ms: int) -> Iterator[Condition]:
    """Lanes that stand still although nothing explains it."""
    since_ms = now_ms - _STUCK_AFTER_MS
    for channel in CHANNELS:
        if _has_known_cause(channel, gateway, outages, now_ms):
            continue
        for lane in lane_state.running_lanes(channel):
            is_due = lane_activity.has_due_since(channel, lane, since_ms)
            if is_due and not lane_activity.has_attempt_since(channel, lane, since_ms):
                yield Condition(AlertKind.LANE_STUCK, lane_key(channel, lane))


def _has_known_cause(channel: str, gateway: GatewayConfig, outages: set[AlertKind], now_ms: int) -> bool:
    if _WORKERS[channel] in missing_process_kinds(now_ms):
        return True
    if channel == "email":
        return AlertKind.MAIL_SERVER_AWAY in outages or app_settings.email_route(now_ms).has_no_destination
    is_blocked = gateway.send_route is None or bool(app_settings.opted_out_override(gateway.switches))
    is_limited = bool(sending_numbers.rate_limited_senders(now_ms))
    return is_blocked or is_limited or bool(outages & {AlertKind.PROVIDER_AWAY, AlertKind.SENDER_PAUSED})


def _failure_rates(limits: AlertLimits, known: frozenset[Condition], now_ms: int) -> Iterator[Condition]:
    for channel, rate in recent_failure_rates(now_ms).items():
        condition = Condition(AlertKind.FAILURE_RATE, channel)
        if rate.exceeds(limits.failure_percent, condition in known):
            yield condition


def _worse_checks(outages: set[AlertKind]) -> Iterator[Condition]:
    """Of the hourly diagnostics, unless an alert of its own tells the same sooner."""
    told = {*_WATCHED_CHECKS, *([MAIL_SERVER.name] if AlertKind.MAIL_SERVER_AWAY in outages else [])}
    for name in check_verdicts.worse_checks():
        if name not in told:
            yield Condition(AlertKind.CHECK_FAILING, name)


def _changed_logs() -> Iterator[Condition]:
    return (Condition(AlertKind.LOG_CHANGED, row.log) for row in last_verifications().values() if row.reason)


def _used_budget(limits: AlertLimits, known: frozenset[Condition], now_ms: int) -> Iterator[Condition]:
    if not limits.segments_per_day:
        return
    since_hour = now_ms // HOUR_MS - 23
    used = totals((), channel="sms", since_hour=since_hour, states=BILLED_STATES).get(())
    for step in BUDGET_STEPS:
        condition = Condition(AlertKind.SEGMENT_BUDGET, str(step))
        if is_step_used(used.segments if used else 0, limits.segments_per_day, step, condition in known):
            yield condition
