"""Twilio's Consent Management API (docs/twilio.md#consent-management-api) and its list of deactivated numbers.

Every failed request raises `RequestFailed`; all of them are safe to repeat.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import Any
from urllib.parse import urlsplit

import urllib3
from urllib3.exceptions import HTTPError

from portal.gateways.https_context import https_context
from portal.gateways.rules.provider_schema import Credentials
from portal.gateways.rules.twilio_resources import TwilioApiError
from portal.gateways.twilio_account import host_url
from portal.gateways.twilio_http import RequestFailed, TwilioTransport, parse_object, to_api_error, well_formed

_TIMEOUT = (3.0, 10.0)
_FILE_TIMEOUT = urllib3.Timeout(connect=5.0, read=30.0)
_CHUNK_BYTES, _LONGEST_LINE = 65_536, 64


class TwilioConsents:
    """The answers come back by correlation id: error code and messages."""

    def __init__(self, api_url: str, credentials: Credentials) -> None:
        self._client = TwilioTransport(*_TIMEOUT).open_client(api_url, credentials)
        self._client.accounts.base_url = host_url(api_url, "accounts")

    def tell(self, items: Sequence[Mapping[str, str]]) -> dict[str, tuple[int, tuple[str, ...]]]:
        with well_formed():
            answers: Any = self._client.accounts.v1.bulk_consents.create(items=list(items)).items
            return {
                str(answer["correlation_id"]): (int(answer["error_code"]), tuple(map(str, answer["error_messages"])))
                for answer in answers
            }


class DeactivationLists:
    """The file has its own host; the credentials never go there."""

    def __init__(self, api_url: str, credentials: Credentials) -> None:
        self._url, self._auth = (
            f"{host_url(api_url, 'messaging')}/v1/Deactivations",
            (
                credentials.user,
                credentials.password,
            ),
        )
        self._transport = TwilioTransport(*_TIMEOUT)
        self._is_https = api_url.startswith("https:")

    def lines(self, day: date) -> Iterator[str]:
        """The lines of that day's file, as they arrive: a million numbers need no more memory than a thousand."""
        url = self._file_url(day)
        pool = urllib3.PoolManager(num_pools=1, timeout=_FILE_TIMEOUT, ssl_context=https_context(), retries=False)
        host = urlsplit(url).hostname or ""
        try:
            response = pool.request("GET", url, preload_content=False, redirect=False)
            if response.status != 200:
                raise RequestFailed(TwilioApiError(f"{host} answered {response.status}.", response.status))
            yield from _lines(response)
        except HTTPError as error:
            raise RequestFailed(TwilioApiError(f"The file of {host} was cut off ({type(error).__name__}).")) from error
        finally:
            pool.clear()

    def _file_url(self, day: date) -> str:
        """The link, valid for two minutes; a redirect is followed here and nowhere else."""
        host = urlsplit(self._url).hostname or ""
        try:
            response = self._transport.send("GET", f"{self._url}?Date={day}", self._auth)
        except HTTPError as error:
            raise RequestFailed(TwilioApiError(f"{host} did not answer ({type(error).__name__}).")) from error
        if not 200 <= response.status < 400:
            raise RequestFailed(to_api_error(response, host))
        url = str(parse_object(response).get("redirect_to") or response.headers.get("Location") or "")
        if urlsplit(url).scheme != "https" and (self._is_https or urlsplit(url).scheme != "http"):
            raise RequestFailed(TwilioApiError(f"{host} gave no link to the file."))
        return url


def _lines(response: urllib3.BaseHTTPResponse) -> Iterator[str]:
    """A line that is longer than any phone number is no list: nothing of it is kept in memory."""
    rest = b""
    for chunk in response.stream(_CHUNK_BYTES):
        *lines, rest = (rest + chunk).split(b"\n")
        yield from (line.decode("ascii", "replace").strip() for line in lines)
        if len(rest) > _LONGEST_LINE:
            raise RequestFailed(TwilioApiError("The file is not a list of phone numbers."))
    yield rest.decode("ascii", "replace").strip()
