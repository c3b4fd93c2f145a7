"""`portal doctor` as an operator or a script runs it: lines to read, exit codes, JSON, and what it can mend."""

import json
import sqlite3
import time
from typing import Any

import pytest

from tests.support import servers
from tests.support.commands.command_runner import CommandResult
from tests.support.portal_shell import PortalShell


class DoctorCommand:
    """A shell whose portal has the simulator as its Twilio and as its mail server."""

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
        answer = self.doctor("--json", *options, **more)
        found = json.loads(answer.stdout)
        assert answer.returncode == (1 if found["failing"] or found["error"] else 0)
        return {**found, "by_name": {check["name"]: check for check in found["checks"]}}

    def set(self, name: str, value: Any) -> None:
        self.shell.output_of("config", "set", name, value if isinstance(value, str) else json.dumps(value))

    def write(self, statement: str, *values: Any) -> None:
        with sqlite3.connect(self.shell.instance / "portal.sqlite") as connection:
            connection.execute(statement, values)


@pytest.fixture
def doctor_shell(shell: PortalShell, simulator: servers.SimulatorClient) -> DoctorCommand:
    found = DoctorCommand(shell, simulator)
    found.set("SmsGatewayAuthentication", servers.LIVE_CREDENTIALS)
    found.set("SmsGatewaySettings", {"FromNumber": servers.FROM_NUMBER})
    return found


def pause_sender(doctor_shell: DoctorCommand) -> list[str]:
    return [reason for (reason,) in doctor_shell.shell.select_rows("SELECT paused_reason FROM sending_number")]


def test_it_prints_a_line_for_each_check_in_columns_and_exits_1_when_something_fails(
    doctor_shell: DoctorCommand,
) -> None:
    answer = doctor_shell.doctor(COLUMNS="100")
    assert (answer.returncode, answer.stderr) == (1, "")
    lines = answer.stdout.splitlines()
    assert [line for line in lines if line and not line.startswith(" ")][:3] == ["Twilio", "Portal", "Mail"]
    assert max(map(len, lines)) <= 100
    starts = {line.index(word) for line, word in _verdict_lines(lines)}
    assert len(starts) == 1, "the reasons stand in one column"
    assert lines[-1] == "4 failing, 2 with a warning, 2 not checked, 18 ok"
    assert "\x1b[" not in answer.stdout, "no colours where nobody sees them"


def _verdict_lines(lines: list[str]) -> list[tuple[str, str]]:
    wanted = {"Credentials": "Twilio accepts", "Queue": "Redis accepts work", "Mail server": "It answers."}
    return [(line, word) for name, word in wanted.items() for line in lines if f"  {name}  " in line]


def test_neither_secret_nor_number_is_printed(doctor_shell: DoctorCommand) -> None:
    answer = doctor_shell.doctor()
    said = answer.stdout + answer.stderr
    assert "+1 ••• 0100" in said
    assert servers.FROM_NUMBER[2:] not in said
    assert servers.LIVE_CREDENTIALS["AuthToken"] not in said


def test_as_json_it_tells_the_same_to_a_script(doctor_shell: DoctorCommand) -> None:
    found = doctor_shell.json_report()
    assert (found["failing"], found["actions"], found["error"]) == (True, [], None)
    assert len(found["checks"]) == 26
    assert found["by_name"]["Credentials"] == {
        "group": "Twilio",
        "name": "Credentials",
        "verdict": "ok",
        "reason": "Twilio accepts them.",
        "fix": "",
        "action": "",
    }


def test_nothing_failing_is_exit_code_0(doctor_shell: DoctorCommand) -> None:
    doctor_shell.doctor("--set-webhooks")
    for kind in ("worker:sms", "worker:email", "worker:work", "scheduler"):
        now_ms = time.time_ns() // 1_000_000
        doctor_shell.write("INSERT INTO heartbeat (name, kind, at_ms) VALUES (?, ?, ?)", kind, kind, now_ms)
    command = servers.portal_command("web", "--port", doctor_shell.url.rpartition(":")[2], "--processes", "1")
    with servers.running_process(command, {**doctor_shell.shell.variables, **doctor_shell.variables}):
        servers.wait_for(lambda: servers.responds_ok(f"{doctor_shell.url}/healthz"), "the portal to answer")
        found = doctor_shell.json_report()
    assert [check["name"] for check in found["checks"] if check["verdict"] == "failing"] == []


def test_it_sets_our_addresses_at_twilio_first_when_told(doctor_shell: DoctorCommand) -> None:
    assert doctor_shell.json_report()["by_name"]["Inbound address"]["verdict"] == "failing"
    found = doctor_shell.json_report("--set-webhooks")
    assert found["actions"] == ["Both addresses are set at Twilio."]
    assert found["by_name"]["Inbound address"]["verdict"] == "ok"
    assert doctor_shell.doctor("--set-webhooks").stdout.startswith("Both addresses are set at Twilio.\n")


def test_addresses_that_cannot_be_set_are_refused_in_one_sentence(doctor_shell: DoctorCommand) -> None:
    doctor_shell.set("SmsGatewayAuthentication", {**servers.LIVE_CREDENTIALS, "AuthToken": "another-token-of-ours"})
    answer = doctor_shell.doctor("--set-webhooks")
    assert answer.returncode == 1
    assert answer.stdout == ""
    assert answer.stderr.startswith("Nothing was set at Twilio.")
    assert "20003" in answer.stderr


def test_paused_lanes_go_on_only_when_nothing_fails_at_twilio(doctor_shell: DoctorCommand) -> None:
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
    assert (resumed["actions"], resumed["error"]) == (["Sending goes on."], None)
    assert resumed["by_name"]["Lanes"]["verdict"] == "ok"
    assert pause_sender(doctor_shell) == [""]


def test_before_the_tables_are_there_it_says_so_and_breaks_nothing(
    doctor_shell: DoctorCommand, tmp_path_factory: pytest.TempPathFactory
) -> None:
    empty = tmp_path_factory.mktemp("empty")
    found = doctor_shell.json_report(PORTAL_INSTANCE=str(empty))
    assert found["by_name"]["Database"]["fix"] == "Run: portal db upgrade"
    assert found["by_name"]["Credentials"]["verdict"] == "unknown"
