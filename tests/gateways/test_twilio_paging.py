"""Paging only follows the list's own URL, because requests carry the credentials."""

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from portal.gateways.provider import ProviderUnavailable
from portal.gateways.rules.provider_schema import Credentials
from portal.gateways.twilio_messages import TwilioGateway

SID = "AC" + "0" * 32
LIST_PATH = f"/2010-04-01/Accounts/{SID}/Messages.json"
MESSAGE = {"sid": "SM1", "status": "sent", "to": "+12025550101", "from": "+12025550100", "body": "x"}


class Listing(ThreadingHTTPServer):
    """Answers every request with one message and the next value of `next_page_uris`."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.paths: list[str] = []
        self.next_page_uris: list[object] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: Listing

    def do_GET(self) -> None:
        self.server.paths.append(self.path)
        next_page_uri = self.server.next_page_uris.pop(0) if self.server.next_page_uris else None
        body = json.dumps({"messages": [MESSAGE], "next_page_uri": next_page_uri}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def listing() -> Iterator[Listing]:
    with Listing() as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def other_listing() -> Iterator[Listing]:
    with Listing() as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def read_ids(listing: Listing) -> list[str]:
    credentials = Credentials(account_sid=SID, user=SID, password="secret")
    messages = TwilioGateway(listing.url, "http://127.0.0.1:9", 2).messages_to(credentials, "+12025550101")
    return [message.provider_id for message in messages]


@pytest.mark.parametrize(
    "next_page_uri",
    [
        "@127.0.0.1:{port}{list}?Page=1",
        "http://127.0.0.1:{port}{list}?Page=1",
        "//127.0.0.1:{port}{list}?Page=1",
        "/2010-04-01/Accounts.json",
        "{list}/../../../Accounts.json?Page=1",
        "/2010-04-01/Accounts/AC1/Messages.json?Page=1",
        "\\\\127.0.0.1:{port}{list}",
        "http://[",
        ["a list"],
    ],
    ids=str,
)
def test_page_at_another_url_is_not_requested(listing: Listing, other_listing: Listing, next_page_uri: object) -> None:
    if isinstance(next_page_uri, str):
        next_page_uri = next_page_uri.replace("{port}", str(other_listing.server_port)).replace("{list}", LIST_PATH)
    listing.next_page_uris = [next_page_uri]
    with pytest.raises(ProviderUnavailable, match="not its own"):
        read_ids(listing)
    assert len(listing.paths) == 1
    assert other_listing.paths == []


@pytest.mark.parametrize("absolute", [False, True])
def test_all_pages_of_the_list_are_read(listing: Listing, absolute: bool) -> None:
    base = listing.url if absolute else ""
    listing.next_page_uris = [f"{base}{LIST_PATH}?Page=1&PageToken=PA1", f"{base}{LIST_PATH}?Page=2&PageToken=PA2"]
    assert read_ids(listing) == ["SM1"] * 3
    assert listing.paths[2] == f"{LIST_PATH}?Page=2&PageToken=PA2"


def test_list_that_links_to_itself_ends(listing: Listing) -> None:
    listing.next_page_uris = [f"{LIST_PATH}?Page=1"] * 5
    with pytest.raises(ProviderUnavailable, match="not its own"):
        read_ids(listing)
    assert len(listing.paths) == 2
