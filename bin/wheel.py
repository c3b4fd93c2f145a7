"""`make wheel`: the wheel of the last commit and its SBOM, in `dist/`. Uses git and the locked setuptools.

The same commit gives the same bytes, in whatever folder, at whatever time and with whatever umask (ADR 66): only what
git has is built, with its date in place of the files' own.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def build(root: Path, target: Path) -> Path:
    """Raises `CalledProcessError`."""
    os.umask(0o022)
    commit_time = _git(root, "log", "-1", "--format=%ct").decode().strip()
    with tempfile.TemporaryDirectory() as folder:
        archive = _git(root, "-c", "tar.umask=0022", "archive", "HEAD")
        subprocess.run(["tar", "--extract", "--directory", folder], input=archive, check=True)
        _pip_wheel(Path(folder), target.resolve(), {"SOURCE_DATE_EPOCH": commit_time})
        sbom = subprocess.run([sys.executable, "bin/sbom.py"], cwd=folder, capture_output=True, check=True).stdout
    (wheel,) = target.glob("*.whl")
    wheel.with_suffix(".cdx.json").write_bytes(sbom)
    return wheel


def _pip_wheel(source: Path, target: Path, variables: dict[str, str]) -> None:
    """Without isolation, so that the installed setuptools of requirements-build.txt builds it, offline."""
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += ["--no-build-isolation", "--no-cache-dir", "--wheel-dir", str(target), str(source)]
    subprocess.run(command, env=os.environ | variables, check=True)


def _git(root: Path, *arguments: str) -> bytes:
    return subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, check=True).stdout


def main() -> int:
    target = Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "dist")
    target.mkdir(parents=True, exist_ok=True)
    for old in target.glob("*.whl"):
        old.unlink()
    try:
        print(build(ROOT, target))
    except subprocess.CalledProcessError as error:
        print(f"The wheel could not be built: {error}. It needs git, a commit and make setup.", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
