"""Somebody at a browser, and Twilio at its webhooks: plain HTTP, with forms, their tokens, and signatures."""

import re
import time
from typing import Any

import requests
from twilio.request_validator import RequestValidator

from tests.faults.support.fault_environment import FaultEnvironment
from tests.support import servers

PASSWORD = "a long pass phrase"


class AdminSession:
    """An administrator with every right, signed in as a person would."""

    def __init__(self, stage: FaultEnvironment) -> None:
        self._url = stage.url
        self._session = requests.Session()
        self.response_seconds: list[float] = []
        answer = self.submit("/SignIn", self.get("/SignIn"), email=stage.ensure_admin(PASSWORD), password=PASSWORD)
        assert answer.ok, answer.text
        assert "/SignIn" not in answer.url, "the administrator could not sign in"
        self.response_seconds.clear()

    def get(self, path: str, timeout: float = 30) -> requests.Response:
        began = time.monotonic()
        answer = self._session.get(f"{self._url}{path}", timeout=timeout)
        self.response_seconds.append(time.monotonic() - began)
        return answer

    def submit(self, path: str, page: requests.Response, **fields: str) -> requests.Response:
        """The form on a page, with what it carries along and what is filled in."""
        hidden = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', page.text))
        filled = {**hidden, "csrf_token": self._token(page), **fields}
        return self._session.post(f"{self._url}{path}", data=filled, headers={"Referer": self._url}, timeout=30)

    @staticmethod
    def _token(page: requests.Response) -> str:
        found = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', page.text)
        assert found, page.text
        return found.group(1)


def post_status_callback(
    stage: FaultEnvironment,
    fields: dict[str, str],
    attempt: str = "",
    token: str = servers.LIVE_CREDENTIALS["AuthToken"],
) -> Any:
    """A status callback, signed with a token; told again, as Twilio does, while the portal has its hands full."""
    url = f"{stage.url}/webhooks/twilio/status" + (f"?attempt={attempt}" if attempt else "")
    signature = RequestValidator(token).compute_signature(url, fields)

    def answered() -> list[requests.Response]:
        told = requests.post(url, data=fields, headers={"X-Twilio-Signature": signature}, timeout=30)
        return [told] if told.status_code != 503 else []

    return stage.wait(answered, "the portal to take a callback", interval=0.5)[0]
