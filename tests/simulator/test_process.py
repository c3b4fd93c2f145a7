"""The simulator process: start, stop, restart and load."""

import contextlib
import signal
import smtplib
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests

from tests.simulator.simulator_server import LIVE_SID, LIVE_TOKEN, TO, Simulator, free_port, wait_for

Starter = Callable[..., Simulator]


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGKILL])
def test_a_restart_keeps_everything(simulator_starter: Starter, tmp_path: Path, signum: int) -> None:
    data = str(tmp_path / "simulator.sqlite")
    first = simulator_starter("--data", data, "--latency-ms", "0", "--inbound-url", "http://127.0.0.1:9/")
    sid = first.send("Kept").json()["sid"]
    first.send_from_handset("STOP", "+12025550124", deliver=0)
    log = first.log()
    first.stop(signum)
    second = simulator_starter("--data", data, "--latency-ms", "0")
    assert [message["sid"] for message in second.accepted(to=TO)] == [sid]
    assert second.log() == log
    assert second.send(to="+12025550124").json()["code"] == 21610
    assert second.log()[-1]["n"] == log[-1]["n"] + 1
    wait_for(lambda: second.accepted(to=TO)[0]["status"] == "delivered", "delivery to continue")


def test_a_data_file_of_another_version_is_refused(tmp_path: Path) -> None:
    data = tmp_path / "simulator.sqlite"
    with contextlib.closing(sqlite3.connect(data)) as connection:
        connection.execute("CREATE TABLE wiring (owner TEXT)")
    refused = _run_simulator("--data", str(data))
    assert refused.returncode == 1
    assert refused.stderr.strip() == (
        f"Cannot use the data file {data}: this version of the simulator did not create it. "
        "Delete it or choose another."
    )


def test_it_stops_quickly_while_requests_hang(simulator_starter: Starter) -> None:
    simulator = simulator_starter("--latency-ms", "0")
    hang = {"seconds": 60}
    simulator.faults(rules=[{"kind": "timeout_after", **hang}], smtp={"kind": "hang_after_data", **hang})
    with ThreadPoolExecutor(2) as pool, requests.Session() as idle_connection:
        text, mail = pool.submit(simulator.send, timeout=30), pool.submit(_send_mail, simulator)
        wait_for(lambda: simulator.accepted() and simulator.get("/simulator/mail")["mail"], "both to hang")
        idle_connection.get(simulator.url, timeout=5)
        started = time.monotonic()
        assert simulator.stop() == 0
        assert time.monotonic() - started < 10, "it waited for the open requests"
        assert isinstance(text.exception(), requests.ConnectionError)
        assert isinstance(mail.exception(), smtplib.SMTPException | OSError)


def _send_mail(simulator: Simulator) -> None:
    with smtplib.SMTP("127.0.0.1", simulator.smtp_port, timeout=30) as smtp:
        smtp.sendmail("a@example.org", "b@example.org", "Subject: Hello\r\n\r\nHello")


@pytest.mark.parametrize("option", ["--port", "--smtp-port"])
def test_a_port_in_use_is_reported_on_one_line(option: str) -> None:
    ports = {"--port": free_port(), "--smtp-port": free_port()}
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        ports[option] = busy.getsockname()[1]
        refused = _run_simulator(*(part for name, port in ports.items() for part in (name, str(port))))
    assert refused.returncode == 1
    assert len(refused.stderr.strip().splitlines()) == 1
    assert str(ports[option]) in refused.stderr
    assert "Traceback" not in refused.stderr


def _run_simulator(*options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "simulator", *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=20, cwd=Path(__file__).parents[2])


def test_it_accepts_each_concurrent_text_once(simulator_starter: Starter) -> None:
    simulator = simulator_starter("--latency-ms", "100")
    sessions = [requests.Session() for _ in range(50)]

    def send_ten(session: requests.Session) -> list[int]:
        form = {"To": TO, "From": "+12025550100", "Body": "Hello"}
        auth = (LIVE_SID, LIVE_TOKEN)
        return [session.post(simulator.messages_url, form, auth=auth, timeout=90).status_code for _ in range(10)]

    with ThreadPoolExecutor(50) as pool:
        codes = [code for batch in pool.map(send_ten, sessions) for code in batch]
    for session in sessions:
        session.close()
    assert codes == [201] * 500
    assert len({message["sid"] for message in simulator.accepted()}) == 500
