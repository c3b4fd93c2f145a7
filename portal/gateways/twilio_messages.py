"""Twilio's Messages API over `urllib3`: create, fetch, list (docs/twilio.md#http-client).

The create call has no idempotency key, so what may have been processed is `Unknown` and is never repeated here.
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
from portal.gateways.rules.provider_codes import (
    TOO_MANY_REQUESTS,
    TWILIO_SERVER_ERRORS,
    ProviderCode,
    RetryPolicy,
    explain_error_code,
)
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
_LONGEST_RETRY_AFTER = 600.0


class TwilioGateway:
    """One pool of connections for many requests in flight; safe to use from several threads."""

    def __init__(self, api_url: str, public_url: str, timeout_seconds: float) -> None:
        self._api_url = api_url
        self._callback_url = f"{public_url}/webhooks/twilio/status"
        self._timeouts = urllib3.Timeout(connect=min(_CONNECT_SECONDS, timeout_seconds), read=timeout_seconds)
        self._pool = urllib3.PoolManager(num_pools=4, maxsize=MAX_IN_FLIGHT, ca_certs=certifi.where())

    def submit_message(self, credentials: Credentials, sender: SenderSettings, text: OutgoingText) -> Outcome:
        try:
            answer = self._pool.urlopen(
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
            return Unknown(f"Twilio's answer was not heard ({type(error).__name__}).")
        return replace(_parse_response(answer), provider_response=_body_excerpt(answer))

    def get_message(self, credentials: Credentials, provider_id: str) -> ProviderMessage | None:
        """None when Twilio has no such message, any more or at all. Raises `NotAnswered`."""
        answer = self._get(credentials, f"{self._account_url(credentials)}/Messages/{quote(provider_id, safe='')}.json")
        return None if _is_missing(answer) else _to_provider_message(_parse_page(answer))

    def messages_to(self, credentials: Credentials, to: str) -> Iterator[ProviderMessage]:
        """Messages to a number, newest first. By To alone: From and DateSent can be empty (docs/twilio.md#listing)."""
        return self._list_messages(credentials, {"To": to})

    def inbound_messages(
        self, credentials: Credentials, to_number: str = "", from_number: str = ""
    ) -> Iterator[ProviderMessage]:
        filters = {name: number for name, number in (("To", to_number), ("From", from_number)) if number}
        return (message for message in self._list_messages(credentials, filters) if message.direction == "inbound")

    def messages_between(self, credentials: Credentials, since: datetime, until: datetime) -> Iterator[ProviderMessage]:
        """The operator is part of the parameter's name (docs/twilio.md#listing)."""
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

    def _next_page_url(self, credentials: Credentials, told: object, before: str) -> str | None:
        """Only ever another page of the same list: our credentials go wherever this leads. Raises `NotAnswered`."""
        if not told:
            return None
        place = f"{self._api_url}{told}" if str(told).startswith("/") else str(told)
        list_url = self._messages_url(credentials)
        try:
            parts, known = urlsplit(place), urlsplit(list_url)
        except ValueError:
            parts, known = urlsplit(""), urlsplit(list_url)
        url = f"{list_url}?{parts.query}"
        if parts[:3] != known[:3] or url == before:
            raise ProviderUnavailable("Twilio's list goes on at an address that is not its own, which is not followed.")
        return url

    def _get(self, credentials: Credentials, url: str) -> urllib3.BaseHTTPResponse:
        try:
            return self._pool.urlopen(
                "GET", url, headers=_headers(credentials), timeout=self._timeouts, retries=False, redirect=False
            )
        except HTTPError as error:
            raise ProviderUnavailable(f"Twilio did not answer the question ({type(error).__name__}).") from error

    def _form(self, sender: SenderSettings, text: OutgoingText) -> dict[str, str]:
        low, high = _VALIDITY_SECONDS
        form = {
            "To": text.to,
            "Body": text.body,
            "StatusCallback": f"{self._callback_url}?attempt={text.attempt_id}#{CONNECTION_OVERRIDES}",
            "ValidityPeriod": str(max(low, min(high, text.validity_seconds))),
        }
        if sender.messaging_service_sid:
            return form | {"MessagingServiceSid": sender.messaging_service_sid}
        return form | {"From": sender.from_number}

    def _account_url(self, credentials: Credentials) -> str:
        return f"{self._api_url}/2010-04-01/Accounts/{credentials.account_sid}"

    def _messages_url(self, credentials: Credentials) -> str:
        return f"{self._account_url(credentials)}/Messages.json"


def _tls_outcome(error: SSLError) -> Outcome:
    """A certificate is refused before anything is sent; other TLS errors can come after the request."""
    if any(
        isinstance(part, ssl.SSLCertVerificationError) for part in (*error.args, error.__cause__, error.__context__)
    ):
        return NotSent("Twilio could not be reached: its certificate is not trusted.")
    return Unknown("The connection to Twilio was lost before it answered.")


@lru_cache(maxsize=8)
def _headers(credentials: Credentials) -> dict[str, str]:
    return {
        **urllib3.make_headers(basic_auth=f"{credentials.user}:{credentials.password}", user_agent="portal"),
        "Content-Type": "application/x-www-form-urlencoded",
        "Accept": "application/json",
    }


def _parse_response(answer: urllib3.BaseHTTPResponse) -> Outcome:
    """What the body says comes before what the status says: Twilio answers a daily limit with 429, too."""
    body, status = _parse_json(answer), answer.status
    if 200 <= status < 300 and str(body.get("sid") or "").startswith(("SM", "MM")):
        return Accepted(str(body["sid"]), status)
    words = str(body.get("message") or body.get("detail") or "")
    if (
        status >= 400
        and (code := _error_code(body))
        and (told := _outcome_by_code(explain_error_code(code, words), words, answer))
    ):
        return told
    return _outcome_by_status(words, answer)


def _error_code(body: dict[str, Any]) -> str:
    """Of the answer or of the first of its errors; "" for a mere HTTP status, which proxies put there as well."""
    errors = body.get("errors")
    first = errors[0] if isinstance(errors, list) and errors and isinstance(errors[0], dict) else {}
    code = str(body.get("code") or first.get("code") or "")
    return code if code.isdecimal() and _LEAST_CODE_DIGITS <= len(code) <= _MOST_CODE_DIGITS else ""


def _outcome_by_code(known: ProviderCode, words: str, answer: urllib3.BaseHTTPResponse) -> Outcome | None:
    """None for what the status alone can tell: a code that says no more than that something failed, or an unknown one
    that comes with a status of its own meaning."""
    status, code = answer.status, known.code
    if code == TOO_MANY_REQUESTS:
        return _rate_limited(answer)
    if known.cooldown is not None or known.retry_policy is RetryPolicy.LATER:
        return NotSent(known.sentence, _retry_after(answer), status, code)
    if known.retry_policy is RetryPolicy.PAUSE or (status == _UNAUTHORIZED and not known.is_documented):
        return AccountFault(code, words or known.sentence, status)
    if code in TWILIO_SERVER_ERRORS or (not known.is_documented and (status >= 500 or status == _REQUEST_TIMEOUT)):
        return None
    if not known.is_documented and status == _TOO_MANY_REQUESTS:
        return NotSent(words or known.sentence, _retry_after(answer), status, code)
    if not known.is_documented:
        return UnrecognizedError(words or known.sentence, None, status, code)
    return Rejected(code, words or known.sentence, status)


def _outcome_by_status(words: str, answer: urllib3.BaseHTTPResponse) -> Outcome:
    status = answer.status
    if status == _TOO_MANY_REQUESTS:
        return _rate_limited(answer)
    if status == _UNAUTHORIZED:
        return AccountFault(str(status), words or "Twilio does not accept the account's credentials.", status)
    if status == _FORBIDDEN:
        return UnrecognizedError(words or "Twilio, or something before it, forbids it.", None, status, str(status))
    if 400 <= status < 500 and status != _REQUEST_TIMEOUT:
        return NotSent(f"Something before Twilio answered {status}.", None, status)
    return Unknown(f"Twilio answered {status} without saying what became of the text.", status)


def _rate_limited(answer: urllib3.BaseHTTPResponse) -> NotSent:
    return NotSent("Twilio was asked too much at once.", _retry_after(answer), answer.status, TOO_MANY_REQUESTS)


def _body_excerpt(answer: urllib3.BaseHTTPResponse) -> str:
    return answer.data[:_STORED_RESPONSE_BYTES].decode(errors="replace")


def _is_missing(answer: urllib3.BaseHTTPResponse) -> bool:
    """A 404 in Twilio's own words; that of something before it says nothing."""
    return answer.status == _NOT_FOUND and str(_parse_json(answer).get("code", "")) == _NO_SUCH_RESOURCE


def _parse_page(answer: urllib3.BaseHTTPResponse) -> dict[str, Any]:
    if not 200 <= answer.status < 300:
        raise ProviderUnavailable(f"Twilio answered the question with {answer.status}.")
    page = _parse_json(answer)
    if not page:
        raise ProviderUnavailable("Twilio's answer cannot be read.")
    return page


def _parse_json(answer: urllib3.BaseHTTPResponse) -> dict[str, Any]:
    try:
        body = answer.json()
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def _retry_after(answer: urllib3.BaseHTTPResponse) -> float | None:
    text = answer.headers.get("Retry-After", "")
    return min(float(text), _LONGEST_RETRY_AFTER) if text.isdigit() else None


def _page_messages(page: dict[str, Any]) -> list[dict[str, Any]]:
    messages = page.get("messages")
    if not isinstance(messages, list) or not all(isinstance(item, dict) for item in messages):
        raise ProviderUnavailable("Twilio's list cannot be read.")
    return messages


def _to_provider_message(item: dict[str, Any]) -> ProviderMessage:
    if not item.get("sid"):
        raise ProviderUnavailable("Twilio's answer names no message.")
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


def _open_gateway(surroundings: ProviderConfig) -> TwilioGateway:
    return TwilioGateway(surroundings.twilio_api_url, surroundings.public_url, surroundings.timeout_seconds)


def _is_simulated(surroundings: ProviderConfig) -> bool:
    return surroundings.twilio_api_url != TWILIO_API_URL


PROVIDER = Provider(TWILIO_SCHEMA, _open_gateway, _is_simulated)
