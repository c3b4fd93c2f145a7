"""Installs the programs that some tests need: a browser, reverse proxies, a connection pooler and checkers.

Uses the standard library only. It installs Debian packages as root. If a program is missing, the tests that need it
are skipped; on CI that is a failure.
"""

import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from programs import PROGRAMS, VNU_JAR, find_program
from vendor import VendorError, npm_pack, verify_integrity

_VNU_VERSION = "26.9.27"
_VNU_INTEGRITY = "sha512-TkQd5DFfOaWC9ebtvozTsrH2Vaod3jYg+vrOeREzIXxBexLz9+rS2DNtjn7+RPUiZhgli0SghgBX6RJRNea0KA=="
_SERVICE_POLICY = Path("/usr/sbin/policy-rc.d")


def install(missing: list[str]) -> str:
    """Install the Debian packages. Returns the error, or ""."""
    if not shutil.which("apt-get"):
        return "there is no apt-get here"
    if os.geteuid() != 0:
        return "only root may install it"
    print(f"Installing {', '.join(missing)} for the tests ...", flush=True)
    packages = [package for name in missing for package in PROGRAMS[name].packages]
    with _prevent_service_start():
        for arguments in (["update", "-q"], ["install", "-y", "-q", "--no-install-recommends", *packages]):
            if error := _apt_get(arguments):
                return error
    return ""


def _apt_get(arguments: list[str]) -> str:
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    command = ["apt-get", "-o", "Acquire::Retries=3", *arguments]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if run.returncode == 0:
        return ""
    last_line = (run.stdout + run.stderr).strip().splitlines()[-1:] or ["it gave no reason"]
    return f"apt-get {arguments[0]} failed: {last_line[0]}"


@contextmanager
def _prevent_service_start() -> Iterator[None]:
    """Keep Debian from starting a server, on every address, when it installs it."""
    if _SERVICE_POLICY.exists():
        yield
        return
    _SERVICE_POLICY.write_text("#!/bin/sh\nexit 101\n")
    _SERVICE_POLICY.chmod(0o755)
    try:
        yield
    finally:
        _SERVICE_POLICY.unlink()


def install_vnu() -> str:
    """Fetch the HTML checker from npm. Returns the error, or ""."""
    if not shutil.which("npm") and (error := _install_npm()):
        return error
    try:
        with tempfile.TemporaryDirectory() as folder:
            tarball = npm_pack("vnu-jar", _VNU_VERSION, Path(folder))
            verify_integrity(f"vnu-jar@{_VNU_VERSION}", "sha512", tarball, _VNU_INTEGRITY)
            archive = Path(folder) / "package.tgz"
            archive.write_bytes(tarball)
            with tarfile.open(archive) as packed:
                jar = next(packed.extractfile(file) for file in packed if file.name.endswith("/vnu.jar"))
                _write(jar.read() if jar else b"")
    except VendorError as error:
        return str(error)
    return ""


def _install_npm() -> str:
    if not shutil.which("apt-get") or os.geteuid() != 0:
        return "npm is needed to fetch it"
    return _apt_get(["install", "-y", "-q", "--no-install-recommends", "npm"])


def _write(jar: bytes) -> None:
    """Write atomically: a truncated file would look like the checker."""
    part = VNU_JAR.with_suffix(".part")
    part.write_bytes(jar)
    part.replace(VNU_JAR)


def main() -> int:
    missing = [name for name in PROGRAMS if not find_program(name)]
    error = install(missing) if missing else ""
    missing = [name for name in missing if not find_program(name)]
    if missing:
        return _report_missing(missing, error or "apt-get did not install it")
    error = "" if VNU_JAR.exists() else install_vnu()
    return _report_missing(["vnu"], error) if error else 0


def _report_missing(missing: list[str], error: str) -> int:
    names = ", ".join(missing)
    if os.environ.get("CI") == "true":
        print(f"The tests need {names}, which could not be installed ({error}).", file=sys.stderr)
        return 1
    print(f"{names} is missing ({error}): the tests that need it are skipped. Install it to run them.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
