"""`make setup`, with the standard library only: a venv, the locked packages, the portal itself, and a stamp.

A `.pth` file and a small launcher replace `pip install -e`: they also give an import path and a command, but need no
build backend, hence no unlocked download.
"""

import hashlib
import importlib.util
import os
import platform
import re
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
_BUILD_REQUIREMENTS = "requirements-build.txt"
_RUNTIME_REQUIREMENTS = "requirements.txt"
_DEV_REQUIREMENTS = "requirements-dev.txt"
_STAMP_VERSION = "2"  # raise it when the output of this file changes
_NETWORK_ERROR = re.compile(
    r"NewConnectionError|NameResolutionError|ConnectTimeout|ReadTimeout|Connection (refused|reset|aborted)|ProxyError"
    r"|Max retries exceeded|Network is unreachable|Temporary failure in name resolution|SSLError|HTTP error 5\d\d"
)
_NO_WHEEL_ERROR = re.compile(
    r"No matching distribution found for ([\w.-]+)|Could not find a version .* requirement ([\w.-]+)"
)
_HASH_ERROR = re.compile(r"^\s+([\w.-]+)[^\n]* from [^\n]*\n\s+Expected sha256", re.MULTILINE)


class SetupError(Exception):
    """Setup cannot continue; the message says why and what to do."""


def main() -> int:
    if os.name == "nt":
        print("The portal does not run on Windows itself: use WSL, or a Linux or macOS machine.", file=sys.stderr)
        return 1
    try:
        install(ROOT, dev="--dev" in sys.argv[1:])
    except SetupError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Stopped. Run make setup again to continue.", file=sys.stderr)
        return 130
    return 0


def install(root: Path, dev: bool) -> None:
    names = (_BUILD_REQUIREMENTS, _RUNTIME_REQUIREMENTS, *((_DEV_REQUIREMENTS,) if dev else ()))
    lists = [root / name for name in names]
    if is_installed(root, lists):
        return
    check_writable(root)
    venv = ensure_venv(root)
    packages = sum(line[:1].isalnum() for path in lists for line in path.read_text().splitlines())
    print(f"Installing {packages} packages into .venv, about a minute ...", flush=True)
    install_packages(venv, lists[:1])
    install_packages(venv, lists[1:])
    install_launcher(root, venv)
    for path in lists:
        stamp(root, path).write_text(fingerprint(root, path))
    print("Ready." if dev else "Ready. Start the portal with: make run")


def is_installed(root: Path, lists: list[Path]) -> bool:
    if not (root / ".venv/bin/python").exists():
        return False
    stamps = {path: stamp(root, path) for path in lists}
    return all(file.exists() and file.read_text() == fingerprint(root, path) for path, file in stamps.items())


def stamp(root: Path, packages: Path) -> Path:
    return root / ".venv" / f".installed-{packages.stem}"


def fingerprint(root: Path, packages: Path) -> str:
    """Changes when the packages, the folder or the venv's Python change."""
    content = [(root / ".venv/pyvenv.cfg").read_bytes(), packages.read_bytes()]
    return hashlib.sha256(b"\0".join([_STAMP_VERSION.encode(), str(root).encode(), *content])).hexdigest()


def check_writable(folder: Path) -> None:
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        reason = os.strerror(error.errno or 0)
        raise SetupError(
            f"The folder {folder} is not writable ({reason}): run make setup as its owner, "
            "or copy it to one of your own folders."
        ) from error


def ensure_venv(root: Path) -> Path:
    """The venv, created again if it is missing, broken or has an old Python."""
    venv = root / ".venv"
    version_check = "import sys, pip; sys.exit(sys.version_info < (3, 11))"
    try:
        subprocess.run([venv / "bin/python", "-c", version_check], capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        make_venv(venv)
    return venv


def make_venv(venv: Path) -> None:
    missing = [name for name in ("venv", "ensurepip") if importlib.util.find_spec(name) is None]
    if missing:
        raise SetupError(
            f"Python's {missing[0]} module is missing. On Debian or Ubuntu: apt install python3-venv, "
            "then run make setup again."
        )
    python = getattr(sys, "_base_executable", sys.executable)  # not the venv's own Python, if .venv recreates itself
    run = subprocess.run([python, "-m", "venv", "--clear", venv], capture_output=True, text=True, check=False)
    if run.returncode != 0:
        last_line = (run.stdout + run.stderr).strip().splitlines()[-1:] or ["it gave no reason"]
        raise SetupError(
            f"Python could not create .venv ({last_line[0]}). On Debian or Ubuntu: apt install python3-venv, "
            "then run make setup again."
        )


def install_packages(venv: Path, lists: list[Path]) -> None:
    """Install wheels only, so that no compiler is needed; flask-principal is pure Python without a wheel.

    Without isolation, because pip would fetch what builds it without asking for a hash.
    """
    command: list[str | Path] = [venv / "bin/python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    command += ["--no-input", "--only-binary=:all:", "--no-binary=flask-principal"]
    command += ["--require-hashes", "--no-build-isolation"]
    for path in lists:
        command += ["-r", path]
    environment = os.environ | {"PIP_USER": "0"}  # some machines set user installs as their default
    pip = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if pip.returncode != 0:
        raise SetupError(explain_pip_failure(pip.stdout + pip.stderr))


def explain_pip_failure(output: str) -> str:
    """A sentence about pip's output, with what to do."""
    if "No space left on device" in output:
        return "The disk is full: free about 500 MB and run make setup again."
    if _NETWORK_ERROR.search(output):
        return (
            "The package index cannot be reached: check the network, proxy or PIP_INDEX_URL, and run make setup again."
        )
    if match := _HASH_ERROR.search(output):
        return (
            f"The download of {match[1]} does not have the hash in {_RUNTIME_REQUIREMENTS}, so nothing was installed: "
            "check your package index or mirror."
        )
    if match := _NO_WHEEL_ERROR.search(output):
        machine = f"{platform.system()} {platform.machine()}, Python {platform.python_version()}"
        return (
            f"There is no prebuilt package of {match[1] or match[2]} for this machine ({machine}), and setup compiles "
            "nothing: use Python 3.11 to 3.13 on Linux with glibc 2.28 or newer, or on macOS 11 or newer."
        )
    last_line = [line for line in output.strip().splitlines() if line.strip()][-1:] or ["it gave no reason"]
    return f"pip could not install the packages: {last_line[0]}"


def install_launcher(root: Path, venv: Path) -> None:
    python = venv / "bin/python"
    print_purelib = "import sysconfig; print(sysconfig.get_path('purelib'))"
    packages = subprocess.run([python, "-c", print_purelib], capture_output=True, text=True, check=True).stdout.strip()
    Path(packages, "portal-checkout.pth").write_text(f"{root}\n")
    launcher = venv / "bin/portal"
    # Runs through sh, because a #! line cannot contain a path with a space.
    launcher.write_text(f'#!/bin/sh\nexec {shlex.quote(str(python))} -m portal "$@"\n')
    launcher.chmod(0o755)


if __name__ == "__main__":
    sys.exit(main())
