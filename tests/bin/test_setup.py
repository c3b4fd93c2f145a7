"""`make setup`: its error messages, and what it installs into .venv."""

import importlib.util
import os
import shutil
import subprocess
import venv
from pathlib import Path
from types import ModuleType

import pytest

BIN = Path(__file__).resolve().parent.parent.parent / "bin"


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"{name}_under_test", BIN / f"{name}.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


setup = load("setup")


def make_with_pythons(folder: Path, version_is_new_enough: bool) -> "subprocess.CompletedProcess[str]":
    """Run `make setup` in a folder without .venv, where every Python is of the same version and prints its script."""
    shutil.copy(BIN.parent / "Makefile", folder)
    names = ("python3.11", "python3.12", "python3.13", "python3.14", "python3", "python")
    for name in names:
        (folder / name).write_text(f'#!/bin/sh\n[ "$1" = -c ] && exit {int(not version_is_new_enough)}\necho "$@"\n')
        (folder / name).chmod(0o755)
    environment = {"PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"}
    return subprocess.run(
        ["make", "-C", str(folder), "setup"], env=environment, capture_output=True, text=True, check=False
    )


def test_old_python_is_refused(tmp_path: Path) -> None:
    run = make_with_pythons(tmp_path, version_is_new_enough=False)
    assert run.returncode != 0
    assert "The portal needs Python 3.11 or newer. Install it, or run make PYTHON=/path/to/python3.12" in run.stderr


def test_new_python_runs_setup(tmp_path: Path) -> None:
    run = make_with_pythons(tmp_path, version_is_new_enough=True)
    assert run.returncode == 0
    assert "bin/setup.py" in run.stdout


def test_windows_is_refused_with_an_alternative(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(setup.os, "name", "nt")
    code = setup.main()
    monkeypatch.undo()
    assert code == 1
    assert "use WSL, or a Linux or macOS machine" in capsys.readouterr().err


def test_read_only_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(setup.SetupError, match=r"is not writable .* or copy it to one of your own folders"):
        setup.check_writable(tmp_path / "file")


def test_missing_venv_module_names_the_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(setup.SetupError, match="apt install python3-venv"):
        setup.make_venv(tmp_path / ".venv")


@pytest.mark.parametrize(
    ("output", "message"),
    [
        (
            "WARNING: Retrying after connection broken by 'NewConnectionError(...): Failed to establish'\n"
            "ERROR: No matching distribution found for aiohttp==3.14.5",
            "The package index cannot be reached",
        ),
        (
            "ERROR: Could not find a version that satisfies the requirement nh3==0.3.0\n"
            "ERROR: No matching distribution found for nh3==0.3.0",
            "There is no prebuilt package of nh3",
        ),
        (
            "ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE.\n"
            "    rq from file:///x/rq.whl#sha256=11 (from -r requirements.txt (line 9)):\n"
            "        Expected sha256 22\n             Got        33",
            "The download of rq does not have the hash",
        ),
        ("ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device", "The disk is full"),
        ("something\nERROR: it broke\n", "pip could not install the packages: ERROR: it broke"),
    ],
)
def test_pip_failure_is_explained_on_one_line(output: str, message: str) -> None:
    explanation = setup.explain_pip_failure(output)
    assert explanation.startswith(message)
    assert "\n" not in explanation


def test_launcher_works_in_a_folder_with_a_space(tmp_path: Path) -> None:
    root = tmp_path / "my portal's folder"
    (root / "portal").mkdir(parents=True)
    (root / "portal" / "__main__.py").write_text("import sys\nprint('portal', *sys.argv[1:])\n")
    venv.create(root / ".venv", with_pip=False, symlinks=True)
    setup.install_launcher(root, root / ".venv")
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [str(root / ".venv/bin/portal"), "up", "a b"]
    run = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    assert run.stdout == "portal up a b\n"


def test_setup_is_skipped_until_the_packages_change(tmp_path: Path) -> None:
    packages = tmp_path / "requirements.txt"
    packages.write_text("rq==3.0.0\n")
    assert not setup.is_installed(tmp_path, [packages])
    venv.create(tmp_path / ".venv", with_pip=False, symlinks=True)
    setup.stamp(tmp_path, packages).write_text(setup.fingerprint(tmp_path, packages))
    assert setup.is_installed(tmp_path, [packages])
    packages.write_text("rq==3.0.1\n")
    assert not setup.is_installed(tmp_path, [packages])


def test_make_without_a_target_lists_the_targets() -> None:
    output = subprocess.run(["make", "-C", str(BIN.parent)], capture_output=True, text=True, check=True).stdout
    for target in ("setup", "run", "test", "bench", "lint", "types", "vendor", "help"):
        assert f"make {target} " in output
