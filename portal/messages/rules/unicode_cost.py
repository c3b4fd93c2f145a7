"""Show an author which characters make a text cost more."""

from dataclasses import dataclass

from portal.messages.rules.sms_lookalikes import GSM7_EXTENSION, printable_form
from portal.messages.rules.sms_segments import measure_sms


@dataclass(frozen=True)
class EncodingCost:
    """`ucs2_characters` are in printable form; `plain_segments` is the size without them."""

    ucs2_characters: tuple[str, ...]
    two_septet_characters: tuple[str, ...]
    plain_segments: int


def encoding_cost(text: str) -> EncodingCost:
    """The cost of a text whose look-alikes are already replaced."""
    ucs2_characters = measure_sms(text).ucs2_characters
    plain_text = "".join(character for character in text if character not in ucs2_characters)
    two_septet_characters = tuple(character for character in dict.fromkeys(text) if character in GSM7_EXTENSION)
    return EncodingCost(
        tuple(map(printable_form, ucs2_characters)),
        () if ucs2_characters else two_septet_characters,
        measure_sms(plain_text).segments,
    )
