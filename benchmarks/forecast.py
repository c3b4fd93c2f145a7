"""Forecast accuracy: the predicted time of a send's last text against its arrival."""

import threading
from dataclasses import dataclass

from flask import Flask

from benchmarks import targets
from benchmarks.arrivals import create_calls
from benchmarks.environment import add_accounts, fresh_portal, fresh_simulator, queue_texts
from portal.core.clock import now_ms
from portal.core.extensions import db
from portal.delivery import maintenance
from portal.delivery.sms_worker import drain_sms
from portal.messages.tables import unsent_messages
from portal.sends import fan_out, progress, send_creation

RATE = 20
ALONE = (2_000,)
SHARING = (600, 200)


@dataclass(frozen=True)
class ForecastSample:
    """One send: its size, when it was created, and when its last text is predicted to leave."""

    index: int
    texts: int
    created_at_ms: int
    last_text_at_ms: int


def run() -> list[str]:
    lines = [f"| texts at {RATE}/s | forecast, s | last text arrived after, s | error |", "|---|---|---|---|"]
    for sizes in (ALONE, SHARING):
        with fresh_simulator() as url, fresh_portal(url) as app:
            queue_texts(1, RATE)
            drain_sms(seconds=5)
            lines += [_line(sample, _last_arrival_ms(url, sample.index)) for sample in _send(app, sizes)]
    return lines


def _send(app: Flask, sizes: tuple[int, ...]) -> list[ForecastSample]:
    """Create all sends, record their forecasts, then fan out and send."""
    maintenance.record_heartbeat("the benchmark", "worker:sms", now_ms() + 3_600_000)
    for index, texts in enumerate(sizes):
        add_accounts(texts, f"G{index}", _first_number(index))
    created_at_ms = now_ms()
    send_ids = [
        send_creation.create_send("load", {"account_type": f"G{n}"}, {}, None, now_ms()) for n in range(len(sizes))
    ]
    samples = [
        ForecastSample(index, texts, created_at_ms, progress.send_report(send_id, now_ms()).last_text_at_ms or 0)
        for index, (texts, send_id) in enumerate(zip(sizes, send_ids, strict=True))
    ]
    db.session.rollback()
    _fan_out_and_drain(app, send_ids)
    return samples


def _fan_out_and_drain(app: Flask, send_ids: list[int]) -> None:
    """As in production: the first texts leave while the fan-out still runs."""
    threads = [threading.Thread(target=_fan_out, args=(app, send_id)) for send_id in send_ids]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads) or unsent_messages.next_due_ms("sms") is not None:
        db.session.rollback()
        drain_sms(seconds=30)


def _fan_out(app: Flask, send_id: int) -> None:
    with app.app_context():
        fan_out.fan_out_send(send_id, now_ms, seconds=600)
        db.session.remove()


def _first_number(index: int) -> int:
    return 3_000_000 + 100_000 * index


def _last_arrival_ms(simulator_url: str, index: int) -> int:
    """When the last text of a send arrived at the simulator."""
    prefix = f"+1415{str(_first_number(index))[:2]}"
    return max(int(call["at_ms"]) for call in create_calls(simulator_url) if call["to"].startswith(prefix))


def _line(sample: ForecastSample, arrived_ms: int) -> str:
    forecast = (sample.last_text_at_ms - sample.created_at_ms) / 1000
    actual = (arrived_ms - sample.created_at_ms) / 1000
    error = 100 * abs(forecast - actual) / actual
    suffix = "" if sample.texts in ALONE else ", sharing the lane"
    targets.at_most(f"forecast of {sample.texts:,} texts at {RATE}/s{suffix}: error", error, 3, "{:.1f} %")
    return f"| {sample.texts:,}{suffix} | {forecast:.1f} | {actual:.1f} | {error:.1f} % |"
