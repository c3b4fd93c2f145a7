"""Twilio's Messages API: create, fetch and list (docs/twilio.md#http-client).

Creating a message has no idempotency key, so a request that may have been processed is `Unknown` and never repeated.
"""

import ssl
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from email.utils import format_datetime
from typing import Any
from urllib.parse import quote

import urllib3
from twilio.base.page import Page
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NameResolutionError, NewConnectionError, SSLError

from portal.core.config import TWILIO_API_URL
from portal.gateways.outcomes import Accepted, AccountFault, NotSent, Outcome, Rejected, Unknown, UnrecognizedError
from portal.gateways.provider import (
    MAX_IN_FLIGHT,
    OutgoingText,
    Provider,
    ProviderMessage,
    ProviderUnavailable,
)
from portal.gateways.rules.provider_codes import TOO_MANY_REQUESTS, ProviderCode, RetryPolicy, explain_error_code
from portal.gateways.rules.provider_schema import Credentials, SenderSettings
from portal.gateways.rules.twilio_settings import TWILIO_SCHEMA
from portal.gateways.rules.webhook_signature import CONNECTION_OVERRIDES
from portal.gateways.twilio_http import RequestFailed, TwilioTransport, is_success, parse_object, well_formed

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
_MOST_SEGMENT_DIGITS = 3


class TwilioGateway:
    """Thread-safe, with one connection pool."""

    def __init__(self, api_url: str, public_url: str, timeout_seconds: float) -> None:
        self._api_url = api_url
        self._callback_url = f"{public_url}/webhooks/twilio/status"
        self._transport = TwilioTransport(min(_CONNECT_SECONDS, timeout_seconds), timeout_seconds, MAX_IN_FLIGHT)

    def submit_message(self, credentials: Credentials, sender: SenderSettings, text: OutgoingText) -> Outcome:
        """Over the transport alone, because Twilio's client costs a third more CPU for each text (docs/adr/0030)."""
        url, auth = self._messages_url(credentials), (credentials.user, credentials.password)
        try:
            response = self._transport.send("POST", url, auth, self._form(sender, text))
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
        messages = self._transport.open_client(self._api_url, credentials).messages
        try:
            with well_formed():
                return _to_provider_message(messages(quote(provider_id, safe="")).fetch())
        except RequestFailed as failure:
            # a proxy can answer 404 as well, but not with Twilio's code
            if failure.error.status == _NOT_FOUND and failure.error.code == _NO_SUCH_RESOURCE:
                return None
            raise

    def messages_to(self, credentials: Credentials, to: str) -> Iterator[ProviderMessage]:
        """Filters by To only, because From and DateSent can be empty (docs/twilio.md#listing)."""
        return self._list_messages(credentials, to=to, page_size=_PAGE_SIZE)

    def inbound_messages(
        self, credentials: Credentials, to_number: str = "", from_number: str = ""
    ) -> Iterator[ProviderMessage]:
        filters = {name: number for name, number in (("to", to_number), ("from_", from_number)) if number}
        messages = self._list_messages(credentials, **filters, page_size=_PAGE_SIZE)
        return (message for message in messages if message.direction == "inbound")

    def messages_between(self, credentials: Credentials, since: datetime, until: datetime) -> Iterator[ProviderMessage]:
        return self._list_messages(credentials, date_sent_after=since, date_sent_before=until, page_size=_LARGEST_PAGE)

    def _list_messages(self, credentials: Credentials, **filters: Any) -> Iterator[ProviderMessage]:
        messages, url = self._transport.open_client(self._api_url, credentials).messages, ""
        with well_formed():
            page = messages.page(**filters)
            while page:
                yield from [_to_provider_message(message) for message in page]
                url = self._next_page_url(credentials, page, url)
                page = messages.get_page(url) if url else None

    def _next_page_url(self, credentials: Credentials, page: Page, current_url: str) -> str:
        """Only follow another page of the same list, because the request carries our credentials.

        Raises `ProviderUnavailable`.
        """
        next_page_url = getattr(page, "next_page_url", "not text")
        if not next_page_url:
            return ""
        # Twilio's client adds the host to a path, and to an absolute URL as well
        list_url = self._messages_url(credentials)
        address, _, query = next_page_url.partition("?")
        url = f"{list_url}?{query}"
        if address not in (list_url, f"{self._api_url}/{list_url}") or url == current_url:
            raise ProviderUnavailable("Twilio's list continues at a URL that is not its own.")
        return url

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

    def _messages_url(self, credentials: Credentials) -> str:
        return f"{self._api_url}/2010-04-01/Accounts/{credentials.account_sid}/Messages.json"


def _tls_outcome(error: SSLError) -> Outcome:
    """A certificate error occurs before anything is sent; other TLS errors can occur after the request."""
    causes = (*error.args, error.__cause__, error.__context__)
    if any(isinstance(cause, ssl.SSLCertVerificationError) for cause in causes):
        return NotSent("Twilio could not be reached: its certificate is not trusted.")
    return Unknown("The connection to Twilio was lost before it responded.")


def _parse_response(response: urllib3.BaseHTTPResponse) -> Outcome:
    """The error code takes precedence over the HTTP status: Twilio also uses 429 for a daily limit."""
    body, status = parse_object(response), response.status
    if is_success(response) and str(body.get("sid") or "").startswith(("SM", "MM")):
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


def _retry_after(response: urllib3.BaseHTTPResponse) -> float | None:
    text = response.headers.get("Retry-After", "")
    return min(float(text), _LONGEST_RETRY_AFTER) if text.isdigit() else None


def _to_provider_message(message: Any) -> ProviderMessage:
    if not message.sid:
        raise ProviderUnavailable("Twilio's response has no message id.")
    return ProviderMessage(
        provider_id=str(message.sid),
        from_number=str(message.from_ or ""),
        to=str(message.to or ""),
        body=str(message.body or ""),
        status=str(message.status or ""),
        error_code=str(message.error_code or ""),
        date_created=format_datetime(message.date_created) if message.date_created else "",
        direction=str(message.direction or ""),
        segments=_segments(str(message.num_segments or "")),
        price=str(message.price or ""),
        price_unit=str(message.price_unit or ""),
    )


def _segments(text: str) -> int | None:
    """None for 0: the message has no sending number yet, so Twilio has not divided it."""
    return int(text) or None if text.isdecimal() and len(text) <= _MOST_SEGMENT_DIGITS else None


PROVIDER = Provider(
    TWILIO_SCHEMA,
    open=lambda config: TwilioGateway(config.twilio_api_url, config.public_url, config.timeout_seconds),
    is_simulated=lambda config: config.twilio_api_url != TWILIO_API_URL,
)
