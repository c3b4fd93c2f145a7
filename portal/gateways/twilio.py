"""Twilio's Messages API over `urllib3`: create, fetch, list (TWILIO.md 2; why not its client: section 7).

The create call has no idempotency key, so what may have been processed is `Unknown` and is never repeated here.
"""

import ssl
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from functools import lru_cache
from typing import Any
from urllib.parse import urlencode

import certifi
import urllib3
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NameResolutionError, NewConnectionError, SSLError

from portal.config import TWILIO_API_URL
from portal.domain.app_config import Credentials, SenderSettings
from portal.domain.provider_codes import Advice, explain
from portal.domain.twilio_settings import TWILIO
from portal.domain.webhook_signature import OUR_FRAGMENT
from portal.gateways.outcomes import Accepted, Misconfigured, NotProcessed, Outcome, Refused, Unknown
from portal.gateways.provider import MOST_IN_FLIGHT, Found, NotAnswered, Provider, Surroundings, Text

_CONNECT_SECONDS = 5.0
_PAGE_SIZE, _LARGEST_PAGE = 100, 1_000
_ANSWER_KEPT = 2_000
_VALIDITY_SECONDS = (1, 36_000)
_REQUEST_TIMEOUT = 408
_NOT_FOUND = 404
_NO_SUCH_RESOURCE = "20404"
_LONGEST_RETRY_AFTER = 600.0


