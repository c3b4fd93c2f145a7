"""The simulator process: start, stop, restart and load."""

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
    assert [each["sid"] for each in second.accepted(to=TO)] == [sid]
    assert second.log() == log
    assert second.send(to="+12025550124").json()["code"] == 21610
    assert second.log()[-1]["n"] == log[-1]["n"] + 1
    wait_for(lambda: second.accepted(to=TO)[0]["status"] == "delivered", "delivery to continue")


_EARLIER_DATA = """
CREATE TABLE message (sid TEXT PRIMARY KEY, seq INTEGER NOT NULL, row TEXT NOT NULL) STRICT;
CREATE TABLE call (n INTEGER PRIMARY KEY, row TEXT NOT NULL) STRICT;
CREATE TABLE block (sender TEXT, recipient TEXT, PRIMARY KEY (sender, recipient)) STRICT;
CREATE TABLE number (number TEXT PRIMARY KEY, sms_url TEXT NOT NULL) STRICT;
CREATE TABLE wiring (owner TEXT, name TEXT, value TEXT NOT NULL, PRIMARY KEY (owner, name)) STRICT;
CREATE TABLE mail (id INTEGER PRIMARY KEY, row TEXT NOT NULL, raw BLOB NOT NULL) STRICT;
INSERT INTO message VALUES ('SM1', 1, '{"sid": "SM1", "account_sid": "AC00000000000000000000000000000001",
  "sender": "+12025550100", "recipient": "+12025550123", "body": "An \\"old\\" text", "direction": "outbound-api",
  "status": "delivered", "segments": 1, "created_ms": 1, "updated_ms": 2, "sent_ms": 1, "reached_ms": 2}');
INSERT INTO call VALUES (1, '{"n": 1, "at_ms": 1, "method": "POST", "path": "/", "kind": "create",
  "to": "+12025550123", "sender": "+12025550100", "accepted": true}');
INSERT INTO block VALUES ('+12025550100', '+12025550124');
INSERT INTO mail VALUES (1, '{"id": 1, "at_ms": 1, "sender": "a@example.org", "recipients": ["b@example.org"],
  "subject": "Hello", "message_id": "<1@example.org>"}', X'00');
"""


def test_it_reads_the_data_of_an_earlier_version(simulator_starter: Starter, tmp_path: Path) -> None:
    data = tmp_path / "simulator.sqlite"
    connection = sqlite3.connect(data)
    connection.executescript(_EARLIER_DATA)
    connection.close()
    simulator = simulator_starter("--data", str(data), "--latency-ms", "0")
    (text,) = simulator.accepted()
    assert (text["from"], text["to"], text["body"]) == ("+12025550100", TO, 'An "old" text')
    (entry,) = simulator.log()
    assert (entry["from"], entry["to"]) == ("+12025550100", TO)
    assert simulator.send(to="+12025550124").json()["code"] == 21610
    assert simulator.get("/simulator/mail")["mail"][0]["to"] == ["b@example.org"]


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
        options = [part for name, port in ports.items() for part in (name, str(port))]
        command = [sys.executable, "-m", "simulator", *options]
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, cwd=Path(__file__).parents[2])
    assert done.returncode == 1
    assert len(done.stderr.strip().splitlines()) == 1
    assert str(ports[option]) in done.stderr
    assert "Traceback" not in done.stderr


def test_it_accepts_each_concurrent_text_once(simulator_starter: Starter) -> None:
    simulator = simulator_starter("--latency-ms", "100")
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
    assert len({each["sid"] for each in simulator.accepted()}) == 500
