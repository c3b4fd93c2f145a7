"""What is said when a program that tests drive is missing, which depends on who would have to skip those tests."""

import importlib.util
import os
import sys
from pathlib import Path

import pytest

BIN = Path(__file__).resolve().parent.parent.parent / "bin"
sys.path.insert(0, str(BIN))
spec = importlib.util.spec_from_file_location("processes_bin_test_tools", BIN / "test_tools.py")
assert spec
assert spec.loader
test_tools = importlib.util.module_from_spec(spec)
spec.loader.exec_module(test_tools)
sys.path.remove(str(BIN))


@pytest.fixture
def no_chromium(monkeypatch):
    monkeypatch.setattr(test_tools, "find", lambda name: None if name == "chromium" else f"/usr/bin/{name}")
    monkeypatch.setattr(test_tools.shutil, "which", lambda name: "/usr/bin/apt-get")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)


def test_on_a_desk_the_tests_are_skipped_with_a_sentence(no_chromium, monkeypatch, capsys):
    monkeypatch.delenv("CI", raising=False)
    assert test_tools.main() == 0
    assert capsys.readouterr().out == (
        "No chromium here (only root may install it): the tests that need it are skipped. Install it to run them.\n"
    )


def test_in_ci_a_missing_program_is_a_failure(no_chromium, monkeypatch, capsys):
    monkeypatch.setenv("CI", "true")
    assert test_tools.main() == 1
    assert "The tests need chromium, which could not be installed (only root may" in capsys.readouterr().err


def test_a_failing_package_index_is_quoted(no_chromium, monkeypatch, tmp_path):
    apt = tmp_path / "apt-get"
    apt.write_text("#!/bin/sh\necho 'E: no such mirror' >&2\nexit 100\n")
    apt.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(test_tools, "_SERVICE_POLICY", tmp_path / "policy-rc.d")
    assert test_tools.install(["chromium"]) == "apt-get update failed: E: no such mirror"


def test_debian_starts_no_server_while_it_installs(monkeypatch, tmp_path):
    policy = tmp_path / "policy-rc.d"
    monkeypatch.setattr(test_tools, "_SERVICE_POLICY", policy)
    with test_tools._services_stay_off():
        assert os.access(policy, os.X_OK)
        assert "exit 101" in policy.read_text()
    assert not policy.exists()
