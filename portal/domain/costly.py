"""Which characters make a text cost more, for whoever writes it."""

from dataclasses import dataclass

from portal.domain import sms
from portal.domain.sms_plain import lighten, shown


@dataclass(frozen=True)
class Costly:
    """A character outside GSM-7 as it can be shown, and the plain one it could be; empty when there is none."""

    shown: str
    plain: str


@dataclass(frozen=True)
class Costs:
    """`plain_segments` is what the text would take with everything plain; `doubled` count as two in GSM-7."""

    forcing: tuple[Costly, ...]
    doubled: tuple[str, ...]
    plain_segments: int


def costs_of(text: str) -> Costs:
    weight = sms.weigh(text)
    plain = {character: _plain(character) for character in weight.costly}
    lighter = sms.weigh("".join(plain.get(character, character) for character in text))
    doubled = tuple(character for character in dict.fromkeys(text) if _is_double(character))
    return Costs(
        tuple(Costly(shown(character), instead.strip()) for character, instead in plain.items()),
        () if weight.costly else doubled,
        lighter.segments,
    )


def _plain(character: str) -> str:
    """The look-alike in GSM-7, else nothing."""
    instead = lighten(character).text
    return "" if sms.weigh(instead).costly else instead


def _is_double(character: str) -> bool:
    found = sms.weigh(character)
    return found.encoding == "GSM-7" and found.units == 2
