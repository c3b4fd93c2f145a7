"""Runs many `python -m portal` commands: one process imports everything and forks for each command.

Each line on stdin is a JSON request: arguments, environment, and the files for stdin, stdout and stderr. The reply is
the exit code. Imports would take nearly all of a command's time, and the tests are not about imports.
"""

import gc
import json
import os
import sys
import tempfile
from typing import Any

import portal.cli
import portal.tables
import portal.web
from portal.cli import (  # noqa: F401
    account_commands,
    config_commands,
    consent_commands,
    db_commands,
    demo_commands,
    doctor_commands,
    key_commands,
    send_commands,
    template_commands,
)
from portal.core.config import load_settings
from tests.support.app_cache import cached_app_setup
from tests.support.commands import run_portal


def main() -> None:
    with cached_app_setup():
        warm_up()
        gc.freeze()
        while line := sys.stdin.readline():
            request = json.loads(line)
            child = os.fork()
            if child == 0:
                become_command(request)
            _, status = os.waitpid(child, 0)
            print(os.waitstatus_to_exitcode(status), flush=True)


def warm_up() -> None:
    """Create one app, which takes ten times as long as the next one: mappers, hashers and routes are set up once."""
    with tempfile.TemporaryDirectory(prefix="prefork-") as folder:
        portal.create_app(load_settings({"PORTAL_INSTANCE": folder}))


def become_command(request: dict[str, Any]) -> None:
    """Run the command in this process, and exit without tearing down the imported modules."""
    for descriptor, path in enumerate(request["files"]):
        flags = os.O_RDONLY if descriptor == 0 else os.O_WRONLY | os.O_CREAT | os.O_TRUNC
        os.dup2(os.open(path, flags, 0o600), descriptor)
    sys.stdin = os.fdopen(0, closefd=False)
    os.environ.clear()
    os.environ.update(request["environment"])
    os._exit(run_portal.run_portal(request["arguments"]))


main()
