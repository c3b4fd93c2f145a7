"""One process that makes a send ready, from its first recipient to its last."""

import sys
from pathlib import Path

from benchmarks.crew import measured
from benchmarks.stage import PUBLIC_URL, quiet_app
from portal.actions import expansion
from portal.clock import now_ms


def main() -> None:
    instance, send_id = sys.argv[1:]
    with quiet_app(Path(instance), PUBLIC_URL).app_context():
        measured(lambda: expansion.expand_send(int(send_id), now_ms, seconds=600))


if __name__ == "__main__":
    main()
