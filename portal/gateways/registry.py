"""The SMS providers by their SmsGatewayType. A new provider is a module and a line here (docs/providers.md)."""

from portal.core.context import settings
from portal.gateways import twilio_messages
from portal.gateways.provider import Provider, ProviderConfig, ProviderRouter, SmsGateway
from portal.gateways.rules.provider_schema import ProviderSchema

_ALL = (twilio_messages.PROVIDER,)
PROVIDERS: dict[str, Provider] = {provider.schema.name: provider for provider in _ALL}


def provider_schemas() -> dict[str, ProviderSchema]:
    """The schemas by provider; the first one is the default."""
    return {name: provider.schema for name, provider in PROVIDERS.items()}


def sms_gateway() -> SmsGateway:
    """A gateway with a connection pool for each provider."""
    return ProviderRouter(PROVIDERS, _provider_config())


def is_simulated(name: str) -> bool:
    """Whether the provider can never reach a real phone."""
    provider = PROVIDERS.get(name)
    return provider is not None and provider.is_simulated(_provider_config())


def _provider_config() -> ProviderConfig:
    current = settings()
    return ProviderConfig(current.twilio_api_url, current.public_url, current.sms_timeout_seconds)
