"""What is said at the start of a send about when its last text leaves, beside when that then arrives."""

import threading
from dataclasses import dataclass

from flask import Flask

from benchmarks import goals
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
    """A send of so many texts, when it was created, and when its last text was said to leave."""

    place: int
    texts: int
    send_id: int
    began_ms: int
    last_text_at_ms: int


def run() -> list[str]:
    lines = [
        f"| texts at {RATE}/s | said at the start, s | the last text arrived after, s | error |",
        "|---|---|---|---|",
    ]
    for sizes in (ALONE, SHARING):
        with fresh_simulator() as url, fresh_portal(url) as app:
            queue_texts(1, RATE)
            drain_sms(seconds=5)
            lines += [_line(told, _arrived_ms(url, told.place)) for told in _send(app, sizes)]
    return lines


def _send(app: Flask, sizes: tuple[int, ...]) -> list[ForecastSample]:
    """All of them created, what is said of each noted, then made ready and sent."""
    maintenance.record_heartbeat("the benchmark", "worker:sms", now_ms() + 3_600_000)
    for place, texts in enumerate(sizes):
        add_accounts(texts, f"G{place}", _first_number(place))
    began_ms = now_ms()
    created = [
        send_creation.create_send("load", {"account_type": f"G{n}"}, {}, None, now_ms()) for n in range(len(sizes))
    ]
    told = [
        ForecastSample(place, texts, send_id, began_ms, progress.send_report(send_id, now_ms()).last_text_at_ms or 0)
        for place, (texts, send_id) in enumerate(zip(sizes, created, strict=True))
    ]
    db.session.rollback()
    _fan_out_and_drain(app, created)
    return told


def _fan_out_and_drain(app: Flask, created: list[int]) -> None:
    """As in the product: the texts leave while the rest is still being made ready."""
    makers = [threading.Thread(target=_fan_out, args=(app, send_id)) for send_id in created]
    for maker in makers:
        maker.start()
    while any(maker.is_alive() for maker in makers) or unsent_messages.next_due_ms("sms") is not None:
        db.session.rollback()
        drain_sms(seconds=30)


def _fan_out(app: Flask, send_id: int) -> None:
    with app.app_context():
        fan_out.fan_out_send(send_id, now_ms, seconds=600)
        db.session.remove()


def _first_number(place: int) -> int:
    return 3_000_000 + 100_000 * place


def _arrived_ms(simulator_url: str, place: int) -> int:
    """When the last text to the people of one send arrived at the simulator."""
    start = f"+1415{str(_first_number(place))[:2]}"
    return max(int(call["at_ms"]) for call in create_calls(simulator_url) if call["to"].startswith(start))


def _line(told: ForecastSample, arrived_ms: int) -> str:
    said, took = (told.last_text_at_ms - told.began_ms) / 1000, (arrived_ms - told.began_ms) / 1000
    among, error = "" if told.texts in ALONE else ", sharing the lane", 100 * abs(said - took) / took
    goals.at_most(f"forecast of {told.texts:,} texts at {RATE}/s{among}: error", error, 3, "{:.1f} %")
    return f"| {told.texts:,}{among} | {said:.1f} | {took:.1f} | {error:.1f} % |"
