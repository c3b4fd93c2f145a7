"""Makes .venv and installs the product into it; touches nothing outside this folder.

This file must parse on every Python a machine may have, so that an old one gets a sentence and not a syntax error:
no f-strings and no type hints here. The work is in install.py.
"""

import os
import sys


def unsupported_reason(version, os_name):
    """One sentence when this cannot work at all, else None."""
    if os_name == "nt":
        return (
            "This product does not run on Windows itself, because RQ and the embedded data server need fork and unix "
            "sockets: use WSL, or a Linux or macOS machine."
        )
    if tuple(version[:2]) < (3, 11):
        running = ".".join([str(part) for part in version[:2]])
        return (
            "Python 3.11 or newer is needed, and this is Python "
            + running
            + ": install a newer one, or name it with make setup PYTHON=/path/to/python3.12"
        )
    return None


def main():
    sentence = unsupported_reason(sys.version_info, os.name)
    if sentence:
        sys.stderr.write(sentence + "\n")
        return 1
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))  # noqa: PTH100, PTH120  # old Pythons lack pathlib
    from install import run_install

    return run_install(dev="--dev" in sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
