"""The SMS gateway with the settings of the current app."""

from portal.core.context import settings
from portal.gateways import registry
from portal.gateways.provider import ProviderConfig, SmsGateway


def provider_config() -> ProviderConfig:
    current = settings()
    return ProviderConfig(current.twilio_api_url, current.public_url, current.sms_timeout_seconds)


def sms_gateway() -> SmsGateway:
    """A gateway with a connection pool for each provider."""
    return registry.open_gateway(provider_config())
