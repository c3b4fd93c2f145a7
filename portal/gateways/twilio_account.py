"""A client for a Twilio account: its state, numbers, services and registration, and its webhook URLs.

Timeouts are short, because somebody is waiting. Every failed request raises `RequestFailed`.
"""

from typing import Any
from urllib.parse import quote, urlsplit

from urllib3 import HTTPHeaderDict

from portal.gateways.rules.provider_schema import Credentials
from portal.gateways.rules.twilio_resources import (
    MessagingService,
    RegistrationState,
    TwilioAccountInfo,
    TwilioNumber,
    WebhookConfig,
    is_short_code,
)
from portal.gateways.twilio_http import RequestFailed, TwilioTransport, well_formed

_TIMEOUT = (3.0, 4.0)
_INVALID_MAGIC_NUMBER = "+15005550001"
_PAGE_SIZE = 50


class TwilioAccount:
    """Every method raises `RequestFailed`."""

    def __init__(self, api_url: str, credentials: Credentials) -> None:
        self._client = TwilioTransport(*_TIMEOUT).open_client(api_url, credentials)
        self._client.messaging.base_url = host_url(api_url, "messaging")

    def account(self) -> TwilioAccountInfo:
        response = self._client.api.account.fetch_with_http_info()
        account, headers = response.data, HTTPHeaderDict(response.headers)
        return TwilioAccountInfo(account.status or "", account.type or "", headers.get("Date", ""))

    def find_own_number(self, number: str) -> tuple[TwilioNumber, WebhookConfig] | None:
        """A phone number or short code of the account, with its webhooks; None if it is not on the account."""
        with well_formed():
            if is_short_code(number):
                items = self._client.short_codes.page(short_code=number, page_size=_PAGE_SIZE)
                return next((_to_own_number(item, number) for item in items if item.short_code == number), None)
            items = self._client.incoming_phone_numbers.page(phone_number=number, page_size=_PAGE_SIZE)
            return next((_to_own_number(item, number) for item in items if item.phone_number == number), None)

    def service(self, sid: str) -> MessagingService:
        service = self._service(sid).fetch()
        inbound_url, method = service.inbound_request_url or "", service.inbound_method or "POST"
        webhooks = WebhookConfig(sid, inbound_url, method, service.status_callback or "")
        return MessagingService(webhooks, bool(service.use_inbound_webhook_on_number))

    def campaigns(self, service_sid: str) -> list[RegistrationState]:
        with well_formed():
            items = self._service(service_sid).us_app_to_person.page()
            return [RegistrationState(item.campaign_status or "", _error_codes(item.errors)) for item in items]

    def toll_free_verifications(self, number_sid: str) -> list[RegistrationState]:
        with well_formed():
            items = self._client.messaging.v1.tollfree_verifications.page(tollfree_phone_number_sid=number_sid)
            return [RegistrationState(item.status or "", _error_codes(item.rejection_reasons)) for item in items]

    def set_number_webhooks(self, sid: str, number: str, inbound_url: str, status_url: str) -> None:
        """Point the number's webhooks to us; a short code has no status callback."""
        inbound = {"sms_url": inbound_url, "sms_method": "POST"}
        if is_short_code(number):
            self._client.short_codes(_quote_segment(sid)).update(**inbound)
            return
        status = {"status_callback": status_url, "status_callback_method": "POST"}
        self._client.incoming_phone_numbers(_quote_segment(sid)).update(**inbound, **status, sms_application_sid="")

    def set_service_webhooks(self, sid: str, inbound_url: str, status_url: str) -> None:
        inbound = {"inbound_request_url": inbound_url, "inbound_method": "POST"}
        self._service(sid).update(**inbound, status_callback=status_url)

    def probe_send_error_code(self, from_number: str) -> str:
        """Twilio's error code for a text to an invalid magic number, which is never sent; "none" if it succeeded."""
        try:
            self._client.messages.create(_INVALID_MAGIC_NUMBER, from_=from_number, body="Test of the credentials")
        except RequestFailed as failure:
            if failure.error.code and not failure.error.is_auth_error:
                return failure.error.code
            raise
        return "none"

    def _service(self, sid: str) -> Any:
        return self._client.messaging.v1.services(_quote_segment(sid))


def _error_codes(errors: Any) -> tuple[str, ...]:
    """Twilio spells the key in two ways, and a resource without errors may have null."""
    return tuple(str(error.get("error_code") or error.get("code") or "") for error in errors or ())


def _quote_segment(sid: str) -> str:
    """Ids come from responses and settings, and must not reach another part of the API."""
    return quote(sid, safe="")


def host_url(api_url: str, name: str) -> str:
    """Twilio has separate hosts: messaging for services and registration, accounts for consent. A simulator has one."""
    host = urlsplit(api_url).netloc
    if host.startswith("api.") and host.endswith(".twilio.com"):
        return api_url.replace("//api.", f"//{name}.", 1)
    return api_url


def _to_own_number(item: Any, number: str) -> tuple[TwilioNumber, WebhookConfig]:
    """A short code has neither capabilities, because it can only text, nor a status callback."""
    capabilities = getattr(item, "capabilities", None) or {}
    webhooks = WebhookConfig(
        item.sid or "",
        item.sms_url or "",
        item.sms_method or "POST",
        getattr(item, "status_callback", "") or "",
        bool(getattr(item, "sms_application_sid", "")),
    )
    can_text = is_short_code(number) or bool(capabilities.get("sms", capabilities.get("SMS")))
    return TwilioNumber(webhooks.sid, number, can_text, getattr(item, "type", "") or ""), webhooks
