"""Runs a `portal` command in a forked process."""

import runpy
import sys
import traceback
from typing import Any


def run_portal(arguments: list[str]) -> int:
    """Run `python -m portal ARGUMENTS` and return its exit code."""
    sys.argv = ["portal", *arguments]
    code: Any = 0
    try:
        runpy.run_module("portal", run_name="__main__", alter_sys=True)
    except SystemExit as exit_request:
        code = exit_request.code or 0
    except BaseException:
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    return code if isinstance(code, int) else 1
