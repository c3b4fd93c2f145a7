"""A client of the simulator process and a webhook server, for the tests of the simulator."""

import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, TypeVar
from urllib.parse import parse_qsl

import requests
from twilio.request_validator import RequestValidator
from twilio.rest import Client

LIVE_SID, LIVE_TOKEN = "AC00000000000000000000000000000001", "simulator-live-token"
TEST_SID, TEST_TOKEN = "AC00000000000000000000000000000002", "simulator-test-token"
T = TypeVar("T")
FROM, OTHER_FROM, TO = "+12025550100", "+12025550101", "+12025550123"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(condition: Callable[[], T], what: str, seconds: float = 10) -> T:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if result := condition():
            return result
        time.sleep(0.01)
    raise AssertionError(f"waited {seconds} s for {what}")


@dataclass
class Simulator:
    port: int
    smtp_port: int
    process: subprocess.Popen[str]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def messages_url(self) -> str:
        return f"{self.url}/2010-04-01/Accounts/{LIVE_SID}/Messages.json"

    def is_ready(self) -> bool:
        assert self.process.poll() is None, "the simulator has exited"
        try:
            return requests.get(f"{self.url}/healthz", timeout=5).ok
        except requests.ConnectionError:
            return False

    def stop(self, signum: int = signal.SIGTERM) -> int:
        if self.process.poll() is None:
            self.process.send_signal(signum)
        return self.process.wait(timeout=10)

    def client(self, sid: str = LIVE_SID, token: str = LIVE_TOKEN) -> Client:
        client = Client(sid, token, environment={"_": ""})
        client.api.base_url = self.url
        client.http_client.timeout = 10
        return client

    def get(self, path: str) -> Any:
        response = requests.get(self.url + path, timeout=10)
        response.raise_for_status()
        return response.json()

    def post(self, path: str, data: object) -> Any:
        response = requests.post(self.url + path, json=data, timeout=20)
        assert response.ok, response.text
        return response.json()

    def faults(self, **faults: object) -> Any:
        response = requests.put(f"{self.url}/simulator/faults", json=faults, timeout=10)
        assert response.ok, response.text
        return response.json()

    def send(self, body: str = "Hello", to: str = TO, timeout: float = 10, **fields: str) -> requests.Response:
        form = {"To": to, "From": FROM, "Body": body, **fields}
        return requests.post(self.messages_url, data=form, auth=(LIVE_SID, LIVE_TOKEN), timeout=timeout)

    def accepted(self, **query: str) -> list[dict[str, Any]]:
        response = requests.get(f"{self.url}/simulator/messages", params=query, timeout=10)
        return list(response.json()["messages"])

    def log(self) -> list[dict[str, Any]]:
        return list(self.get("/simulator/log")["log"])

    def send_from_handset(self, body: str, handset: str = TO, **fields: object) -> Any:
        return self.post("/simulator/inbound", {"from": handset, "to": FROM, "body": body, **fields})


@dataclass(frozen=True)
class WebhookPost:
    url: str
    params: dict[str, str]
    signature: str

    def is_signed(self) -> bool:
        return bool(RequestValidator(LIVE_TOKEN).validate(self.url, self.params, self.signature))


class WebhookServer:
    """A web server that stores every POST and responds with `response` (TwiML or nothing)."""

    def __init__(self) -> None:
        self.posts: list[WebhookPost] = []
        self.response = "<Response/>"
        self.status = 200
        self.delays: dict[str, float] = {}
        """Delay in seconds, by message status."""
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler_of(self))
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self._server.server_port}{path}"

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def statuses(self, sid: str) -> list[str]:
        return [post.params["MessageStatus"] for post in self.posts if post.params.get("MessageSid") == sid]


def _handler_of(webhooks: WebhookServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            params = dict(parse_qsl(body, keep_blank_values=True))
            time.sleep(webhooks.delays.get(params.get("MessageStatus", ""), 0))
            webhooks.posts.append(WebhookPost(webhooks.url(self.path), params, self.headers["X-Twilio-Signature"]))
            body_bytes = webhooks.response.encode()
            self.send_response(webhooks.status)
            self.send_header("Content-Type", "text/xml")
            self.send_header("Content-Length", str(len(body_bytes)))
            self.end_headers()
            self.wfile.write(body_bytes)

        def log_message(self, *_: object) -> None:
            pass

    return Handler
