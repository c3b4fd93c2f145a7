"""Who may carry texts, by the names that SmsGatewayType takes. A second one is a module, and its line here."""

from portal.gateways import twilio_messages
from portal.gateways.provider import Provider, ProviderConfig, ProviderRouter, SmsGateway
from portal.gateways.rules.provider_schema import ProviderSchema

_ALL = (twilio_messages.PROVIDER,)
PROVIDERS: dict[str, Provider] = {provider.schema.name: provider for provider in _ALL}


def provider_schemas() -> dict[str, ProviderSchema]:
    """How each writes its settings; the first is the one in force until another is chosen."""
    return {name: provider.schema for name, provider in PROVIDERS.items()}


def open_gateway(surroundings: ProviderConfig) -> SmsGateway:
    return ProviderRouter(PROVIDERS, surroundings)


def is_simulated(name: str, surroundings: ProviderConfig) -> bool:
    """Whether no real phone can ring, whatever is sent."""
    provider = PROVIDERS.get(name)
    return provider is not None and provider.is_simulated(surroundings)
