"""Diagnostics finish in time, even if checks hang or raise."""

import time
from dataclasses import replace
from pathlib import Path

import pytest
from flask import Flask

from portal import create_app
from portal.core.config import Settings
from portal.operations import check_runner, diagnostics
from portal.operations.check_runner import CheckTask
from portal.operations.rules.checks import CheckResult, CheckSpec
from tests.operations.diagnostics.helpers import (
    change_settings,
    one_engine,
    run_checks_by_name,
)
from tests.support import scenario, servers
from tests.support.fakes import stub_servers


@one_engine
@pytest.mark.usefixtures("short_timeouts")
def test_every_check_has_a_result_if_nothing_answers(healthy_portal: Flask) -> None:
    assert check_runner.CHECK_TIMEOUT_SECONDS < 10
    with stub_servers.silent_server() as port:
        change_settings(
            healthy_portal,
            twilio_api_url=f"http://127.0.0.1:{port}",
            public_url=f"http://localhost:{port}",
            smtp_url=f"smtp://127.0.0.1:{port}",
            redis_url=f"redis://127.0.0.1:{port}/0",
        )
        started = time.monotonic()
        checks = run_checks_by_name()
        took = time.monotonic() - started
    assert took < 20, "checks time out after two seconds"
    failing = ("Credentials", "Queue", "Signature round trip", "Mail server")
    assert {name: checks[name].verdict for name in failing} == dict.fromkeys(failing, "failing")
    assert not [check for check in checks.values() if check.group == "Mail" and check.verdict == "ok"]


@one_engine
def test_unreachable_database_is_a_failing_check(
    tmp_path: Path, settings: Settings, simulator: servers.SimulatorClient
) -> None:
    for url in ("postgresql://nobody@127.0.0.1:9/none", f"sqlite:///{tmp_path}/no/such/folder/x.sqlite"):
        app = create_app(replace(settings, database_url=url))
        with app.app_context():
            checks = run_checks_by_name()
            refusal = diagnostics.resume_sending(scenario.now_ms)[1]
        assert checks["Database"].verdict == "failing"
        assert {checks[name].verdict for name in ("Credentials", "Mode", "Workers", "Test credentials")} == {"unknown"}
        assert "Sending stays paused" in str(refusal)


@one_engine
@pytest.mark.usefixtures("short_timeouts")
def test_silent_database_does_not_block_the_diagnostics(settings: Settings, simulator: servers.SimulatorClient) -> None:
    with stub_servers.silent_server() as port:
        app = create_app(replace(settings, database_url=f"postgresql://nobody@127.0.0.1:{port}/none"))
        with app.app_context():
            started = time.monotonic()
            checks = run_checks_by_name()
    assert time.monotonic() - started < 20, "checks time out after two seconds"
    assert checks["Database"].verdict == "failing"
    assert "No answer within 2 seconds" in checks["Credentials"].reason


@one_engine
@pytest.mark.usefixtures("app")
def test_check_that_raises_is_unknown(
    capfd: pytest.CaptureFixture[str],
) -> None:
    first, second = CheckSpec("Twilio", "First"), CheckSpec("Mail", "Second")

    def broken() -> list[CheckResult]:
        raise ZeroDivisionError("with +12025550100 in its message")

    lines = check_runner.run_checks([CheckTask((first,), broken), CheckTask((second,), lambda: [second.ok("Fine.")])])
    assert [check.verdict for check in lines] == ["unknown", "ok"]
    assert "ZeroDivisionError" in lines[0].reason
    assert "+12025550100" not in lines[0].reason + capfd.readouterr().err


@one_engine
@pytest.mark.usefixtures("app")
def test_check_that_times_out_is_unknown_or_failing() -> None:
    subject = CheckSpec("Portal", "Slow")

    def slow() -> list[CheckResult]:
        time.sleep(1)
        return [subject.ok("At last.")]

    examinations = [CheckTask((subject,), slow), CheckTask((subject,), slow, timeout_is_failure=True)]
    assert [check.verdict for check in check_runner.run_checks(examinations, seconds=0.05)] == ["unknown", "failing"]
