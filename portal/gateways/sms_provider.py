"""The way to whoever carries the texts, as this process reaches them."""

from portal.core.context import settings
from portal.gateways import registry
from portal.gateways.provider import ProviderConfig, SmsGateway


def provider_config() -> ProviderConfig:
    found = settings()
    return ProviderConfig(found.twilio_api_url, found.public_url, found.sms_timeout_seconds)


def sms_gateway() -> SmsGateway:
    """One pool of connections to each provider there is."""
    return registry.open_gateway(provider_config())
