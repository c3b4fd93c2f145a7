"""The baseline: Twilio's own client in a thread pool, without database, receipts or rate limit."""

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
    """A client with one pooled connection per thread. Its default pool of ten would reconnect for most texts."""
    http = TwilioHttpClient(timeout=15)
    http.session.mount("http://", HTTPAdapter(pool_maxsize=MAX_IN_FLIGHT))
    twilio = Client(SID, TOKEN, http_client=http, environment={"_": ""})
    twilio.api.base_url = simulator_url
    return twilio


def send(simulator_url: str, index: int) -> None:
    """Send the same fields as the portal: a body with a link, a callback with an id, a validity period."""
    client(simulator_url).messages.create(
        to=f"+1415{2_000_000 + index}",
        from_=FROM,
        body=f"{BODY} {PUBLIC_URL}/c/{index:08}",
        status_callback=f"{PUBLIC_URL}/webhooks/twilio/status?attempt={index:016}",
        validity_period=14_400,
    )


def main() -> None:
    simulator_url, texts = sys.argv[1], int(sys.argv[2])
    run_measured(lambda: _send_all(simulator_url, texts))


def _send_all(simulator_url: str, texts: int) -> None:
    with ThreadPoolExecutor(MAX_IN_FLIGHT) as pool:
        list(pool.map(lambda index: send(simulator_url, index), range(texts)))


if __name__ == "__main__":
    main()
