"""The SMS providers by their SmsGatewayType. A new provider is a module and a line here (docs/providers.md)."""

from portal.gateways import twilio_messages
from portal.gateways.provider import Provider, ProviderConfig, ProviderRouter, SmsGateway
from portal.gateways.rules.provider_schema import ProviderSchema

_ALL = (twilio_messages.PROVIDER,)
PROVIDERS: dict[str, Provider] = {provider.schema.name: provider for provider in _ALL}


def provider_schemas() -> dict[str, ProviderSchema]:
    """The schemas by provider; the first one is the default."""
    return {name: provider.schema for name, provider in PROVIDERS.items()}


def open_gateway(config: ProviderConfig) -> SmsGateway:
    return ProviderRouter(PROVIDERS, config)


def is_simulated(name: str, config: ProviderConfig) -> bool:
    """Whether the provider can never reach a real phone."""
    provider = PROVIDERS.get(name)
    return provider is not None and provider.is_simulated(config)
