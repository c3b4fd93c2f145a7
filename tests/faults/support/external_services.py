"""External services that tests can stop, break and restart: simulated Twilio and mail server, and Valkey."""

import contextlib
import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import redis

from portal.core.config import redis_socket
from portal.processes import embedded_valkey
from tests.support import servers


class RestartableSimulator(servers.SimulatorClient):
    """A simulator that keeps its accepted messages across restarts."""

    def __init__(self, folder: Path, inbound_url: str) -> None:
        super().__init__(servers.free_port(), servers.free_port())
        self._inbound_url, self._data, self._output = inbound_url, folder / "simulator.sqlite", folder / "simulator.log"
        self.start()

    def start(self) -> None:
        ports = [url.rpartition(":")[2] for url in (self.url, self.smtp_url)]
        command = [sys.executable, "-m", "simulator", "--port", ports[0], "--smtp-port", ports[1]]
        command += ["--data", str(self._data), "--inbound-url", self._inbound_url, "--latency-ms", "10"]
        with self._output.open("a") as output:
            self._process = subprocess.Popen(command, cwd=servers.ROOT, stdout=output, stderr=output)
        servers.wait_for(lambda: servers.responds_ok(f"{self.url}/simulator/faults"), "the simulator to listen")

    def stop(self, signum: int = signal.SIGKILL) -> None:
        self._process.send_signal(signum)
        self._process.wait(30)

    def calls(self, kind: str = "create", to: str | None = None) -> list[dict[str, Any]]:
        """Every API request of one kind, in order of arrival."""
        log = self.get("/simulator/log")["log"]
        return [call for call in log if call["kind"] == kind and to in (None, call["to"])]

    def count_texts(self) -> int:
        """The count of texts accepted from the portal. Much cheaper to poll than the full list."""
        query = "SELECT count(*) FROM message WHERE json_extract(row, '$.direction') = 'outbound-api'"
        return int(self._query_file(query)[0])

    def received_emails(self) -> list[dict[str, Any]]:
        """Recipients and Message-ID of every email. Over HTTP the simulator would parse every email each time."""
        rows = map(json.loads, self._query_file("SELECT row FROM email ORDER BY id"))
        return [{"to": row["recipients"], "message_id": row["message_id"]} for row in rows]

    def _query_file(self, query: str) -> list[Any]:
        """Read the simulator's own database, which it writes before it answers a request."""
        with contextlib.closing(sqlite3.connect(f"file:{self._data}?mode=ro", timeout=30, uri=True)) as connection:
            return [row[0] for row in connection.execute(query)]

    def texts_to(self, phone_number: str) -> list[dict[str, Any]]:
        return [text for text in self.accepted_texts() if text["to"] == phone_number]

    def send_from_handset(self, phone_number: str, body: str, **options: Any) -> Any:
        return self.call_api("POST", "/simulator/inbound", {"from": phone_number, "body": body, **options})


class LogCollector:
    """Writes the portal's log from a separate process, because the portal may be unable to write files."""

    def __init__(self, folder: Path) -> None:
        self.file, self.pipe = folder / "portal.log", folder / "portal.pipe"
        os.mkfifo(self.pipe)
        self._process = subprocess.Popen(["sh", "-c", f"exec cat <>'{self.pipe}' >>'{self.file}'"])

    def close(self) -> None:
        self._process.kill()
        self._process.wait(30)


class ValkeyServer:
    """The embedded Valkey server, on the same socket after every restart."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.socket = redis_socket(folder)
        self.url = f"unix://{self.socket}"
        self.start()

    def start(self) -> None:
        program = embedded_valkey.embedded_program(self.folder)
        self._process = subprocess.Popen((*program.command, *servers.VALKEY_OPERATOR), stdout=subprocess.DEVNULL)
        servers.wait_for(lambda: embedded_valkey.is_ready(self.socket), "Valkey to answer")

    def stop(self, signum: int = signal.SIGKILL) -> None:
        self._process.send_signal(signum)
        self._process.wait(30)
        self.socket.unlink(missing_ok=True)

    def delete_data(self) -> None:
        """Delete its files; only while it is stopped."""
        shutil.rmtree(self.folder / "valkey")

    def client(self) -> redis.Redis:
        return redis.Redis(unix_socket_path=str(self.socket), username="operator", password="none")

    def run_redis_command(self, *arguments: str) -> Any:
        with self.client() as client:
            return client.execute_command(*arguments)

    def worker_state(self, queue: str, pid: int) -> str:
        """RQ's state of a worker: "started", "idle", "busy", or "" if unknown."""
        state = self.run_redis_command("HGET", f"rq:worker:{queue}-{socket.gethostname()}-{pid}", "state")
        return state.decode() if state else ""

    def queue_length(self, queue: str) -> int:
        """The count of jobs that no worker has taken yet."""
        return int(self.run_redis_command("LLEN", f"rq:queue:{queue}"))
