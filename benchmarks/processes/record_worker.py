"""One process that writes an export, deletes what is older than its retention, or does a step of an import."""

import sys
from pathlib import Path

from benchmarks.environment import PUBLIC_URL, create_quiet_app
from benchmarks.process_group import run_measured
from portal.consent import background_imports
from portal.core.clock import now_ms
from portal.people import account_file_import  # noqa: F401  registers the import of accounts
from portal.records import exports, retention


def main() -> None:
    instance, task, *arguments = sys.argv[1:]
    with create_quiet_app(Path(instance), PUBLIC_URL).app_context():
        if task == "export":
            run_measured(lambda: exports.run_export(int(arguments[0]), now_ms, seconds=3_600))
        elif "import" in task:
            run_measured(lambda: background_imports.run_task(int(arguments[0]), now_ms))
        else:
            run_measured(lambda: retention.delete_expired(now_ms, seconds=3_600))


if __name__ == "__main__":
    main()
