"""`portal doctor`: output as text and JSON, exit codes, and repairs."""

import json
import sqlite3
import time
from typing import Any

import pytest

from tests.operations.diagnostics.helpers import CHECK_COUNT
from tests.support import servers
from tests.support.commands.command_runner import CommandResult
from tests.support.commands.fork_server_client import ForkServerClient
from tests.support.portal_shell import PortalShell


class DoctorCommand:
    """A shell whose portal uses the simulator as Twilio and as its mail server."""

    def __init__(self, shell: PortalShell, simulator: servers.SimulatorClient) -> None:
        self.shell, self.simulator = shell, simulator
        self.url = f"http://127.0.0.1:{servers.free_port()}"
        self.variables = {
            "PORTAL_TWILIO_API_URL": simulator.url,
            "PORTAL_SMTP_URL": simulator.smtp_url,
            "PORTAL_PUBLIC_URL": self.url,
        }

    def doctor(self, *options: str, **more: str) -> CommandResult:
        return self.shell.run("doctor", *options, **{**self.variables, **more})

    def json_report(self, *options: str, **more: str) -> dict[str, Any]:
        result = self.doctor("--json", *options, **more)
        report = json.loads(result.stdout)
        assert result.returncode == (1 if report["failing"] or report["error"] else 0)
        return {**report, "by_name": {check["name"]: check for check in report["checks"]}}

    def set(self, name: str, value: Any) -> None:
        self.shell.output_of("config", "set", name, value if isinstance(value, str) else json.dumps(value))

    def write(self, statement: str, *values: Any) -> None:
        with sqlite3.connect(self.shell.instance / "portal.sqlite") as connection:
            connection.execute(statement, values)


@pytest.fixture
def doctor_shell(shell: PortalShell, simulator: servers.SimulatorClient) -> DoctorCommand:
    command = DoctorCommand(shell, simulator)
    command.set("SmsGatewayAuthentication", servers.LIVE_CREDENTIALS)
    command.set("SmsGatewaySettings", {"FromNumber": servers.FROM_NUMBER})
    return command


def pause_sender(doctor_shell: DoctorCommand) -> list[str]:
    return [reason for (reason,) in doctor_shell.shell.select_rows("SELECT paused_reason FROM sending_number")]


def test_failing_doctor_prints_columns_and_exits_with_1(
    doctor_shell: DoctorCommand,
) -> None:
    result = doctor_shell.doctor(COLUMNS="100")
    assert (result.returncode, result.stderr) == (1, "")
    lines = result.stdout.splitlines()
    assert [line for line in lines if line and not line.startswith(" ")][:3] == ["Twilio", "Portal", "Mail"]
    assert max(map(len, lines)) <= 100
    starts = {line.index(word) for line, word in _verdict_lines(lines)}
    assert len(starts) == 1, "the reasons stand in one column"
    assert lines[-1] == "5 failing, 2 with a warning, 3 not checked, 21 ok"
    assert "\x1b[" not in result.stdout, "no colours where nobody sees them"


def _verdict_lines(lines: list[str]) -> list[tuple[str, str]]:
    wanted = {"Credentials": "Twilio accepts", "Queue": "Redis accepts work", "Mail server": "It answers."}
    return [(line, word) for name, word in wanted.items() for line in lines if f"  {name}  " in line]


def test_doctor_prints_no_secrets_and_no_numbers(doctor_shell: DoctorCommand) -> None:
    result = doctor_shell.doctor()
    output = result.stdout + result.stderr
    assert "+1 ••• 0100" in output
    assert servers.FROM_NUMBER[2:] not in output
    assert servers.LIVE_CREDENTIALS["AuthToken"] not in output


def test_doctor_prints_the_same_as_json(doctor_shell: DoctorCommand) -> None:
    report = doctor_shell.json_report()
    assert (report["failing"], report["actions"], report["error"]) == (True, [], None)
    assert len(report["checks"]) == CHECK_COUNT
    assert report["by_name"]["Credentials"] == {
        "group": "Twilio",
        "name": "Credentials",
        "verdict": "ok",
        "reason": "Twilio accepts them.",
        "fix": "",
        "action": "",
    }


def test_doctor_exits_with_0_if_nothing_fails(doctor_shell: DoctorCommand, fork_server: ForkServerClient) -> None:
    doctor_shell.doctor("--set-webhooks")
    for kind in ("worker:sms", "worker:email", "worker:work", "scheduler"):
        now_ms = time.time_ns() // 1_000_000
        doctor_shell.write("INSERT INTO heartbeat (name, kind, at_ms) VALUES (?, ?, ?)", kind, kind, now_ms)
    command = ("web", "--port", doctor_shell.url.rpartition(":")[2], "--processes", "1")
    variables = {**doctor_shell.shell.variables, **doctor_shell.variables}
    with fork_server.running(command, variables, doctor_shell.shell.instance / "web.log"):
        servers.wait_for(lambda: servers.responds_ok(f"{doctor_shell.url}/healthz"), "the portal to answer")
        report = doctor_shell.json_report()
    assert [check["name"] for check in report["checks"] if check["verdict"] == "failing"] == []


def test_set_webhooks_runs_before_the_checks(doctor_shell: DoctorCommand) -> None:
    assert doctor_shell.json_report()["by_name"]["Inbound address"]["verdict"] == "failing"
    report = doctor_shell.json_report("--set-webhooks")
    assert report["actions"] == ["Both addresses are set at Twilio."]
    assert report["by_name"]["Inbound address"]["verdict"] == "ok"
    assert doctor_shell.doctor("--set-webhooks").stdout.startswith("Both addresses are set at Twilio.\n")


def test_failed_set_webhooks_is_refused_in_one_sentence(doctor_shell: DoctorCommand) -> None:
    doctor_shell.set("SmsGatewayAuthentication", {**servers.LIVE_CREDENTIALS, "AuthToken": "another-token-of-ours"})
    result = doctor_shell.doctor("--set-webhooks")
    assert result.returncode == 1
    assert result.stdout == ""
    assert result.stderr.startswith("Nothing was set at Twilio.")
    assert "20003" in result.stderr


def test_resume_requires_passing_twilio_checks(doctor_shell: DoctorCommand) -> None:
    columns = "number, next_free_at_us, paused_reason, paused_at_ms"
    row = f"INSERT INTO sending_number ({columns}) VALUES (?, 0, 'Suspended.', 1)"
    doctor_shell.write(row, servers.FROM_NUMBER)
    doctor_shell.simulator.set_faults(account={"status": "suspended"})
    refused = doctor_shell.doctor("--resume", "--set-webhooks")
    assert refused.returncode == 1
    assert refused.stderr.startswith("Sending stays paused. Account: The account is suspended.")
    assert pause_sender(doctor_shell) == ["Suspended."]
    doctor_shell.simulator.set_faults()
    resumed = doctor_shell.json_report("--resume")
    assert (resumed["actions"], resumed["error"]) == (["Sending resumed."], None)
    assert resumed["by_name"]["Lanes"]["verdict"] == "ok"
    assert pause_sender(doctor_shell) == [""]


def test_doctor_reports_missing_tables(doctor_shell: DoctorCommand, tmp_path_factory: pytest.TempPathFactory) -> None:
    empty = tmp_path_factory.mktemp("empty")
    report = doctor_shell.json_report(PORTAL_INSTANCE=str(empty))
    assert report["by_name"]["Database"]["fix"] == "Run: portal db upgrade"
    assert report["by_name"]["Credentials"]["verdict"] == "unknown"
