"""An alternative: one RQ job per text, run by RQ's own workers."""

import sys

from redis import Redis
from rq import Queue, SimpleWorker, Worker

from benchmarks.process_group import run_measured
from benchmarks.processes.baseline_client import send

_WORKERS = {"forking": Worker, "simple": SimpleWorker}


def main() -> None:
    kind, redis_url, simulator_url, texts = sys.argv[1:]
    connection = Redis.from_url(redis_url)
    queue = Queue("texts", connection=connection)
    for index in range(int(texts)):
        queue.enqueue(send, simulator_url, index)
    worker = _WORKERS[kind]([queue], connection=connection)
    run_measured(lambda: worker.work(burst=True, logging_level="ERROR"))


if __name__ == "__main__":
    main()
