"""The floor: Twilio's own client in a pool of threads, with no rows, no receipts and no limit."""

import sys
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache

from requests.adapters import HTTPAdapter
from twilio.http.http_client import TwilioHttpClient
from twilio.rest import Client

from benchmarks.environment import BODY, FROM, PUBLIC_URL, SID, TOKEN
from benchmarks.process_group import run_measured
from portal.gateways.provider import MAX_IN_FLIGHT


@lru_cache(maxsize=1)
def client(simulator_url: str) -> Client:
    """With a pool of as many connections as threads: its own of ten would be opened anew for every text."""
    http = TwilioHttpClient(timeout=15)
    http.session.mount("http://", HTTPAdapter(pool_maxsize=MAX_IN_FLIGHT))
    found = Client(SID, TOKEN, http_client=http, environment={"_": ""})
    found.api.base_url = simulator_url
    return found


def send(simulator_url: str, place: int) -> None:
    """The same form as ours: a link in the words, a callback with an id, a validity."""
    client(simulator_url).messages.create(
        to=f"+1415{2_000_000 + place}",
        from_=FROM,
        body=f"{BODY} {PUBLIC_URL}/c/{place:08}",
        status_callback=f"{PUBLIC_URL}/webhooks/twilio/status?attempt={place:016}",
        validity_period=14_400,
    )


def main() -> None:
    simulator_url, texts = sys.argv[1], int(sys.argv[2])
    run_measured(lambda: _send_all(simulator_url, texts))


def _send_all(simulator_url: str, texts: int) -> None:
    with ThreadPoolExecutor(MAX_IN_FLIGHT) as pool:
        list(pool.map(lambda place: send(simulator_url, place), range(texts)))


if __name__ == "__main__":
    main()
