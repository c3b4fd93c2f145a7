"""An alternative: one dramatiq message per text, with dramatiq's rate limiter or without a limit."""

import logging
import sys
from threading import Semaphore

import dramatiq
from dramatiq.brokers.redis import RedisBroker
from dramatiq.rate_limits import BucketRateLimiter
from dramatiq.rate_limits.backends import RedisBackend
from redis import Redis

from benchmarks.process_group import run_measured
from benchmarks.processes.baseline_client import send
from portal.gateways.provider import MAX_IN_FLIGHT

_BACKOFF_MS = (50, 500)
"""Retry delay of messages that the limiter rejects. The default of 15 s would leave most of the rate unused."""

_QUEUE = "texts"


def main() -> None:
    redis_url, simulator_url, texts, rate = sys.argv[1:]
    sent = Semaphore(0)
    logging.disable(logging.CRITICAL)
    client = Redis.from_url(redis_url)
    broker = RedisBroker(client=client)
    limiter = BucketRateLimiter(RedisBackend(client=client), "twilio", limit=int(rate) or 1, bucket=1_000)

    def send_limited(index: int) -> None:
        with limiter.acquire():
            send_unlimited(index)

    def send_unlimited(index: int) -> None:
        send(simulator_url, index)
        sent.release()

    actor = dramatiq.actor(
        send_limited if int(rate) else send_unlimited,
        broker=broker,
        queue_name=_QUEUE,
        max_retries=1_000_000,
        min_backoff=_BACKOFF_MS[0],
        max_backoff=_BACKOFF_MS[1],
    )
    for index in range(int(texts)):
        actor.send(index)
    run_measured(lambda: _work(broker, sent, int(texts)))


def _work(broker: RedisBroker, sent: Semaphore, texts: int) -> None:
    """Wait for every text: dramatiq's own `join` does not wait for messages due for retry."""
    worker = dramatiq.Worker(broker, worker_threads=MAX_IN_FLIGHT)
    worker.start()
    for _ in range(texts):
        sent.acquire()
    worker.stop()


if __name__ == "__main__":
    main()
