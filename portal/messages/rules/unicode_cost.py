"""Which characters make a text cost more, for whoever writes it."""

from dataclasses import dataclass

from portal.messages.rules import sms_segments
from portal.messages.rules.sms_lookalikes import printable_form, transliterate


@dataclass(frozen=True)
class CostlyCharacter:
    """A character outside GSM-7 as it can be shown, and the plain one it could be; empty when there is none."""

    printable_form: str
    replacement: str


@dataclass(frozen=True)
class EncodingCost:
    """`plain_segments` is what the text would take with everything plain; `doubled` count as two in GSM-7."""

    ucs2_characters: tuple[CostlyCharacter, ...]
    two_septet_characters: tuple[str, ...]
    plain_segments: int


def encoding_cost(text: str) -> EncodingCost:
    weight = sms_segments.measure_sms(text)
    plain = {character: _plain(character) for character in weight.ucs2_characters}
    lighter = sms_segments.measure_sms("".join(plain.get(character, character) for character in text))
    doubled = tuple(character for character in dict.fromkeys(text) if _is_double(character))
    return EncodingCost(
        tuple(CostlyCharacter(printable_form(character), instead.strip()) for character, instead in plain.items()),
        () if weight.ucs2_characters else doubled,
        lighter.segments,
    )


def _plain(character: str) -> str:
    """The look-alike in GSM-7, else nothing."""
    instead = transliterate(character).text
    return "" if sms_segments.measure_sms(instead).ucs2_characters else instead


def _is_double(character: str) -> bool:
    found = sms_segments.measure_sms(character)
    return found.encoding == "GSM-7" and found.units == 2