class TwilioGateway:
    """One pool of connections for many requests in flight; safe to use from several threads."""

    def __init__(self, api_url: str, public_url: str, timeout_seconds: float) -> None:
        self._api_url = api_url
        self._callback_url = f"{public_url}/webhooks/twilio/status"
        self._timeouts = urllib3.Timeout(connect=min(_CONNECT_SECONDS, timeout_seconds), read=timeout_seconds)
        self._pool = urllib3.PoolManager(num_pools=4, maxsize=MOST_IN_FLIGHT, ca_certs=certifi.where())

    def create(self, credentials: Credentials, sender: SenderSettings, text: Text) -> Outcome:
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
            return NotProcessed("Twilio could not be reached.")
        except SSLError as error:
            return _tls_outcome(error)
        except HTTPError as error:
            return Unknown(f"Twilio's answer was not heard ({type(error).__name__}).")
        return replace(_read(answer), answer=_words_of(answer))

    def fetch(self, credentials: Credentials, provider_id: str) -> Found | None:
        """None when Twilio has no such message, any more or at all. Raises `NotAnswered`."""
        answer = self._ask(credentials, f"{self._account_url(credentials)}/Messages/{provider_id}.json")
        return None if _has_none(answer) else _found(_page(answer))

    def sent_to(self, credentials: Credentials, to: str) -> Iterator[Found]:
        """Messages to a number, newest first. By To alone: From and DateSent can be empty (RELIABILITY.md 2.4)."""
        return self._listed(credentials, {"To": to})

    def received(self, credentials: Credentials, at: str = "", sender: str = "") -> Iterator[Found]:
        """Texts from handsets, newest first; `at` is the number of ours they came to, `sender` the handset's."""
        filters = {name: number for name, number in (("To", at), ("From", sender)) if number}
        return (found for found in self._listed(credentials, filters) if found.direction == "inbound")

    def sent_between(self, credentials: Credentials, since: datetime, until: datetime) -> Iterator[Found]:
        """The operator is part of the filter's name (TWILIO.md 2.3)."""
        filters = {"DateSent>": f"{since:%Y-%m-%dT%H:%M:%SZ}", "DateSent<": f"{until:%Y-%m-%dT%H:%M:%SZ}"}
        return self._listed(credentials, filters, _LARGEST_PAGE)

    def _listed(self, credentials: Credentials, filters: dict[str, str], size: int = _PAGE_SIZE) -> Iterator[Found]:
        query = urlencode({**filters, "PageSize": size})
        url: str | None = f"{self._messages_url(credentials)}?{query}"
        while url:
            page = _page(self._ask(credentials, url))
            yield from (_found(item) for item in _listed(page))
            url = f"{self._api_url}{page['next_page_uri']}" if page.get("next_page_uri") else None

    def _ask(self, credentials: Credentials, url: str) -> urllib3.BaseHTTPResponse:
        try:
            return self._pool.urlopen(
                "GET", url, headers=_headers(credentials), timeout=self._timeouts, retries=False, redirect=False
            )
        except HTTPError as error:
            raise NotAnswered(f"Twilio did not answer the question ({type(error).__name__}).") from error

    def _form(self, sender: SenderSettings, text: Text) -> dict[str, str]:
        low, high = _VALIDITY_SECONDS
        form = {
            "To": text.to,
            "Body": text.body,
            "StatusCallback": f"{self._callback_url}?attempt={text.attempt_id}#{OUR_FRAGMENT}",
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
        return NotProcessed("Twilio could not be reached: its certificate is not trusted.")
    return Unknown("The connection to Twilio was lost before it answered.")


@lru_cache(maxsize=8)
def _headers(credentials: Credentials) -> dict[str, str]:
    return {
        **urllib3.make_headers(basic_auth=f"{credentials.user}:{credentials.password}", user_agent="portal"),
        "Content-Type": "application/x-www-form-urlencoded",
        "Accept": "application/json",
    }


def _read(answer: urllib3.BaseHTTPResponse) -> Outcome:
    status = answer.status
    body = _json(answer)
    if status == 429:
        return NotProcessed("Twilio was asked too much at once.", _retry_after(answer), status, "20429")
    if 200 <= status < 300 and str(body.get("sid") or "").startswith(("SM", "MM")):
        return Accepted(str(body["sid"]), status)
    if status == 401 or (400 <= status < 500 and str(body.get("code", "")).isdigit()):
        return _refusal(str(body.get("code") or status), str(body.get("message") or ""), status)
    if 400 <= status < 500 and status != _REQUEST_TIMEOUT:
        return NotProcessed(f"Something before Twilio answered {status}.", None, status)
    return Unknown(f"Twilio answered {status} without saying what became of the text.", status)


def _refusal(code: str, words: str, status: int) -> Outcome:
    known = explain(code, words)
    if known.advice is Advice.PAUSE or status == 401:
        return Misconfigured(code, words or known.sentence, status)
    if known.advice is Advice.LATER:
        return NotProcessed(known.sentence, None, status, code)
    return Refused(code, words or known.sentence, status)


def _words_of(answer: urllib3.BaseHTTPResponse) -> str:
    return answer.data[:_ANSWER_KEPT].decode(errors="replace")


def _has_none(answer: urllib3.BaseHTTPResponse) -> bool:
    """A 404 in Twilio's own words; that of something before it says nothing."""
    return answer.status == _NOT_FOUND and str(_json(answer).get("code", "")) == _NO_SUCH_RESOURCE


def _page(answer: urllib3.BaseHTTPResponse) -> dict[str, Any]:
    if not 200 <= answer.status < 300:
        raise NotAnswered(f"Twilio answered the question with {answer.status}.")
    page = _json(answer)
    if not page:
        raise NotAnswered("Twilio's answer cannot be read.")
    return page


def _json(answer: urllib3.BaseHTTPResponse) -> dict[str, Any]:
    try:
        body = answer.json()
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def _retry_after(answer: urllib3.BaseHTTPResponse) -> float | None:
    text = answer.headers.get("Retry-After", "")
    return min(float(text), _LONGEST_RETRY_AFTER) if text.isdigit() else None


def _listed(page: dict[str, Any]) -> list[dict[str, Any]]:
    messages = page.get("messages")
    if not isinstance(messages, list) or not all(isinstance(item, dict) for item in messages):
        raise NotAnswered("Twilio's list cannot be read.")
    return messages


def _found(item: dict[str, Any]) -> Found:
    if not item.get("sid"):
        raise NotAnswered("Twilio's answer names no message.")
    return Found(
        provider_id=str(item["sid"]),
        sender=str(item.get("from") or ""),
        to=str(item.get("to") or ""),
        body=str(item.get("body") or ""),
        status=str(item.get("status") or ""),
        error_code=str(item.get("error_code") or ""),
        created=str(item.get("date_created") or ""),
        direction=str(item.get("direction") or ""),
    )


def _open(surroundings: Surroundings) -> TwilioGateway:
    return TwilioGateway(surroundings.twilio_api_url, surroundings.public_url, surroundings.timeout_seconds)


def _is_simulated(surroundings: Surroundings) -> bool:
    return surroundings.twilio_api_url != TWILIO_API_URL


PROVIDER = Provider(TWILIO, _open, _is_simulated)
