"""Twilio's Messages API over `urllib3`: create, fetch and list (docs/twilio.md#http-client).

Creating a message has no idempotency key, so a request that may have been processed is `Unknown` and never repeated.
"""

import ssl
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from functools import lru_cache
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import certifi
import urllib3
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NameResolutionError, NewConnectionError, SSLError

from portal.core.config import TWILIO_API_URL
from portal.gateways.outcomes import Accepted, AccountFault, NotSent, Outcome, Rejected, Unknown, UnrecognizedError
from portal.gateways.provider import (
    MAX_IN_FLIGHT,
    OutgoingText,
    Provider,
    ProviderConfig,
    ProviderMessage,
    ProviderUnavailable,
)
from portal.gateways.rules.provider_codes import TOO_MANY_REQUESTS, ProviderCode, RetryPolicy, explain_error_code
from portal.gateways.rules.provider_schema import Credentials, SenderSettings
from portal.gateways.rules.twilio_settings import TWILIO_SCHEMA
from portal.gateways.rules.webhook_signature import CONNECTION_OVERRIDES

_CONNECT_SECONDS = 5.0
_PAGE_SIZE, _LARGEST_PAGE = 100, 1_000
_STORED_RESPONSE_BYTES = 2_000
_VALIDITY_SECONDS = (1, 36_000)
_UNAUTHORIZED, _FORBIDDEN, _NOT_FOUND, _REQUEST_TIMEOUT, _TOO_MANY_REQUESTS = 401, 403, 404, 408, 429
_LEAST_CODE_DIGITS, _MOST_CODE_DIGITS = 4, 6
_NO_SUCH_RESOURCE = "20404"
_SERVER_ERRORS = ("20500", "20503")
"""Codes that only say that something failed at Twilio; the outcome of the text is unknown."""
_LONGEST_RETRY_AFTER = 600.0


