"""The process itself: starting, stopping, keeping what it was told, and standing the load."""

import signal
import smtplib
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests

from tests.simulator.simulator_server import LIVE_SID, LIVE_TOKEN, TO, SimulatorServer, free_port, wait_for

StartSimulator = Callable[..., SimulatorServer]


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_a_restart_keeps_everything(start_simulator: StartSimulator, tmp_path: Path, how: int) -> None:
    data = str(tmp_path / "world.sqlite")
    first = start_simulator("--data", data, "--latency-ms", "0", "--inbound-url", "http://127.0.0.1:9/")
    sid = first.send("Kept").json()["sid"]
    first.send_from_handset("STOP", "+12025550124", deliver=0)
    log = first.request_log()
    first.stop(how)
    second = start_simulator("--data", data, "--latency-ms", "0")
    assert [each["sid"] for each in second.list_messages(to=TO)] == [sid]
    assert second.request_log() == log
    assert second.send(to="+12025550124").json()["code"] == 21610
    assert second.request_log()[-1]["n"] == log[-1]["n"] + 1
    wait_for(lambda: second.list_messages(to=TO)[0]["status"] == "delivered", "what was on its way to go on")


def test_it_stops_at_once_though_requests_hang(start_simulator: StartSimulator) -> None:
    simulator = start_simulator("--latency-ms", "0")
    hang = {"seconds": 60}
    simulator.set_faults(rules=[{"kind": "timeout_after", **hang}], smtp={"kind": "hang_after_data", **hang})
    with ThreadPoolExecutor(2) as pool, requests.Session() as kept_open:
        text, mail = pool.submit(simulator.send, timeout=30), pool.submit(_send_mail, simulator)
        wait_for(lambda: simulator.list_messages() and simulator.get("/simulator/mail")["mail"], "both to hang")
        kept_open.get(simulator.url, timeout=5)
        started = time.monotonic()
        assert simulator.stop() == 0
        assert time.monotonic() - started < 10, "it waited for what hangs"
        assert isinstance(text.exception(), requests.ConnectionError)
        assert isinstance(mail.exception(), smtplib.SMTPException | OSError)


def _send_mail(simulator: SimulatorServer) -> None:
    with smtplib.SMTP("127.0.0.1", simulator.smtp_port, timeout=30) as smtp:
        smtp.sendmail("a@example.org", "b@example.org", "Subject: Hello\r\n\r\nHello")


@pytest.mark.parametrize("option", ["--port", "--smtp-port"])
def test_a_busy_port_is_one_clear_sentence(option: str) -> None:
    ports = {"--port": free_port(), "--smtp-port": free_port()}
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        ports[option] = busy.getsockname()[1]
        words = [part for name, port in ports.items() for part in (name, str(port))]
        command = [sys.executable, "-m", "simulator", *words]
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, cwd=Path(__file__).parents[2])
    assert done.returncode == 1
    assert len(done.stderr.strip().splitlines()) == 1
    assert str(ports[option]) in done.stderr
    assert "Traceback" not in done.stderr


def test_it_takes_each_text_of_many_connections_once(start_simulator: StartSimulator) -> None:
    simulator = start_simulator("--latency-ms", "100")
    sessions = [requests.Session() for _ in range(50)]

    def send_ten(session: requests.Session) -> list[int]:
        form = {"To": TO, "From": "+12025550100", "Body": "Hello"}
        auth = (LIVE_SID, LIVE_TOKEN)
        return [session.post(simulator.messages_url, form, auth=auth, timeout=90).status_code for _ in range(10)]

    with ThreadPoolExecutor(50) as pool:
        codes = [code for each in pool.map(send_ten, sessions) for code in each]
    for session in sessions:
        session.close()
    assert codes == [201] * 500
    assert len({each["sid"] for each in simulator.list_messages()}) == 500
