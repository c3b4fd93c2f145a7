"""Without a limit: one worker of ours, everything included, beside the bare Twilio client in as many threads."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from twilio.http.http_client import TwilioHttpClient
from twilio.rest import Client

from benchmarks.stage import FROM, SID, TOKEN, fill, portal, simulator
from portal.actions.sms_drain import drain_sms
from portal.gateways.provider import MOST_IN_FLIGHT

TEXTS = 3_000
_NO_LIMIT = 1_000


def run() -> list[str]:
    ours, bare = _ours(), _bare()
    return [
        "| | texts/s | ms of CPU a text |",
        "|---|---|---|",
        f"| one worker, everything included | {ours[0]:.0f} | {ours[1]:.2f} |",
        f"| the bare client, {MOST_IN_FLIGHT} threads | {bare[0]:.0f} | {bare[1]:.2f} |",
        f"| ratio | {ours[0] / bare[0]:.2f} | {ours[1] / bare[1]:.2f} |",
    ]


def _ours() -> tuple[float, float]:
    with simulator() as url, portal(url):
        fill(TEXTS, _NO_LIMIT)
        return _measured(lambda: drain_sms(seconds=60))


def _bare() -> tuple[float, float]:
    with simulator() as url:
        client = Client(SID, TOKEN, http_client=TwilioHttpClient(timeout=15), environment={"_": ""})
        client.api.base_url = url

        def send(place: int) -> None:
            client.messages.create(to=f"+1415{2_000_000 + place}", from_=FROM, body="Your renewal is due")

        def all_of_them() -> None:
            with ThreadPoolExecutor(MOST_IN_FLIGHT) as pool:
                list(pool.map(send, range(TEXTS)))

        return _measured(all_of_them)


def _measured(work: Callable[[], object]) -> tuple[float, float]:
    began, cpu = time.perf_counter(), time.process_time()
    work()
    return TEXTS / (time.perf_counter() - began), 1000 * (time.process_time() - cpu) / TEXTS
