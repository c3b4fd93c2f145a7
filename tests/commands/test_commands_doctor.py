"""`portal doctor` as an operator or a script runs it: lines to read, exit codes, JSON, and what it can mend."""

import json
import sqlite3
import time
from typing import Any

import parts
import pytest
from shell import Answer, Shell


class Clinic:
    """A shell whose portal has the simulator as its Twilio and as its mail server."""

    def __init__(self, shell: Shell, simulator: parts.Simulator) -> None:
        self.shell, self.simulator = shell, simulator
        self.url = f"http://127.0.0.1:{parts.free_port()}"
        self.variables = {
            "PORTAL_TWILIO_API_URL": simulator.url,
            "PORTAL_SMTP_URL": simulator.smtp_url,
            "PORTAL_PUBLIC_URL": self.url,
        }

    def doctor(self, *options: str, **more: str) -> Answer:
        return self.shell.run("doctor", *options, **{**self.variables, **more})

    def findings(self, *options: str, **more: str) -> dict[str, Any]:
        answer = self.doctor("--json", *options, **more)
        found = json.loads(answer.stdout)
        assert answer.returncode == (1 if found["failing"] or found["refused"] else 0)
        return {**found, "by_name": {check["name"]: check for check in found["checks"]}}

    def set(self, name: str, value: Any) -> None:
        self.shell.says("config", "set", name, value if isinstance(value, str) else json.dumps(value))

    def write(self, statement: str, *values: Any) -> None:
        with sqlite3.connect(self.shell.instance / "portal.sqlite") as connection:
            connection.execute(statement, values)


@pytest.fixture
def clinic(shell: Shell, simulator: parts.Simulator) -> Clinic:
    found = Clinic(shell, simulator)
    found.set("SmsGatewayAuthentication", parts.LIVE)
    found.set("SmsGatewaySettings", {"FromNumber": parts.FROM})
    return found


def paused(clinic: Clinic) -> list[str]:
    return [reason for (reason,) in clinic.shell.rows("SELECT paused_reason FROM sender")]


def test_it_prints_a_line_for_each_check_in_columns_and_exits_1_when_something_fails(clinic: Clinic) -> None:
    answer = clinic.doctor(COLUMNS="100")
    assert (answer.returncode, answer.stderr) == (1, "")
    lines = answer.stdout.splitlines()
    assert [line for line in lines if line and not line.startswith(" ")][:3] == ["Twilio", "Portal", "Mail"]
    assert max(map(len, lines)) <= 100
    starts = {line.index(word) for line, word in _words_of(lines)}
    assert len(starts) == 1, "the reasons stand in one column"
    assert lines[-1] == "4 failing, 2 with a warning, 2 not checked, 18 ok"
    assert "\x1b[" not in answer.stdout, "no colours where nobody sees them"


def _words_of(lines: list[str]) -> list[tuple[str, str]]:
    wanted = {"Credentials": "Twilio accepts", "Queue": "Redis takes work", "Mail server": "It answers."}
    return [(line, word) for name, word in wanted.items() for line in lines if f"  {name}  " in line]


def test_neither_secret_nor_number_is_printed(clinic: Clinic) -> None:
    answer = clinic.doctor()
    said = answer.stdout + answer.stderr
    assert "+1 ••• 0100" in said
    assert parts.FROM[2:] not in said
    assert parts.LIVE["AuthToken"] not in said


def test_as_json_it_tells_the_same_to_a_script(clinic: Clinic) -> None:
    found = clinic.findings()
    assert (found["failing"], found["done"], found["refused"]) == (True, [], None)
    assert len(found["checks"]) == 26
    assert found["by_name"]["Credentials"] == {
        "group": "Twilio",
        "name": "Credentials",
        "verdict": "ok",
        "why": "Twilio accepts them.",
        "mend": "",
        "button": "",
    }


def test_nothing_failing_is_exit_code_0(clinic: Clinic) -> None:
    clinic.doctor("--set-webhooks")
    for kind in ("worker:sms", "worker:email", "worker:work", "scheduler"):
        now_ms = time.time_ns() // 1_000_000
        clinic.write("INSERT INTO heartbeat (name, kind, at_ms) VALUES (?, ?, ?)", kind, kind, now_ms)
    command = parts.portal_command("web", "--port", clinic.url.rpartition(":")[2], "--processes", "1")
    with parts.running(command, {**clinic.shell.variables, **clinic.variables}):
        parts.wait_for(lambda: parts.answers(f"{clinic.url}/healthz"), "the portal to answer")
        found = clinic.findings()
    assert [check["name"] for check in found["checks"] if check["verdict"] == "failing"] == []


def test_it_sets_our_addresses_at_twilio_first_when_told(clinic: Clinic) -> None:
    assert clinic.findings()["by_name"]["Inbound address"]["verdict"] == "failing"
    found = clinic.findings("--set-webhooks")
    assert found["done"] == ["Both addresses are set at Twilio."]
    assert found["by_name"]["Inbound address"]["verdict"] == "ok"
    assert clinic.doctor("--set-webhooks").stdout.startswith("Both addresses are set at Twilio.\n")


def test_addresses_that_cannot_be_set_are_refused_in_one_sentence(clinic: Clinic) -> None:
    clinic.set("SmsGatewayAuthentication", {**parts.LIVE, "AuthToken": "another-token-of-ours"})
    answer = clinic.doctor("--set-webhooks")
    assert answer.returncode == 1
    assert answer.stdout == ""
    assert answer.stderr.startswith("Nothing was set at Twilio.")
    assert "20003" in answer.stderr


def test_paused_lanes_go_on_only_when_nothing_fails_at_twilio(clinic: Clinic) -> None:
    row = "INSERT INTO sender (number, next_free_at_us, paused_reason, paused_at_ms) VALUES (?, 0, 'Suspended.', 1)"
    clinic.write(row, parts.FROM)
    clinic.simulator.faults(account={"status": "suspended"})
    refused = clinic.doctor("--resume", "--set-webhooks")
    assert refused.returncode == 1
    assert refused.stderr.startswith("Sending stays paused. Account: The account is suspended.")
    assert paused(clinic) == ["Suspended."]
    clinic.simulator.faults()
    resumed = clinic.findings("--resume")
    assert (resumed["done"], resumed["refused"]) == (["Sending goes on."], None)
    assert resumed["by_name"]["Lanes"]["verdict"] == "ok"
    assert paused(clinic) == [""]


def test_before_the_tables_are_there_it_says_so_and_breaks_nothing(
    clinic: Clinic, tmp_path_factory: pytest.TempPathFactory
) -> None:
    empty = tmp_path_factory.mktemp("empty")
    found = clinic.findings(PORTAL_INSTANCE=str(empty))
    assert found["by_name"]["Database"]["mend"] == "Run: portal db upgrade"
    assert found["by_name"]["Credentials"]["verdict"] == "unknown"
