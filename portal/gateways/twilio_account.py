"""A client for a Twilio account: its state, numbers, services and registration, and its webhook URLs.

Timeouts are short, because somebody is waiting. Every failed request raises `AccountError`.
"""

from typing import Any
from urllib.parse import quote, urlsplit

import requests

from portal.gateways.rules.provider_schema import Credentials
from portal.gateways.rules.twilio_resources import (
    MessagingService,
    TwilioAccountInfo,
    TwilioApiError,
    TwilioNumber,
    WebhookConfig,
    is_short_code,
)

_TIMEOUT = (3.0, 4.0)
_INVALID_MAGIC_NUMBER = "+15005550001"
_PAGE_SIZE = 50


class AccountError(Exception):
    """The request failed; it is safe to repeat."""

    def __init__(self, error: TwilioApiError) -> None:
        super().__init__(error.message)
        self.error = error


class TwilioAccount:
    """Every method raises `AccountError`."""

    def __init__(self, api_url: str, credentials: Credentials) -> None:
        self._credentials = credentials
        self._account_url = f"{api_url}/2010-04-01/Accounts/{credentials.account_sid}"
        self._messaging_url = f"{messaging_url(api_url)}/v1"

    def account(self) -> TwilioAccountInfo:
        response = self._request("GET", f"{self._account_url}.json")
        body = _parse_object(response)
        return TwilioAccountInfo(_text(body, "status"), _text(body, "type"), response.headers.get("Date", ""))

    def find_own_number(self, number: str) -> tuple[TwilioNumber, WebhookConfig] | None:
        """A phone number or short code of the account, with its webhooks; None if it is not on the account."""
        is_short = is_short_code(number)
        path, key = ("SMS/ShortCodes", "ShortCode") if is_short else ("IncomingPhoneNumbers", "PhoneNumber")
        query = f"{key}={quote(number, safe='')}&PageSize={_PAGE_SIZE}"
        body = _parse_object(self._request("GET", f"{self._account_url}/{path}.json?{query}"))
        items = _items(body, "short_codes" if is_short else "incoming_phone_numbers")
        field = "short_code" if is_short else "phone_number"
        return next((_parse_own_number(item, number) for item in items if item.get(field) == number), None)

    def service(self, sid: str) -> MessagingService:
        body = _parse_object(self._request("GET", f"{self._messaging_url}/Services/{_quote_segment(sid)}"))
        webhooks = WebhookConfig(
            sid,
            _text(body, "inbound_request_url"),
            _text(body, "inbound_method") or "POST",
            _text(body, "status_callback"),
        )
        return MessagingService(webhooks, bool(body.get("use_inbound_webhook_on_number")))

    def campaign_states(self, service_sid: str) -> list[str]:
        body = _parse_object(
            self._request("GET", f"{self._messaging_url}/Services/{_quote_segment(service_sid)}/Compliance/Usa2p")
        )
        return [_text(item, "campaign_status") for item in _items(body, "compliance")]

    def toll_free_states(self, number_sid: str) -> list[str]:
        query = f"TollfreePhoneNumberSid={_quote_segment(number_sid)}"
        body = _parse_object(self._request("GET", f"{self._messaging_url}/Tollfree/Verifications?{query}"))
        return [_text(item, "status") for item in _items(body, "verifications")]

    def set_number_webhooks(self, sid: str, number: str, inbound_url: str, status_url: str) -> None:
        """Point the number's webhooks to us; a short code has no status callback."""
        form = {"SmsUrl": inbound_url, "SmsMethod": "POST"}
        if is_short_code(number):
            self._request("POST", f"{self._account_url}/SMS/ShortCodes/{_quote_segment(sid)}.json", form)
            return
        form |= {"SmsApplicationSid": "", "StatusCallback": status_url, "StatusCallbackMethod": "POST"}
        self._request("POST", f"{self._account_url}/IncomingPhoneNumbers/{_quote_segment(sid)}.json", form)

    def set_service_webhooks(self, sid: str, inbound_url: str, status_url: str) -> None:
        form = {"InboundRequestUrl": inbound_url, "InboundMethod": "POST", "StatusCallback": status_url}
        self._request("POST", f"{self._messaging_url}/Services/{_quote_segment(sid)}", form)

    def probe_send_error_code(self, from_number: str) -> str:
        """Twilio's error code for a text to an invalid magic number, which is never sent; "none" if it succeeded."""
        form = {"To": _INVALID_MAGIC_NUMBER, "From": from_number, "Body": "Test of the credentials"}
        try:
            self._request("POST", f"{self._account_url}/Messages.json", form)
        except AccountError as error:
            if error.error.code and not error.error.is_auth_error:
                return error.error.code
            raise
        return "none"

    def _request(self, method: str, url: str, form: dict[str, str] | None = None) -> requests.Response:
        try:
            with requests.Session() as session:
                session.trust_env = False
                response = session.request(
                    method,
                    url,
                    data=form,
                    auth=(self._credentials.user, self._credentials.password),
                    timeout=_TIMEOUT,
                    allow_redirects=False,
                )
        except requests.RequestException as error:
            raise AccountError(TwilioApiError(_describe_request_error(error, url))) from error
        if not 200 <= response.status_code < 300:
            raise AccountError(_to_api_error(response))
        return response


