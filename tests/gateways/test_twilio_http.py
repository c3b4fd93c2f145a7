"""The transport under Twilio's own client: each request once, to our URL, and nothing lost of a failed response."""

import contextlib
import json
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from portal.gateways.provider import ProviderUnavailable
from portal.gateways.rules.provider_schema import Credentials
from portal.gateways.twilio_account import TwilioAccount
from portal.gateways.twilio_http import RequestFailed
from portal.gateways.twilio_messages import TwilioGateway
from tests.support.fakes import stub_servers

SID = "AC" + "0" * 32
NUMBER = "+12025550101"
CREDENTIALS = Credentials(SID, SID, "secret-token")


@dataclass
class Twilio:
    """A stub server that gives the configured response, or closes the connection if `status` is 0."""

    url: str = ""
    status: int = 200
    body: bytes = b"{}"
    headers: dict[str, str] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)


@pytest.fixture
def twilio() -> Iterator[Twilio]:
    stub = Twilio()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            stub.requests.append(f"{self.command} {self.path}")
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            if not stub.status:
                return
            self.send_response_only(stub.status)
            for name, value in {"Content-Length": str(len(stub.body)), **stub.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(stub.body)

        do_GET = do_POST

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    stub.url = f"http://127.0.0.1:{server.server_port}"
    with stub_servers.serving_in_thread(server):
        yield stub


def gateway(twilio: Twilio) -> TwilioGateway:
    return TwilioGateway(twilio.url, "https://portal.example.org", 5)


REQUESTS: dict[str, Callable[[Twilio], object]] = {
    "create": lambda twilio: TwilioAccount(twilio.url, CREDENTIALS).probe_send_error_code(NUMBER),
    "update": lambda twilio: TwilioAccount(twilio.url, CREDENTIALS).set_service_webhooks("MG1", "x", "y"),
    "fetch": lambda twilio: gateway(twilio).get_message(CREDENTIALS, "SM1"),
    "list": lambda twilio: list(gateway(twilio).messages_to(CREDENTIALS, NUMBER)),
}
each_request = pytest.mark.parametrize("request_twilio", REQUESTS.values(), ids=REQUESTS)


@each_request
@pytest.mark.parametrize("status", [0, 307, 401, 429, 500, 503])
def test_failed_request_is_made_once(twilio: Twilio, request_twilio: Callable[[Twilio], object], status: int) -> None:
    twilio.status, twilio.headers = status, {"Retry-After": "0", "Location": f"{twilio.url}/elsewhere"}
    with pytest.raises(RequestFailed) as caught:
        request_twilio(twilio)
    assert caught.value.error.status == (status or None)
    assert len(twilio.requests) == 1


@each_request
def test_failed_request_shows_neither_number_nor_token(
    twilio: Twilio, request_twilio: Callable[[Twilio], object], caplog: pytest.LogCaptureFixture
) -> None:
    twilio.status, twilio.body = 400, json.dumps({"code": 0, "message": f"{NUMBER} is odd"}).encode()
    with caplog.at_level(logging.INFO), pytest.raises(RequestFailed) as caught:
        request_twilio(twilio)
    assert str(caught.value) == "Twilio answered 400."
    assert caplog.records == []


@each_request
def test_environment_changes_neither_host_nor_account(
    twilio: Twilio, request_twilio: Callable[[Twilio], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("TWILIO_REGION", "TWILIO_EDGE", "TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKEN", "HTTP_PROXY"):
        monkeypatch.setenv(name, "au1")
    with contextlib.suppress(RequestFailed):
        request_twilio(twilio)
    assert len(twilio.requests) == 1
    assert SID in twilio.requests[0] or "/v1/Services/MG1" in twilio.requests[0]


@pytest.mark.parametrize(
    "body",
    [
        b"<html>",
        b'{"messages": [',
        b"[]",
        b"null",
        b"\xff",
        b'{"messages": null}',
        b'{"messages": ["SM1"]}',
        b'{"messages": [{"status": "sent"}]}',
        b'{"texts": [], "media": []}',
    ],
)
def test_malformed_list_is_not_an_empty_one(twilio: Twilio, body: bytes) -> None:
    twilio.body = body
    with pytest.raises(ProviderUnavailable):
        list(gateway(twilio).messages_to(CREDENTIALS, NUMBER))


def test_message_is_missing_only_if_twilio_says_so(twilio: Twilio) -> None:
    twilio.status, twilio.body = 404, b"<html>404 Not Found</html>"
    with pytest.raises(ProviderUnavailable):
        gateway(twilio).get_message(CREDENTIALS, "SM1")
    twilio.body = b'{"code": 20404, "message": "Not found", "status": 404}'
    assert gateway(twilio).get_message(CREDENTIALS, "SM1") is None


@pytest.mark.parametrize("status", [200, 401])
def test_date_is_read_whatever_its_case(twilio: Twilio, status: int) -> None:
    date = "Sat, 28 Nov 2026 14:12:16 GMT"
    twilio.status, twilio.body, twilio.headers = status, b'{"status": "active"}', {"date": date}
    try:
        response = TwilioAccount(twilio.url, CREDENTIALS).account().date
    except RequestFailed as failure:
        response = failure.error.date
    assert response == date


def test_ids_reach_no_other_part_of_the_api(twilio: Twilio) -> None:
    twilio.status = 404
    with pytest.raises(ProviderUnavailable):
        gateway(twilio).get_message(CREDENTIALS, "../../Accounts")
    assert twilio.requests == [f"GET /2010-04-01/Accounts/{SID}/Messages/..%2F..%2FAccounts.json"]
