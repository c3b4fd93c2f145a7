"""Steps of a person who signs in by single sign-on."""

import requests
from werkzeug.test import TestResponse

from tests.support.web_client import WebClient


def at_provider(visitor: WebClient, target: str = "") -> str:
    """The address with which the provider sends the browser back."""
    start = visitor.get(f"/SignIn/SingleSignOn?next={target}")
    assert start.status_code == 303, start.text
    answer = requests.get(start.location, allow_redirects=False, timeout=5)
    assert answer.status_code == 302, answer.text
    return answer.headers["Location"].partition("example.org")[2]


def sign_on(visitor: WebClient, target: str = "") -> TestResponse:
    return visitor.get(at_provider(visitor, target))


def is_signed_in(visitor: WebClient) -> bool:
    return visitor.get("/MyAccount/Profile").status_code == 200


def refused(visitor: WebClient, response: TestResponse, words: str) -> None:
    assert response.status_code == 403
    assert words in response.text
    assert not is_signed_in(visitor)
