"""Creates .venv and installs the portal into it; changes nothing outside this folder.

This file must parse on any Python, so that an old one prints a message and not a syntax error: no f-strings and no
type hints here. install.py does the work.
"""

import os
import sys


def unsupported_reason(version, os_name):
    """Why the portal cannot run here, or None."""
    if os_name == "nt":
        return (
            "The portal does not run on Windows itself, because RQ and the embedded Valkey need fork and Unix "
            "sockets: use WSL, or a Linux or macOS machine."
        )
    if tuple(version[:2]) < (3, 11):
        running = ".".join([str(part) for part in version[:2]])
        return (
            "The portal needs Python 3.11 or newer, and this is Python "
            + running
            + ": install a newer one, or run make setup PYTHON=/path/to/python3.12"
        )
    return None


def main():
    reason = unsupported_reason(sys.version_info, os.name)
    if reason:
        sys.stderr.write(reason + "\n")
        return 1
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))  # noqa: PTH100, PTH120  # old Pythons lack pathlib
    from install import run_install

    return run_install(dev="--dev" in sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
