"""Metrics for Prometheus."""

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from portal.core.audit_log import count_by_action
from portal.delivery import mail_server_status
from portal.messages.rules.lane_labels import CHANNELS
from portal.messages.rules.report_conflicts import ReportConflict
from portal.messages.tables.delivery_counts import channel_state_counts
from portal.messages.tables.unsent_messages import next_due_ms
from portal.operations import health, webhook_rejections


class PortalCollector(Collector):
    def __init__(self, now_ms: int) -> None:
        self._now_ms = now_ms

    def collect(self) -> Iterator[GaugeMetricFamily | CounterMetricFamily]:
        yield self._delivery_counts()
        yield self._oldest_waiting()
        is_mail_down = mail_server_status.mail_server_status().down_since_ms is not None
        yield GaugeMetricFamily(
            "portal_mail_server_down", "1 while the mail server accepts no mail.", int(is_mail_down)
        )
        is_queue_down = health.cached_queue_problem() is not None
        yield GaugeMetricFamily("portal_queue_down", "1 while the queue (Redis) accepts no writes.", int(is_queue_down))
        yield self._conflicting_reports()
        yield from self._rejected_webhooks()

    def _delivery_counts(self) -> GaugeMetricFamily:
        family = GaugeMetricFamily("portal_deliveries", "Deliveries by channel and state.", labels=["channel", "state"])
        for (channel, state), count in channel_state_counts().items():
            family.add_metric([channel, state], count)
        return family

    def _oldest_waiting(self) -> GaugeMetricFamily:
        description = "How long the delivery that waits longest has been due."
        family = GaugeMetricFamily("portal_oldest_waiting_seconds", description, labels=["channel"])
        for channel in CHANNELS:
            due_ms = next_due_ms(channel)
            family.add_metric([channel], 0 if due_ms is None else max(0, self._now_ms - due_ms) / 1000)
        return family

    def _conflicting_reports(self) -> GaugeMetricFamily:
        description = "Texts with reports that cannot all be true, by kind of conflict as in the audit log."
        family = GaugeMetricFamily("portal_conflicting_reports", description, labels=["kind"])
        counts = count_by_action(list(ReportConflict))
        for kind in ReportConflict:
            family.add_metric([kind.value], counts.get(kind.value, 0))
        return family

    def _rejected_webhooks(self) -> Iterator[GaugeMetricFamily | CounterMetricFamily]:
        description = "Webhook calls with an invalid signature, by likely cause and by whether they name our account."
        family = CounterMetricFamily("portal_webhooks_rejected", description, labels=["webhook", "cause", "names_us"])
        rejections = webhook_rejections.all_rejections(self._now_ms)
        for rejection in rejections:
            names_us = "yes" if rejection.rejection.names_us else "no"
            family.add_metric([rejection.endpoint, rejection.rejection.cause.value, names_us], rejection.call_count)
        yield family
        description = "1 while webhook calls that concern us are rejected and none is accepted."
        is_active = any(rejection.needs_attention(self._now_ms) for rejection in rejections)
        yield GaugeMetricFamily("portal_webhooks_rejection_active", description, value=int(is_active))
