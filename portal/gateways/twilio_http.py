"""The transport under Twilio's own client: our connection pool, and every request once (docs/twilio.md#http-client)."""

import contextlib
import logging
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import urlencode, urlsplit

import urllib3
from twilio.base.exceptions import TwilioException
from twilio.http import HttpClient
from twilio.http.response import Response
from twilio.rest import Client
from urllib3.exceptions import HTTPError, NewConnectionError, SSLError, TimeoutError

from portal.gateways.https_context import https_context
from portal.gateways.provider import ProviderUnavailable
from portal.gateways.rules.provider_schema import Credentials
from portal.gateways.rules.twilio_resources import TwilioApiError

_HEADERS = {"User-Agent": "portal", "Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
_NO_ENVIRONMENT = {"TWILIO_REGION": ""}
"""Twilio's client would take a region from the environment, and so another host."""
_MALFORMED = (TwilioException, AttributeError, LookupError, TypeError, ValueError)
"""What Twilio's client raises for a JSON object of an unexpected shape."""


class RequestFailed(ProviderUnavailable):
    """The request failed; it is safe to repeat, unless it creates a message."""

    def __init__(self, error: TwilioApiError) -> None:
        super().__init__(error.message)
        self.error = error


class TwilioTransport(HttpClient):  # type: ignore[misc]
    """Thread-safe. Has no retries, redirects or logging, and keeps what the exceptions of Twilio's client lose."""

    def __init__(self, connect_seconds: float, read_seconds: float, connections: int = 1) -> None:
        super().__init__(logging.getLogger(__name__), is_async=False)
        timeout = urllib3.Timeout(connect=connect_seconds, read=read_seconds)
        self._pool = urllib3.PoolManager(num_pools=4, maxsize=connections, timeout=timeout, ssl_context=https_context())

    def open_client(self, api_url: str, credentials: Credentials) -> Client:
        """Twilio's client for an account. Its methods raise `RequestFailed`; see also `well_formed`."""
        user, password, account_sid = credentials.user, credentials.password, credentials.account_sid
        client = Client(user, password, account_sid, http_client=self, environment=_NO_ENVIRONMENT)
        client.api.base_url = api_url
        return client

    def request(self, method: str, uri: str, **options: Any) -> Response:
        """Twilio's client calls this. Raises `RequestFailed` unless the response is a JSON object and a success."""
        host, params = urlsplit(uri).hostname or "", options["params"]
        url = f"{uri}?{urlencode(params)}" if params else uri
        try:
            response = self.send(method, url, options["auth"], options["data"], options["headers"])
        except HTTPError as error:
            raise RequestFailed(TwilioApiError(_describe_lost_request(error, host))) from error
        if not (is_success(response) and parse_object(response)):
            raise RequestFailed(to_api_error(response, host))
        return Response(response.status, response.data.decode(), response.headers)

    def send(
        self, method: str, url: str, auth: tuple[str, str], form: Any = None, headers: Mapping[str, str] = _HEADERS
    ) -> urllib3.BaseHTTPResponse:
        """Send one request, never again and never elsewhere. Raises urllib3's `HTTPError` if there is no response."""
        body, all_headers = urlencode(form, doseq=True) if form else None, {**headers, **_sign_in(*auth)}
        return self._pool.urlopen(method, url, body=body, headers=all_headers, retries=False, redirect=False)


@contextlib.contextmanager
def well_formed() -> Iterator[None]:
    """Raises `RequestFailed` if Twilio's client cannot read the response."""
    try:
        yield
    except _MALFORMED as error:
        raise RequestFailed(TwilioApiError("Twilio's list is not valid.")) from error


def is_success(response: urllib3.BaseHTTPResponse) -> bool:
    return 200 <= response.status < 300


def parse_object(response: urllib3.BaseHTTPResponse) -> dict[str, Any]:
    """The JSON object in the body; empty if it is anything else."""
    try:
        body = response.json()
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


@lru_cache(maxsize=8)
def _sign_in(user: str, password: str) -> dict[str, str]:
    return urllib3.make_headers(basic_auth=f"{user}:{password}")


def _describe_lost_request(error: HTTPError, host: str) -> str:
    if isinstance(error, SSLError):
        return f"The certificate of {host} is not trusted."
    if isinstance(error, TimeoutError) and not isinstance(error, NewConnectionError):
        return f"{host} did not answer in time."
    return f"{host} could not be reached ({type(error).__name__})."


def to_api_error(response: urllib3.BaseHTTPResponse, host: str) -> TwilioApiError:
    """Without Twilio's message, which may quote phone numbers."""
    code = str(parse_object(response).get("code") or "")
    message = f"Twilio answered {response.status}" + (f", code {code}." if code else ".")
    if is_success(response):
        message = "Twilio's response is not valid."
    elif response.status == 404 and not code:
        message = f"{host} does not serve this part of Twilio's API."
    return TwilioApiError(message, response.status, code, response.headers.get("Date", ""))