def _quote_segment(sid: str) -> str:
    """Ids come from responses and settings, and must not reach another part of the API."""
    return quote(sid, safe="")


def messaging_url(api_url: str) -> str:
    """Twilio has a separate host for services and registration; a simulator has one for everything."""
    host = urlsplit(api_url).netloc
    if host.startswith("api.") and host.endswith(".twilio.com"):
        return api_url.replace("//api.", "//messaging.", 1)
    return api_url


def _describe_request_error(error: requests.RequestException, url: str) -> str:
    host = urlsplit(url).hostname
    if isinstance(error, requests.exceptions.SSLError):
        return f"The certificate of {host} is not trusted."
    if isinstance(error, requests.Timeout):
        return f"{host} did not answer in time."
    return f"{host} could not be reached ({type(error).__name__})."


def _to_api_error(response: requests.Response) -> TwilioApiError:
    """Without Twilio's message, which may quote phone numbers."""
    code = _text(_parse_json(response) or {}, "code")
    message = f"Twilio answered {response.status_code}" + (f", code {code}." if code else ".")
    if response.status_code == 404 and not code:
        message = f"{urlsplit(response.url).hostname} does not serve this part of Twilio's API."
    return TwilioApiError(message, response.status_code, code, response.headers.get("Date", ""))


def _parse_object(response: requests.Response) -> dict[str, Any]:
    body = _parse_json(response)
    if body is None:
        raise AccountError(TwilioApiError("Twilio's response is not valid.", response.status_code))
    return body


def _parse_json(response: requests.Response) -> dict[str, Any] | None:
    """The JSON object in the body; None if it is anything else."""
    try:
        body = response.json()
    except ValueError:
        return None
    return body if isinstance(body, dict) else None


def _items(body: dict[str, Any], name: str) -> list[dict[str, Any]]:
    items = body.get(name)
    if not isinstance(items, list):
        raise AccountError(TwilioApiError("Twilio's list is not valid."))
    return [item for item in items if isinstance(item, dict)]


def _text(body: dict[str, Any], name: str) -> str:
    return str(body.get(name) or "")


def _parse_own_number(item: dict[str, Any], number: str) -> tuple[TwilioNumber, WebhookConfig]:
    """A short code has no capabilities, because it can only text."""
    capabilities = item.get("capabilities")
    can_text = is_short_code(number)
    if isinstance(capabilities, dict):
        can_text = bool(capabilities.get("sms", capabilities.get("SMS")))
    sid, application = _text(item, "sid"), bool(item.get("sms_application_sid"))
    webhooks = WebhookConfig(
        sid, _text(item, "sms_url"), _text(item, "sms_method") or "POST", _text(item, "status_callback"), application
    )
    return TwilioNumber(sid, number, can_text, _text(item, "type")), webhooks
