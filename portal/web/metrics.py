"""What Prometheus reads: how many deliveries stand where, and how long the oldest has waited."""

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from portal.core.audit_log import count_by_action
from portal.delivery import mail_server_status
from portal.messages.rules.report_conflicts import ReportConflict
from portal.messages.tables.delivery_counts import oldest_waiting_ms, total_counts
from portal.operations import health, webhook_rejections


class PortalCollector(Collector):
    def __init__(self, now_ms: int) -> None:
        self._now_ms = now_ms

    def collect(self) -> Iterator[GaugeMetricFamily | CounterMetricFamily]:
        yield self._delivery_counts()
        yield self._oldest_waiting()
        yield self._mail_server()
        yield self._queue()
        yield self._conflicting_reports()
        yield from self._rejected_webhooks()

    def _delivery_counts(self) -> GaugeMetricFamily:
        family = GaugeMetricFamily("portal_deliveries", "Deliveries by channel and state.", labels=["channel", "state"])
        for channel, state, count in total_counts():
            family.add_metric([channel, state], count)
        return family

    def _oldest_waiting(self) -> GaugeMetricFamily:
        words = "Age of the oldest delivery that may leave now and has not."
        family = GaugeMetricFamily("portal_oldest_waiting_seconds", words, labels=["channel"])
        oldest = oldest_waiting_ms(self._now_ms)
        ages = {channel: (self._now_ms - at_ms) / 1000 for channel, at_ms in oldest.items()}
        for channel in ("email", "sms"):
            family.add_metric([channel], ages.get(channel, 0.0))
        return family

    def _conflicting_reports(self) -> GaugeMetricFamily:
        words = "Texts of which things are told that cannot all be true, by the audit log's name of the kind."
        family = GaugeMetricFamily("portal_conflicting_reports", words, labels=["kind"])
        found = count_by_action(list(ReportConflict))
        for kind in ReportConflict:
            family.add_metric([kind.value], found.get(kind.value, 0))
        return family

    def _rejected_webhooks(self) -> Iterator[GaugeMetricFamily | CounterMetricFamily]:
        words = "Calls to a webhook refused for their signature, by likely cause, and whether they name what is ours."
        family = CounterMetricFamily("portal_webhooks_rejected", words, labels=["webhook", "cause", "names_us"])
        found = webhook_rejections.all_rejections(self._now_ms)
        for one in found:
            ours = "yes" if one.rejection.names_us else "no"
            family.add_metric([one.endpoint, one.rejection.cause.value, ours], one.call_count)
        yield family
        words = "1 while calls that concern us are refused and none is believed."
        alarming = any(one.needs_attention(self._now_ms) for one in found)
        yield GaugeMetricFamily("portal_webhooks_rejection_active", words, value=int(alarming))

    def _mail_server(self) -> GaugeMetricFamily:
        away = mail_server_status.mail_server_status().down_since_ms is not None
        return GaugeMetricFamily("portal_mail_server_down", "1 while the mail server takes no mail.", value=int(away))

    def _queue(self) -> GaugeMetricFamily:
        away = health.cached_queue_problem() is not None
        return GaugeMetricFamily("portal_queue_down", "1 while the queue (Redis) takes no writes.", value=int(away))
