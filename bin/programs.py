"""The programs that some tests drive, and where they are found. Standard library only."""

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
    """`names` are the commands that do, best first; `packages` are Debian's."""

    names: tuple[str, ...]
    packages: tuple[str, ...]


PROGRAMS = {
    "chromium": ExternalProgram(
        ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable"), ("chromium", "fonts-liberation")
    ),
    "nginx": ExternalProgram(("nginx",), ("nginx-light",)),
    "caddy": ExternalProgram(("caddy",), ("caddy",)),
    "pgbouncer": ExternalProgram(("pgbouncer",), ("pgbouncer",)),
    "java": ExternalProgram(("java",), ("default-jre-headless",)),
}


def find_program(name: str) -> str | None:
    """The path of a program of `PROGRAMS`, or None. Servers stand in sbin, which a user's path often lacks."""
    path = os.environ.get("PATH", "") + _SBIN
    on_path = (found for command in PROGRAMS[name].names if (found := shutil.which(command, path=path)))
    return next(on_path, None) or (_macos_browser() if name == "chromium" else None)


def _macos_browser() -> str | None:
    return next((str(path) for name in _MACOS_BROWSERS if (path := Path("/Applications", name)).exists()), None)
