"""A carrier that exists in tests alone: pigeons of a loft, called by a whistle. One module (docs/providers.md)."""

from collections.abc import Iterator, Mapping
from typing import Any

from portal.domain.app_config import Credentials, Dialect, SenderSettings
from portal.domain.setting_shape import Key, Shape
from portal.gateways.outcomes import Accepted, Misconfigured, Outcome, Refused, Unknown
from portal.gateways.provider import Found, NotAnswered, Provider, Surroundings, Text

WHISTLE = "whistle-of-the-loft-9d2a"
HAWK, MOLTING, FOG = "+14152000001", "+14152000002", "+14152000003"
"""Where no pigeon goes, what makes the loft shut, and where nobody sees whether one arrived."""
FLOWN: list[tuple[str, str, str]] = []
"""Account, address and words of every text that left."""


def _whistle(value: Any) -> str:
    return "" if value.startswith("whistle-") else "must be a whistle."


def _needs(*names: str) -> Any:
    def between(value: Mapping[str, Any]) -> dict[str, str]:
        return {name: f' needs "{name}".' for name in names if name not in value}

    return between


class Loft:
    def create(self, credentials: Credentials, _sender: SenderSettings, text: Text) -> Outcome:
        if credentials.password != WHISTLE:
            return Misconfigured("whistle", "No pigeon came.")
        if text.to == HAWK:
            return Refused("hawk", "A hawk circles there.")
        FLOWN.append((credentials.account_sid, text.to, text.body))
        return Unknown("Fog.") if text.to == FOG else Accepted(f"pigeon-{len(FLOWN)}")

    def fetch(self, _credentials: Credentials, provider_id: str) -> Found:
        place = int(provider_id.removeprefix("pigeon-")) - 1
        return _found(place) if place < len(FLOWN) else _unheard()

    def sent_to(self, _credentials: Credentials, to: str) -> Iterator[Found]:
        return (_found(place) for place in reversed(range(len(FLOWN))) if FLOWN[place][1] == to)

    def received(self, _credentials: Credentials, at: str = "", sender: str = "") -> Iterator[Found]:
        return iter(())


def _found(place: int) -> Found:
    _, to, body = FLOWN[place]
    return Found(f"pigeon-{place + 1}", "ring-7", to, body, "delivered", "", "", "outbound-api")


def _unheard() -> Found:
    raise NotAnswered("There is no such pigeon.")


def _open(_surroundings: Surroundings) -> Loft:
    return Loft()


PROVIDER = Provider(
    Dialect(
        name="Pigeon",
        authentication=Shape(
            keys=(Key("Loft", "Loft"), Key("Whistle", "Whistle", "It calls them.", "secret", rule=_whistle)),
            example={"Loft": "north", "Whistle": "whistle-0"},
            between=_needs("Loft", "Whistle"),
        ),
        sender=Shape(
            keys=(Key("Ring", "Ring on the leg"), Key("PerMinute", "Departures a minute", kind="number")),
            example={"Ring": "ring-1"},
            between=_needs("Ring"),
        ),
        credentials=lambda value: Credentials(value["Loft"], value["Loft"], value["Whistle"]),
        sender_settings=lambda value: SenderSettings(value["Ring"], "", value.get("PerMinute", 60) / 60),
    ),
    _open,
)
