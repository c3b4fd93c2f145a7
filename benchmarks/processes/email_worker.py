"""One email worker process: drains the emails until the time is up."""

import sys
import time
from pathlib import Path

from benchmarks.environment import create_quiet_app
from benchmarks.process_group import run_measured
from portal.delivery.email_worker import drain_email


def main() -> None:
    instance, simulator_url, seconds = sys.argv[1:]
    with create_quiet_app(Path(instance), simulator_url).app_context():
        run_measured(lambda: _drain(float(seconds)))


def _drain(seconds: float) -> None:
    deadline = time.monotonic() + seconds
    drain_email(lambda: time.monotonic() > deadline)


if __name__ == "__main__":
    main()
