"""The next page of Twilio's list is asked for at the list's own address only: the credentials go along."""

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from portal.gateways.provider import ProviderUnavailable
from portal.gateways.rules.provider_schema import Credentials
from portal.gateways.twilio_messages import TwilioGateway

SID = "AC" + "0" * 32
LIST = f"/2010-04-01/Accounts/{SID}/Messages.json"
MESSAGE = {"sid": "SM1", "status": "sent", "to": "+12025550101", "from": "+12025550100", "body": "x"}


class Listing(ThreadingHTTPServer):
    """Answers every question with one message and the next page that it was told to name."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: list[str] = []
        self.following: list[object] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: Listing

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        following = self.server.following.pop(0) if self.server.following else None
        body = json.dumps({"messages": [MESSAGE], "next_page_uri": following}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def listing() -> Iterator[Listing]:
    with Listing() as found:
        Thread(target=found.serve_forever, daemon=True).start()
        yield found
        found.shutdown()


@pytest.fixture
def other_listing() -> Iterator[Listing]:
    with Listing() as found:
        Thread(target=found.serve_forever, daemon=True).start()
        yield found
        found.shutdown()


def read(listing: Listing) -> list[str]:
    credentials = Credentials(account_sid=SID, user=SID, password="secret")
    found = TwilioGateway(listing.url, "http://127.0.0.1:9", 2).messages_to(credentials, "+12025550101")
    return [message.provider_id for message in found]


@pytest.mark.parametrize(
    "told",
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
def test_a_page_at_another_address_is_not_asked_for(listing: Listing, other_listing: Listing, told: object) -> None:
    if isinstance(told, str):
        told = told.replace("{port}", str(other_listing.server_port)).replace("{list}", LIST)
    listing.following = [told]
    with pytest.raises(ProviderUnavailable, match="not followed"):
        read(listing)
    assert len(listing.asked) == 1
    assert other_listing.asked == []


@pytest.mark.parametrize("absolute", [False, True])
def test_further_pages_of_the_list_are_read(listing: Listing, absolute: bool) -> None:
    before = listing.url if absolute else ""
    listing.following = [f"{before}{LIST}?Page=1&PageToken=PA1", f"{before}{LIST}?Page=2&PageToken=PA2"]
    assert read(listing) == ["SM1"] * 3
    assert listing.asked[2] == f"{LIST}?Page=2&PageToken=PA2"


def test_a_list_that_leads_to_itself_ends(listing: Listing) -> None:
    listing.following = [f"{LIST}?Page=1"] * 5
    with pytest.raises(ProviderUnavailable, match="not followed"):
        read(listing)
    assert len(listing.asked) == 2