class TwilioGateway:
    """A thread-safe client with one connection pool."""

    def __init__(self, api_url: str, public_url: str, timeout_seconds: float) -> None:
        self._api_url = api_url
        self._callback_url = f"{public_url}/webhooks/twilio/status"
        self._timeouts = urllib3.Timeout(connect=min(_CONNECT_SECONDS, timeout_seconds), read=timeout_seconds)
        self._pool = urllib3.PoolManager(num_pools=4, maxsize=MAX_IN_FLIGHT, ca_certs=certifi.where())

    def submit_message(self, credentials: Credentials, sender: SenderSettings, text: OutgoingText) -> Outcome:
        try:
            response = self._pool.urlopen(
                "POST",
                self._messages_url(credentials),
                body=urlencode(self._form(sender, text)),
                headers=_headers(credentials),
                timeout=self._timeouts,
                retries=False,
                redirect=False,
            )
        except (NewConnectionError, ConnectTimeoutError, NameResolutionError):
            return NotSent("Twilio could not be reached.")
        except SSLError as error:
            return _tls_outcome(error)
        except HTTPError as error:
            return Unknown(f"Twilio's response was lost ({type(error).__name__}).")
        excerpt = response.data[:_STORED_RESPONSE_BYTES].decode(errors="replace")
        return replace(_parse_response(response), provider_response=excerpt)

    def get_message(self, credentials: Credentials, provider_id: str) -> ProviderMessage | None:
        """None if Twilio does not have the message, or no longer has it. Raises `ProviderUnavailable`."""
        url = f"{self._account_url(credentials)}/Messages/{quote(provider_id, safe='')}.json"
        response = self._get(credentials, url)
        return None if _is_missing(response) else _to_provider_message(_parse_page(response))

    def messages_to(self, credentials: Credentials, to: str) -> Iterator[ProviderMessage]:
        """Filters by To only, because From and DateSent can be empty (docs/twilio.md#listing)."""
        return self._list_messages(credentials, {"To": to})

    def inbound_messages(
        self, credentials: Credentials, to_number: str = "", from_number: str = ""
    ) -> Iterator[ProviderMessage]:
        filters = {name: number for name, number in (("To", to_number), ("From", from_number)) if number}
        return (message for message in self._list_messages(credentials, filters) if message.direction == "inbound")

    def messages_between(self, credentials: Credentials, since: datetime, until: datetime) -> Iterator[ProviderMessage]:
        """The operator is part of the parameter name (docs/twilio.md#listing)."""
        filters = {"DateSent>": f"{since:%Y-%m-%dT%H:%M:%SZ}", "DateSent<": f"{until:%Y-%m-%dT%H:%M:%SZ}"}
        return self._list_messages(credentials, filters, _LARGEST_PAGE)

    def _list_messages(
        self, credentials: Credentials, filters: dict[str, str], size: int = _PAGE_SIZE
    ) -> Iterator[ProviderMessage]:
        query = urlencode({**filters, "PageSize": size})
        url: str | None = f"{self._messages_url(credentials)}?{query}"
        while url:
            page = _parse_page(self._get(credentials, url))
            yield from (_to_provider_message(item) for item in _page_messages(page))
            url = self._next_page_url(credentials, page.get("next_page_uri"), url)

    def _next_page_url(self, credentials: Credentials, next_page_uri: object, current_url: str) -> str | None:
        """Only follow another page of the same list, because the request carries our credentials.

        Raises `ProviderUnavailable`.
        """
        if not next_page_uri:
            return None
        next_url = f"{self._api_url}{next_page_uri}" if str(next_page_uri).startswith("/") else str(next_page_uri)
        list_url = self._messages_url(credentials)
        try:
            parts = urlsplit(next_url)
        except ValueError:
            parts = urlsplit("")
        url = f"{list_url}?{parts.query}"
        if parts[:3] != urlsplit(list_url)[:3] or url == current_url:
            raise ProviderUnavailable("Twilio's list continues at a URL that is not its own.")
        return url

    def _get(self, credentials: Credentials, url: str) -> urllib3.BaseHTTPResponse:
        try:
            return self._pool.urlopen(
                "GET", url, headers=_headers(credentials), timeout=self._timeouts, retries=False, redirect=False
            )
        except HTTPError as error:
            raise ProviderUnavailable(f"Twilio did not respond ({type(error).__name__}).") from error

    def _form(self, sender: SenderSettings, text: OutgoingText) -> dict[str, str]:
        min_seconds, max_seconds = _VALIDITY_SECONDS
        form = {
            "To": text.to,
            "Body": text.body,
            "StatusCallback": f"{self._callback_url}?attempt={text.attempt_id}#{CONNECTION_OVERRIDES}",
            "ValidityPeriod": str(max(min_seconds, min(max_seconds, text.validity_seconds))),
        }
        if sender.messaging_service_sid:
            return form | {"MessagingServiceSid": sender.messaging_service_sid}
        return form | {"From": sender.from_number}

    def _account_url(self, credentials: Credentials) -> str:
        return f"{self._api_url}/2010-04-01/Accounts/{credentials.account_sid}"

    def _messages_url(self, credentials: Credentials) -> str:
        return f"{self._account_url(credentials)}/Messages.json"


def _tls_outcome(error: SSLError) -> Outcome:
    """A certificate error occurs before anything is sent; other TLS errors can occur after the request."""
    causes = (*error.args, error.__cause__, error.__context__)
    if any(isinstance(cause, ssl.SSLCertVerificationError) for cause in causes):
        return NotSent("Twilio could not be reached: its certificate is not trusted.")
    return Unknown("The connection to Twilio was lost before it responded.")


@lru_cache(maxsize=8)
def _headers(credentials: Credentials) -> dict[str, str]:
    return {
        **urllib3.make_headers(basic_auth=f"{credentials.user}:{credentials.password}", user_agent="portal"),
        "Content-Type": "application/x-www-form-urlencoded",
        "Accept": "application/json",
    }


def _parse_response(response: urllib3.BaseHTTPResponse) -> Outcome:
    """The error code takes precedence over the HTTP status: Twilio also uses 429 for a daily limit."""
    body, status = _parse_json(response), response.status
    if 200 <= status < 300 and str(body.get("sid") or "").startswith(("SM", "MM")):
        return Accepted(str(body["sid"]), status)
    message = str(body.get("message") or body.get("detail") or "")
    code = _error_code(body) if status >= 400 else ""
    outcome = _outcome_by_code(explain_error_code(code, message), message, response) if code else None
    return outcome or _outcome_by_status(message, response)


