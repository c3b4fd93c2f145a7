"""One process that fans out a send."""

import sys
from pathlib import Path

from benchmarks.environment import PUBLIC_URL, create_quiet_app
from benchmarks.process_group import run_measured
from portal.core.clock import now_ms
from portal.sends import fan_out


def main() -> None:
    instance, send_id = sys.argv[1:]
    with create_quiet_app(Path(instance), PUBLIC_URL).app_context():
        run_measured(lambda: fan_out.fan_out_send(int(send_id), now_ms, seconds=600))


if __name__ == "__main__":
    main()
