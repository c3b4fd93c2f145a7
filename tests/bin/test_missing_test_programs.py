"""Missing test programs: a message on a developer's machine, a failure on CI."""

import importlib.util
import os
import sys
from pathlib import Path

import pytest

BIN = Path(__file__).resolve().parent.parent.parent / "bin"
sys.path.insert(0, str(BIN))
spec = importlib.util.spec_from_file_location("test_tools_under_test", BIN / "test_tools.py")
assert spec
assert spec.loader
test_tools = importlib.util.module_from_spec(spec)
spec.loader.exec_module(test_tools)
sys.path.remove(str(BIN))


@pytest.fixture
def no_chromium(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(test_tools, "find_program", lambda name: None if name == "chromium" else f"/usr/bin/{name}")
    monkeypatch.setattr(test_tools.shutil, "which", lambda name: "/usr/bin/apt-get")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)


@pytest.mark.usefixtures("no_chromium")
def test_developer_is_told_which_program_is_missing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("CI", raising=False)
    assert test_tools.main() == 0
    assert capsys.readouterr().out == (
        "chromium is missing (only root may install it): the tests that need it are skipped. Install it to run them.\n"
    )


@pytest.mark.usefixtures("no_chromium")
def test_missing_program_is_a_failure_on_ci(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CI", "true")
    assert test_tools.main() == 1
    assert "The tests need chromium, which could not be installed (only root may" in capsys.readouterr().err


@pytest.mark.usefixtures("no_chromium")
def test_apt_failure_is_quoted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    apt = tmp_path / "apt-get"
    apt.write_text("#!/bin/sh\necho 'E: no such mirror' >&2\nexit 100\n")
    apt.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(test_tools, "_SERVICE_POLICY", tmp_path / "policy-rc.d")
    assert test_tools.install(["chromium"]) == "apt-get update failed: E: no such mirror"


def test_installing_a_server_does_not_start_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    policy = tmp_path / "policy-rc.d"
    monkeypatch.setattr(test_tools, "_SERVICE_POLICY", policy)
    with test_tools._prevent_service_start():
        assert os.access(policy, os.X_OK)
        assert "exit 101" in policy.read_text()
    assert not policy.exists()
