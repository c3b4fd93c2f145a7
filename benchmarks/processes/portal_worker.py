"""One portal worker process: drains the SMS queue until it is empty or the time is up."""

import sys
import time
from pathlib import Path

from benchmarks.environment import create_quiet_app
from benchmarks.process_group import run_measured
from portal.core.extensions import db
from portal.delivery.lane_run import DRAIN_SECONDS
from portal.delivery.sms_worker import drain_sms
from portal.messages.tables import unsent_messages

_POLL_SECONDS = 0.02


def main() -> None:
    instance, simulator_url, seconds = sys.argv[1:]
    with create_quiet_app(Path(instance), simulator_url).app_context():
        run_measured(lambda: _drain(float(seconds)))


def _drain(seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and unsent_messages.next_due_ms("sms") is not None:
        db.session.rollback()
        drain_sms(seconds=min(DRAIN_SECONDS, deadline - time.monotonic()))
        time.sleep(_POLL_SECONDS)


if __name__ == "__main__":
    main()