def _error_code(body: dict[str, Any]) -> str:
    """The code of the response or of its first error; "" for a mere HTTP status, which proxies send as well."""
    errors = body.get("errors")
    first_error = errors[0] if isinstance(errors, list) and errors and isinstance(errors[0], dict) else {}
    code = str(body.get("code") or first_error.get("code") or "")
    return code if code.isdecimal() and _LEAST_CODE_DIGITS <= len(code) <= _MOST_CODE_DIGITS else ""


def _outcome_by_code(explained: ProviderCode, message: str, response: urllib3.BaseHTTPResponse) -> Outcome | None:
    """None if only the status helps: the code just says that something failed, or is unknown with a telling status."""
    status, code = response.status, explained.code
    if explained.cooldown is not None or explained.retry_policy is RetryPolicy.LATER:
        return NotSent(explained.sentence, _retry_after(response), status, code)
    if explained.retry_policy is RetryPolicy.PAUSE or (status == _UNAUTHORIZED and not explained.is_documented):
        return AccountFault(code, message or explained.sentence, status)
    if code in _SERVER_ERRORS or (not explained.is_documented and (status >= 500 or status == _REQUEST_TIMEOUT)):
        return None
    if not explained.is_documented and status == _TOO_MANY_REQUESTS:
        return NotSent(message or explained.sentence, _retry_after(response), status, code)
    if not explained.is_documented:
        return UnrecognizedError(message or explained.sentence, None, status, code)
    return Rejected(code, message or explained.sentence, status)


def _outcome_by_status(message: str, response: urllib3.BaseHTTPResponse) -> Outcome:
    status = response.status
    if status == _TOO_MANY_REQUESTS:
        sentence = explain_error_code(TOO_MANY_REQUESTS).sentence
        return NotSent(sentence, _retry_after(response), status, TOO_MANY_REQUESTS)
    if status == _UNAUTHORIZED:
        return AccountFault(str(status), message or "Twilio does not accept the account's credentials.", status)
    if status == _FORBIDDEN:
        message = message or "Twilio, or a proxy in front of it, forbids the request."
        return UnrecognizedError(message, None, status, str(status))
    if 400 <= status < 500 and status != _REQUEST_TIMEOUT:
        return NotSent(f"A proxy in front of Twilio answered {status}.", None, status)
    return Unknown(f"Twilio answered {status}; the outcome of the text is unknown.", status)


def _is_missing(response: urllib3.BaseHTTPResponse) -> bool:
    """A 404 with Twilio's error code, not one of a proxy."""
    return response.status == _NOT_FOUND and str(_parse_json(response).get("code", "")) == _NO_SUCH_RESOURCE


def _parse_page(response: urllib3.BaseHTTPResponse) -> dict[str, Any]:
    if not 200 <= response.status < 300:
        raise ProviderUnavailable(f"Twilio answered {response.status}.")
    page = _parse_json(response)
    if not page:
        raise ProviderUnavailable("Twilio's response is not valid.")
    return page


def _parse_json(response: urllib3.BaseHTTPResponse) -> dict[str, Any]:
    try:
        body = response.json()
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def _retry_after(response: urllib3.BaseHTTPResponse) -> float | None:
    text = response.headers.get("Retry-After", "")
    return min(float(text), _LONGEST_RETRY_AFTER) if text.isdigit() else None


def _page_messages(page: dict[str, Any]) -> list[dict[str, Any]]:
    messages = page.get("messages")
    if not isinstance(messages, list) or not all(isinstance(item, dict) for item in messages):
        raise ProviderUnavailable("Twilio's list is not valid.")
    return messages


def _to_provider_message(item: dict[str, Any]) -> ProviderMessage:
    if not item.get("sid"):
        raise ProviderUnavailable("Twilio's response has no message id.")
    return ProviderMessage(
        provider_id=str(item["sid"]),
        from_number=str(item.get("from") or ""),
        to=str(item.get("to") or ""),
        body=str(item.get("body") or ""),
        status=str(item.get("status") or ""),
        error_code=str(item.get("error_code") or ""),
        date_created=str(item.get("date_created") or ""),
        direction=str(item.get("direction") or ""),
    )


def _open_gateway(config: ProviderConfig) -> TwilioGateway:
    return TwilioGateway(config.twilio_api_url, config.public_url, config.timeout_seconds)


def _is_simulated(config: ProviderConfig) -> bool:
    return config.twilio_api_url != TWILIO_API_URL


PROVIDER = Provider(TWILIO_SCHEMA, _open_gateway, _is_simulated)
