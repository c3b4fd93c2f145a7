"""The product as a whole: `portal up`, real processes, seen from outside only."""

import json
import os
import signal
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import parts

RATE = {"FromNumber": parts.FROM, "SegmentsPerSecond": 12}


@contextmanager
def portal_up(instance: Path, port: int) -> Iterator[subprocess.Popen[str]]:
    env = {"PORTAL_INSTANCE": str(instance), "PORTAL_SWEEP_INTERVAL": "1"}
    with parts.running(parts.portal_command("up", "--demo", "--port", str(port)), env, stdout=subprocess.DEVNULL) as up:
        parts.wait_for(lambda: parts.answers(f"http://127.0.0.1:{port}/readyz"), "the portal to be ready", 60)
        yield up


def portal(instance: Path, *words: str) -> str:
    env = {**os.environ, "PORTAL_INSTANCE": str(instance)}
    done = subprocess.run(parts.portal_command(*words), env=env, cwd=parts.ROOT, text=True, capture_output=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def texts(port: int) -> list[dict[str, str]]:
    return parts.get_json(f"http://127.0.0.1:{port + 1}/simulator/messages")["messages"]


def processes_of(instance: Path) -> list[str]:
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


def notifications(port: int) -> list[dict[str, Any]]:
    """All mails but the one that asks somebody to check a number that cannot receive texts."""
    mails = parts.get_json(f"http://127.0.0.1:{port + 1}/simulator/mail")["mail"]
    return [mail for mail in mails if not mail["subject"].startswith("Please check")]


def test_a_send_reaches_everybody_once_though_the_worker_is_stopped_in_the_middle(tmp_path: Path) -> None:
    """Meanwhile a second portal on the same folder is refused with one sentence."""
    port = parts.free_ports_in_a_row(3)
    with portal_up(tmp_path, port):
        portal(tmp_path, "config", "set", "SmsGatewaySettings", json.dumps(RATE))
        send = portal(tmp_path, "sends", "create", "audit-selected", "--all", "--data", "due_date=Friday")
        parts.wait_for(lambda: len(texts(port)) >= 5, "the first texts")
        _stop_the_sms_worker(tmp_path)
        _start_a_second_portal(tmp_path)
        portal(tmp_path, "sends", "wait", send, "--timeout", "60")
        report = json.loads(portal(tmp_path, "sends", "show", send, "--json"))
        assert report["recipients"] == 40
        assert sum(report["counts"]["email"].values()) == report["counts"]["email"]["mailed"] == 40
        reached = Counter(text["to"] for text in texts(port))
        assert (len(reached), set(reached.values())) == (25, {1})
        mails = notifications(port)
        assert len(mails) == len({mail["message_id"] for mail in mails}) == 40


def test_stopping_in_the_middle_of_a_send_leaves_no_process_and_loses_nothing(tmp_path: Path) -> None:
    port = parts.free_ports_in_a_row(3)
    with portal_up(tmp_path, port) as up:
        portal(tmp_path, "sends", "create", "payment-received", "--all", "--data", "amount=$1.00")
        up.send_signal(signal.SIGINT)
        assert up.wait(40) == 0
    assert processes_of(tmp_path) == []
    with portal_up(tmp_path, port):
        parts.wait_for(lambda: len(notifications(port)) >= 40, "every mail", 60)
        found = notifications(port)
        assert len(found) == len({mail["message_id"] for mail in found}) == 40


def _start_a_second_portal(instance: Path) -> None:
    env = {**os.environ, "PORTAL_INSTANCE": str(instance)}
    second = parts.portal_command("up", "--port", str(parts.free_port()))
    done = subprocess.run(second, env=env, cwd=parts.ROOT, text=True, capture_output=True, timeout=60)
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
