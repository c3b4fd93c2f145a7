"""Another way: a dramatiq message a text, with its limiter of so many a second, or with none."""

import logging
import sys
from threading import Semaphore

import dramatiq
from dramatiq.brokers.redis import RedisBroker
from dramatiq.rate_limits import BucketRateLimiter
from dramatiq.rate_limits.backends import RedisBackend
from redis import Redis

from benchmarks.bare_client import send
from benchmarks.process_group import run_measured
from portal.gateways.provider import MAX_IN_FLIGHT

_BACKOFF_MS = (50, 500)
"""How soon what the limiter turned away comes again. Its own default, 15 s, would leave most of the rate unused."""
_QUEUE = "texts"


def main() -> None:
    redis_url, simulator_url, texts, rate = sys.argv[1:]
    sent = Semaphore(0)
    logging.disable(logging.CRITICAL)
    client = Redis.from_url(redis_url)
    broker = RedisBroker(client=client)
    limiter = BucketRateLimiter(RedisBackend(client=client), "twilio", limit=int(rate) or 1, bucket=1_000)

    def limited(place: int) -> None:
        with limiter.acquire():
            unlimited(place)

    def unlimited(place: int) -> None:
        send(simulator_url, place)
        sent.release()

    actor = dramatiq.actor(
        limited if int(rate) else unlimited,
        broker=broker,
        queue_name=_QUEUE,
        max_retries=1_000_000,
        min_backoff=_BACKOFF_MS[0],
        max_backoff=_BACKOFF_MS[1],
    )
    for place in range(int(texts)):
        actor.send(place)
    run_measured(lambda: _work(broker, sent, int(texts)))


def _work(broker: RedisBroker, sent: Semaphore, texts: int) -> None:
    """Its own `join` would miss what waits to come again."""
    worker = dramatiq.Worker(broker, worker_threads=MAX_IN_FLIGHT)
    worker.start()
    for _ in range(texts):
        sent.acquire()
    worker.stop()


if __name__ == "__main__":
    main()
