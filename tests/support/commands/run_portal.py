"""A process that was forked becomes a command of the portal."""

import runpy
import sys
import traceback
from typing import Any


def run_portal(words: list[str]) -> int:
    """The exit code of `portal WORDS`, run as `python -m portal` would."""
    sys.argv = ["portal", *words]
    code: Any = 0
    try:
        runpy.run_module("portal", run_name="__main__", alter_sys=True)
    except SystemExit as left:
        code = left.code or 0
    except BaseException:
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    return code if isinstance(code, int) else 1
