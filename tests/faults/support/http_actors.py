"""HTTP clients of the portal: an administrator with a session and CSRF tokens, and Twilio with signed callbacks."""

import re
import time
from typing import Any

import requests
from twilio.request_validator import RequestValidator

from tests.faults.support.fault_environment import FaultEnvironment
from tests.support import servers

PASSWORD = "a long pass phrase"


class AdminSession:
    """A signed-in administrator with every permission."""

    def __init__(self, environment: FaultEnvironment) -> None:
        self._url = environment.url
        self._session = requests.Session()
        self.response_seconds: list[float] = []
        response = self.submit(
            "/SignIn", self.get("/SignIn"), email=environment.ensure_admin(PASSWORD), password=PASSWORD
        )
        assert response.ok, response.text
        assert "/SignIn" not in response.url, "the administrator could not sign in"
        self.response_seconds.clear()

    def get(self, path: str, timeout: float = 30) -> requests.Response:
        started = time.monotonic()
        response = self._session.get(f"{self._url}{path}", timeout=timeout)
        self.response_seconds.append(time.monotonic() - started)
        return response

    def submit(self, path: str, page: requests.Response, **fields: str) -> requests.Response:
        """Post the form of `page`, with its hidden fields, its CSRF token and `fields`."""
        hidden = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', page.text))
        form = {**hidden, "csrf_token": self._token(page), **fields}
        return self._session.post(f"{self._url}{path}", data=form, headers={"Referer": self._url}, timeout=30)

    @staticmethod
    def _token(page: requests.Response) -> str:
        match = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', page.text)
        assert match, page.text
        return match.group(1)


def post_status_callback(
    environment: FaultEnvironment,
    fields: dict[str, str],
    attempt: str = "",
    token: str = servers.LIVE_CREDENTIALS["AuthToken"],
) -> Any:
    """Post a status callback signed with `token`; like Twilio, retry while the portal answers 503."""
    url = f"{environment.url}/webhooks/twilio/status" + (f"?attempt={attempt}" if attempt else "")
    signature = RequestValidator(token).compute_signature(url, fields)

    def post() -> list[requests.Response]:
        response = requests.post(url, data=fields, headers={"X-Twilio-Signature": signature}, timeout=30)
        return [response] if response.status_code != 503 else []

    return environment.wait(post, "the portal to accept a callback", interval=0.5)[0]
