"""What surrounds the product, and can be stopped, broken and started again: Twilio and mail, and Valkey."""

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

from portal.processes import embedded_valkey
from tests.support import servers


class RestartableSimulator(servers.SimulatorClient):
    """The simulator, which remembers over a restart what it accepted."""

    def __init__(self, folder: Path, inbound_url: str) -> None:
        super().__init__(servers.free_port(), servers.free_port())
        self._inbound_url, self._data, self._output = inbound_url, folder / "simulator.sqlite", folder / "simulator.log"
        self.start()

    def start(self) -> None:
        ports = [each.rpartition(":")[2] for each in (self.url, self.smtp_url)]
        command = [sys.executable, "-m", "simulator", "--port", ports[0], "--smtp-port", ports[1]]
        command += ["--data", str(self._data), "--inbound-url", self._inbound_url, "--latency-ms", "10"]
        with self._output.open("a") as output:
            self._process = subprocess.Popen(command, cwd=servers.ROOT, stdout=output, stderr=output)
        servers.wait_for(lambda: servers.responds_ok(f"{self.url}/simulator/faults"), "the simulator to listen")

    def stop(self, signum: int = signal.SIGKILL) -> None:
        self._process.send_signal(signum)
        self._process.wait(30)

    def calls(self, kind: str = "create", to: str | None = None) -> list[dict[str, Any]]:
        """Every API request of a kind, in order of arrival."""
        log = self.get("/simulator/log")["log"]
        return [call for call in log if call["kind"] == kind and to in (None, call["to"])]

    def count_texts(self) -> int:
        """How many texts it accepted from us: listing them all takes long to ask again and again."""
        query = "SELECT count(*) FROM message WHERE json_extract(row, '$.direction') = 'outbound-api'"
        return int(self._query_file(query)[0])

    def received_emails(self) -> list[dict[str, Any]]:
        """To whom, under which Message-ID. Asked over HTTP it takes every mail apart anew."""
        rows = map(json.loads, self._query_file("SELECT row FROM email ORDER BY id"))
        return [{"to": row["recipients"], "message_id": row["message_id"]} for row in rows]

    def _query_file(self, query: str) -> list[Any]:
        """As it stands in its file, where everything is before anybody is answered."""
        with contextlib.closing(sqlite3.connect(f"file:{self._data}?mode=ro", timeout=30, uri=True)) as connection:
            return [row[0] for row in connection.execute(query)]

    def texts_to(self, number: str) -> list[dict[str, Any]]:
        return [text for text in self.accepted_texts() if text["to"] == number]

    def send_from_handset(self, number: str, body: str, **more: Any) -> Any:
        return self.call_api("POST", "/simulator/inbound", {"from": number, "body": body, **more})


class LogCollector:
    """What the product says, written down by somebody else: its own disk may be full."""

    def __init__(self, folder: Path) -> None:
        self.file, self.pipe = folder / "product.log", folder / "product.pipe"
        os.mkfifo(self.pipe)
        self._process = subprocess.Popen(["sh", "-c", f"exec cat <>'{self.pipe}' >>'{self.file}'"])

    def close(self) -> None:
        self._process.kill()
        self._process.wait(30)


class ValkeyServer:
    """Valkey as the product embeds it, on a socket that outlives its restarts."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.socket = folder / "valkey" / "valkey.sock"
        self.url = f"unix://{self.socket}"
        self.start()

    def start(self) -> None:
        program = embedded_valkey.embedded_program(self.folder)
        self._process = subprocess.Popen(program.command, stdout=subprocess.DEVNULL)
        servers.wait_for(lambda: embedded_valkey.is_ready(self.socket), "Valkey to answer")

    def stop(self, signum: int = signal.SIGKILL) -> None:
        self._process.send_signal(signum)
        self._process.wait(30)
        self.socket.unlink(missing_ok=True)

    def delete_data(self) -> None:
        """What it wrote to its disk, while it is down."""
        shutil.rmtree(self.folder / "valkey")

    def client(self) -> redis.Redis:
        return redis.Redis.from_url(self.url)

    def run_redis_command(self, *words: str) -> Any:
        with self.client() as client:
            return client.execute_command(*words)

    def worker_state(self, queue: str, pid: int) -> str:
        """What RQ knows of one worker: started, idle or busy."""
        found = self.run_redis_command("HGET", f"rq:worker:{queue}-{socket.gethostname()}-{pid}", "state")
        return found.decode() if found else ""

    def queue_length(self, queue: str) -> int:
        """How many jobs nobody has taken yet."""
        return int(self.run_redis_command("LLEN", f"rq:queue:{queue}"))
