"""Sees to it that there is a Chromium for the tests that drive a page; standard library only."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_APPLICATIONS = ("Chromium.app/Contents/MacOS/Chromium", "Google Chrome.app/Contents/MacOS/Google Chrome")


def browser() -> str | None:
    on_path = (found for name in _NAMES if (found := shutil.which(name)))
    on_macos = (str(path) for name in _APPLICATIONS if (path := Path("/Applications", name)).exists())
    return next(on_path, None) or next(on_macos, None)


def install() -> str:
    """Try Debian's package. Returns what went wrong, or nothing."""
    if not shutil.which("apt-get"):
        return "there is no apt-get here"
    if os.geteuid() != 0:
        return "only root may install it"
    print("Installing Chromium for the browser tests ...", flush=True)
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    wanted = ["install", "-y", "-q", "--no-install-recommends", "chromium", "fonts-liberation"]
    for words in (["update", "-q"], wanted):
        run = subprocess.run(
            ["apt-get", "-o", "Acquire::Retries=3", *words],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if run.returncode != 0:
            last = (run.stdout + run.stderr).strip().splitlines()[-1:] or ["it gave no reason"]
            return f"apt-get {words[0]} failed: {last[0]}"
    return "" if browser() else "apt-get installed no Chromium that can be found"


def main() -> int:
    if browser():
        return 0
    trouble = install()
    if not trouble:
        return 0
    if os.environ.get("CI") == "true":
        print(f"The browser tests need Chromium, and it could not be installed ({trouble}).", file=sys.stderr)
        return 1
    print(f"No Chromium here ({trouble}): the browser tests are skipped. Install chromium to run them.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
