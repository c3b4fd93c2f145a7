"""The running_portal as a whole: `portal up`, real processes, seen from simulator_url only."""

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

GATEWAY_SETTINGS = {"FromNumber": servers.FROM_NUMBER, "SegmentsPerSecond": 12}


def test_whatever_is_stopped_in_the_middle_of_a_send_nothing_is_lost_and_nothing_comes_twice(
    tmp_path: Path, command_runner: CommandRunner, start_shared_portal: Callable[[Path], RunningPortal]
) -> None:
    """First a worker, beside a second portal on the same folder; then all of it. One story: each start costs.

    The portal that starts again is the one that the journeys find.
    """
    with start_portal(tmp_path, command_runner) as running_portal:
        stop_worker_and_check_everyone_reached_once(running_portal)
        second = running_portal.run_cli("sends", "create", "payment-received", "--all", "--data", "amount=$1.00")
        running_portal.process.send_signal(signal.SIGINT)
        assert running_portal.process.wait(40) == 0
    assert processes_of_instance(tmp_path) == []
    running_portal = start_shared_portal(tmp_path)
    servers.wait_for(lambda: len(notification_emails(running_portal)) >= 80, "every mail", 60)
    found = notification_emails(running_portal)
    assert len(found) == len({mail["message_id"] for mail in found}) == 80
    running_portal.run_cli("sends", "wait", second, "--timeout", "100")
    assert max(Counter((text["to"], text["body"]) for text in simulator_texts(running_portal)).values()) == 1


def stop_worker_and_check_everyone_reached_once(running_portal: RunningPortal) -> None:
    running_portal.run_cli("config", "set", "SmsGatewaySettings", json.dumps(GATEWAY_SETTINGS))
    send = running_portal.run_cli("sends", "create", "audit-selected", "--all", "--data", "due_date=Friday")
    servers.wait_for(lambda: len(simulator_texts(running_portal)) >= 5, "the first simulator_texts")
    _stop_the_sms_worker(running_portal.instance)
    _assert_second_portal_rejected(running_portal.instance)
    running_portal.run_cli("sends", "wait", send, "--timeout", "60")
    report = json.loads(running_portal.run_cli("sends", "show", send, "--json"))
    assert report["recipients"] == 40
    assert sum(report["counts"]["email"].values()) == report["counts"]["email"]["handed_off"] == 40
    reached = Counter(text["to"] for text in simulator_texts(running_portal))
    assert (len(reached), set(reached.values())) == (25, {1})
    mails = notification_emails(running_portal)
    assert len(mails) == len({mail["message_id"] for mail in mails}) == 40


def simulator_texts(running_portal: RunningPortal) -> list[dict[str, str]]:
    return servers.get_json(f"{running_portal.simulator_url}/simulator/messages")["messages"]


def notification_emails(running_portal: RunningPortal) -> list[dict[str, Any]]:
    """All mails but the one that asks somebody to check a number that cannot receive texts."""
    mails = servers.get_json(f"{running_portal.simulator_url}/simulator/mail")["mail"]
    return [mail for mail in mails if not mail["subject"].startswith("Please check")]


def processes_of_instance(instance: Path) -> list[str]:
    """Command lines of processes that carry this instance in their environment."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            environ = (folder / "environ").read_bytes()
            if str(instance).encode() in environ and int(folder.name) != os.getpid():
                found.append((folder / "cmdline").read_text().replace("\0", " "))
        except OSError:
            continue
    return found


def _assert_second_portal_rejected(instance: Path) -> None:
    env = {**os.environ, "PORTAL_INSTANCE": str(instance)}
    second = servers.portal_command("up", "--port", str(servers.free_port()))
    done = subprocess.run(second, env=env, cwd=servers.ROOT, text=True, capture_output=True, timeout=60)
    assert done.returncode == 1
    assert len(done.stderr.strip().splitlines()) == 1


def _stop_the_sms_worker(instance: Path) -> None:
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_text().split("\0")
            environ = (folder / "environ").read_bytes()
        except OSError:
            continue
        if command[-3:-1] == ["worker", "sms"] and str(instance).encode() in environ:
            os.kill(int(folder.name), signal.SIGTERM)
            return
    raise AssertionError("there is no sms worker")
