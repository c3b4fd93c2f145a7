"""Restarts of the processes of `portal up` during a send, judged by what the simulator received."""

import json
import os
import signal
import subprocess
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.e2e.running_portal import RunningPortal, start_portal
from tests.support import servers
from tests.support.commands.command_runner import CommandRunner

CREATE = ("sends", "create", "--all", "--include-staff")
GATEWAY_SETTINGS = {"FromNumber": servers.FROM_NUMBER, "SegmentsPerSecond": 12}


def test_restarts_during_a_send_lose_and_repeat_nothing(
    tmp_path: Path, command_runner: CommandRunner, start_shared_portal: Callable[[Path], RunningPortal]
) -> None:
    """Stop a worker, start a second portal on the same folder, then restart everything.

    One test, because each start is slow. The other end-to-end tests share the restarted portal.
    """
    with start_portal(tmp_path, command_runner) as running_portal:
        check_send_with_stopped_worker(running_portal)
        second_send = running_portal.run_cli(
            "sends", "create", "payment-received", "--all", "--include-staff", "--data", "amount=$1.00"
        )
        running_portal.process.send_signal(signal.SIGINT)
        assert running_portal.process.wait(40) == 0
    assert processes_of_instance(tmp_path) == []
    running_portal = start_shared_portal(tmp_path)
    servers.wait_for(lambda: len(notification_emails(running_portal)) >= 80, "every email", 60)
    emails = notification_emails(running_portal)
    assert len(emails) == len({email["message_id"] for email in emails}) == 80
    running_portal.run_cli("sends", "wait", second_send, "--timeout", "100")
    assert max(Counter((text["to"], text["body"]) for text in simulator_texts(running_portal)).values()) == 1


def check_send_with_stopped_worker(running_portal: RunningPortal) -> None:
    running_portal.run_cli("config", "set", "SmsGatewaySettings", json.dumps(GATEWAY_SETTINGS))
    send = running_portal.run_cli(
        "sends", "create", "audit-selected", "--all", "--include-staff", "--data", "due_date=Friday"
    )
    servers.wait_for(lambda: len(simulator_texts(running_portal)) >= 5, "the first texts")
    stop_sms_worker(running_portal.instance)
    check_second_portal_is_rejected(running_portal.instance)
    running_portal.run_cli("sends", "wait", send, "--timeout", "60")
    report = json.loads(running_portal.run_cli("sends", "show", send, "--json"))
    assert report["recipients"] == 40
    assert sum(report["counts"]["email"].values()) == report["counts"]["email"]["handed_off"] == 40
    text_counts = Counter(text["to"] for text in simulator_texts(running_portal))
    assert (len(text_counts), set(text_counts.values())) == (23, {1})
    emails = notification_emails(running_portal)
    assert len(emails) == len({email["message_id"] for email in emails}) == 40


def simulator_texts(running_portal: RunningPortal) -> list[dict[str, str]]:
    return list(servers.get_json(f"{running_portal.simulator_url}/simulator/messages")["messages"])


def notification_emails(running_portal: RunningPortal) -> list[dict[str, Any]]:
    """All emails except alerts, and the one that asks a recipient to check an unreachable phone number."""
    emails = servers.get_json(f"{running_portal.simulator_url}/simulator/mail")["mail"]
    return [email for email in emails if not email["subject"].startswith(("Please check", "["))]


def processes_of_instance(instance: Path) -> list[str]:
    """The command lines of processes that have this instance in their environment."""
    commands = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            environ = (folder / "environ").read_bytes()
            if str(instance).encode() in environ and int(folder.name) != os.getpid():
                commands.append((folder / "cmdline").read_text().replace("\0", " "))
        except OSError:
            continue
    return commands


def check_second_portal_is_rejected(instance: Path) -> None:
    env = {**os.environ, "PORTAL_INSTANCE": str(instance)}
    command = servers.portal_command("up", "--port", str(servers.free_port()))
    done = subprocess.run(command, env=env, cwd=servers.ROOT, text=True, capture_output=True, timeout=60)
    assert done.returncode == 1
    assert len(done.stderr.strip().splitlines()) == 1


def stop_sms_worker(instance: Path) -> None:
    """Send SIGTERM to an SMS worker of this instance."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_text().rstrip("\0").split("\0")
            environ = (folder / "environ").read_bytes()
        except OSError:
            continue
        if command[-2:] == ["worker", "sms"] and str(instance).encode() in environ:
            os.kill(int(folder.name), signal.SIGTERM)
            return
    raise AssertionError("no SMS worker is running")
