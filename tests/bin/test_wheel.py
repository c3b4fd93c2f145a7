"""A commit gives the same wheel, byte for byte, wherever and whenever it is built."""

import hashlib
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def commit_of_the_tree(folder: Path) -> None:
    """Also of what is not committed yet, and whatever history there is."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, listed.split("\0")):
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, target, follow_symlinks=False)
    author = ("-c", "user.name=Tests", "-c", "user.email=tests@example.org")
    for command in (["init", "--quiet"], ["add", "--all", "--force"], [*author, "commit", "--quiet", "-m", "tests"]):
        subprocess.run(["git", "-C", str(folder), *command], check=True)


def build(source: Path, folder: Path, umask: int, **variables: str) -> Path:
    subprocess.run(["git", "clone", "--quiet", "--shared", str(source), str(folder)], umask=umask, check=True)
    (folder / "portal" / "static" / "left-over.js").touch()
    command = [sys.executable, str(folder / "bin" / "wheel.py")]
    subprocess.run(command, env={**os.environ, **variables}, umask=umask, capture_output=True, check=True)
    (wheel,) = (folder / "dist").glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Of two clones, in different environments."""
    folder, source = tmp_path_factory.mktemp("wheels"), tmp_path_factory.mktemp("source")
    commit_of_the_tree(source)
    variables = {"TZ": "Asia/Tokyo", "PYTHONHASHSEED": "7", "LC_ALL": "C"}
    return build(source, folder / "one", 0o022), build(source, folder / "another folder", 0o077, **variables)


def test_the_same_commit_gives_the_same_wheel(wheels: tuple[Path, Path]) -> None:
    first, second = (hashlib.sha256(wheel.read_bytes()).hexdigest() for wheel in wheels)
    assert first == second


def test_wheel_contains_what_git_has_and_no_more(wheels: tuple[Path, Path]) -> None:
    with zipfile.ZipFile(wheels[0]) as wheel:
        names = set(wheel.namelist())
    assert {"portal/__main__.py", "portal/guide/sending.md", "portal/static/portal.css", "jobs/worker.py"} <= names
    assert "portal/static/left-over.js" not in names
    assert not any(name.startswith(("tests/", "benchmarks/")) for name in names)


def test_bill_of_materials_accompanies_the_wheel(wheels: tuple[Path, Path]) -> None:
    first, second = (wheel.with_suffix(".cdx.json").read_bytes() for wheel in wheels)
    assert first == second
    assert b'"bomFormat": "CycloneDX"' in first
