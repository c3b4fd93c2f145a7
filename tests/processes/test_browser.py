"""What is said when there is no Chromium, which depends on who would have to skip the browser tests."""

import importlib.util
import os
from pathlib import Path

import pytest

FILE = Path(__file__).resolve().parent.parent.parent / "bin" / "browser.py"
spec = importlib.util.spec_from_file_location("processes_bin_browser", FILE)
assert spec
assert spec.loader
browser = importlib.util.module_from_spec(spec)
spec.loader.exec_module(browser)


@pytest.fixture
def processes_no_chromium(monkeypatch):
    monkeypatch.setattr(browser, "browser", lambda: None)
    monkeypatch.setattr(browser.shutil, "which", lambda name: "/usr/bin/apt-get")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)


def test_on_a_desk_the_browser_tests_are_skipped_with_a_sentence(processes_no_chromium, monkeypatch, capsys):
    monkeypatch.delenv("CI", raising=False)
    assert browser.main() == 0
    assert capsys.readouterr().out == (
        "No Chromium here (only root may install it): the browser tests are skipped. Install chromium to run them.\n"
    )


def test_in_ci_a_missing_chromium_is_a_failure(processes_no_chromium, monkeypatch, capsys):
    monkeypatch.setenv("CI", "true")
    assert browser.main() == 1
    assert "could not be installed (only root may install it)" in capsys.readouterr().err


def test_a_failing_package_index_is_quoted(processes_no_chromium, monkeypatch, tmp_path):
    apt = tmp_path / "apt-get"
    apt.write_text("#!/bin/sh\necho 'E: no such mirror' >&2\nexit 100\n")
    apt.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert browser.install() == "apt-get update failed: E: no such mirror"
