"""The programs that some tests need, and where to find them. Uses the standard library only."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

VNU_JAR = Path(__file__).resolve().parent.parent / ".venv" / "vnu.jar"
"""The HTML checker, which runs on Java."""
_SBIN = os.pathsep + "/usr/sbin" + os.pathsep + "/usr/local/sbin"
_MACOS_BROWSERS = ("Chromium.app/Contents/MacOS/Chromium", "Google Chrome.app/Contents/MacOS/Google Chrome")


@dataclass(frozen=True)
class ExternalProgram:
    """`names` are the possible commands, best first; `packages` are Debian packages."""

    names: tuple[str, ...]
    packages: tuple[str, ...]


PROGRAMS = {
    "chromium": ExternalProgram(
        ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable"), ("chromium", "fonts-liberation")
    ),
    "nginx": ExternalProgram(("nginx",), ("nginx-light",)),
    "caddy": ExternalProgram(("caddy",), ("caddy",)),
    "pgbouncer": ExternalProgram(("pgbouncer",), ("pgbouncer",)),
    "systemd-analyze": ExternalProgram(("systemd-analyze",), ("systemd",)),
    "java": ExternalProgram(("java",), ("default-jre-headless",)),
}


def find_program(name: str) -> str | None:
    """The path of a program in `PROGRAMS`, or None. Also looks in sbin, which a user's PATH often lacks."""
    path = os.environ.get("PATH", "") + _SBIN
    candidates = (shutil.which(command, path=path) for command in PROGRAMS[name].names)
    return next(filter(None, candidates), None) or (_macos_browser() if name == "chromium" else None)


def _macos_browser() -> str | None:
    return next((str(path) for name in _MACOS_BROWSERS if (path := Path("/Applications", name)).exists()), None)
