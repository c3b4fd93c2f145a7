"""Show an author which characters make a text cost more."""

from dataclasses import dataclass

from portal.messages.rules import sms_segments
from portal.messages.rules.sms_lookalikes import CharacterReplacement, printable_form, transliterate


@dataclass(frozen=True)
class EncodingCost:
    """`plain_segments` is the size with all replacements made. A replacement is "" if there is none."""

    ucs2_characters: tuple[CharacterReplacement, ...]
    two_septet_characters: tuple[str, ...]
    plain_segments: int


def encoding_cost(text: str) -> EncodingCost:
    size = sms_segments.measure_sms(text)
    replacements = {character: _replacement_for(character) for character in size.ucs2_characters}
    plain_size = sms_segments.measure_sms("".join(replacements.get(character, character) for character in text))
    two_septet_characters = tuple(character for character in dict.fromkeys(text) if _takes_two_septets(character))
    costly = tuple(CharacterReplacement(printable_form(old), new.strip()) for old, new in replacements.items())
    return EncodingCost(costly, () if costly else two_septet_characters, plain_size.segments)


def _replacement_for(character: str) -> str:
    """Return the GSM-7 look-alike; "" if there is none."""
    replacement = transliterate(character).text
    return "" if sms_segments.measure_sms(replacement).ucs2_characters else replacement


def _takes_two_septets(character: str) -> bool:
    size = sms_segments.measure_sms(character)
    return size.encoding == "GSM-7" and size.units == 2
