"""The search for canaries finds them in every form, so that its silence means something."""

import base64

import pytest

from tests.support.canaries.canary_search import CanarySearch

SECRET, NUMBER = "canary-of-the-search/5b7d", "+12025550177"


@pytest.mark.parametrize(
    "content",
    [
        f"token={SECRET}.",
        "token=canary-of-the-search%2F5b7d",
        f"only the start: {SECRET[:14]}",
        SECRET.encode().hex(),
        *(base64.b64encode(b"a" * offset + SECRET.encode() + b"tail").decode() for offset in range(3)),
        b"\xff\x00" + SECRET.encode(),
    ],
)
def test_secret_is_found_in_every_encoding(content: str | bytes) -> None:
    search = CanarySearch({"token": SECRET})
    search.search_for_secrets("somewhere", content)
    assert search.found == [("somewhere", "token")]


@pytest.mark.parametrize("content", ["+12025550177", "%2B12025550177", "(202) 555-0177", "202-555-0177"])
def test_phone_number_is_found_in_every_notation(content: str) -> None:
    search = CanarySearch({}, [NUMBER])
    search.search_for_everything("somewhere", content)
    assert search.found == [("somewhere", NUMBER)]
