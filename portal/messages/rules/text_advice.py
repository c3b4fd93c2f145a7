"""What an author can change in a subject so that the text with it takes fewer segments, or is not shortened."""

import unicodedata
from dataclasses import dataclass

from portal.messages.rules.named_texts import OrganisationNames, with_organisation_name
from portal.messages.rules.sms_lookalikes import (
    GSM7_EXTENSION,
    grapheme_clusters,
    printable_form,
    transliterate,
)
from portal.messages.rules.sms_segments import measure_sms, normalize_text, single_segment_excess


@dataclass(frozen=True)
class CostlyCharacter:
    """`position` counts the characters of the subject from 1; `name` is for those that look like others."""

    printable_form: str
    name: str
    position: int


@dataclass(frozen=True)
class TextAdvice:
    """`costly` make the text UCS-2 or, if `forces_ucs2` is false, count as two characters.

    `segments` is what name, whole subject and link would take, `segments_without` without the costly characters.
    `excess_units` is how much too long they are for one segment.
    """

    costly: tuple[CostlyCharacter, ...]
    forces_ucs2: bool
    segments: int
    segments_without: int
    excess_units: int


def text_advice(subject: str, link: str, names: OrganisationNames) -> TextAdvice:
    clusters = grapheme_clusters(subject)
    sent = [transliterate(cluster).text for cluster in clusters]
    ucs2 = [index for index, text in enumerate(sent) if measure_sms(text).ucs2_characters]
    costly = ucs2 or [index for index, text in enumerate(sent) if not GSM7_EXTENSION.isdisjoint(text)]
    rest = "".join(cluster for index, cluster in enumerate(clusters) if index not in costly)
    whole, without = (_whole_text(words, link, names) for words in (subject, rest))
    return TextAdvice(
        costly=tuple(_costly_character(clusters[index], index + 1) for index in costly),
        forces_ucs2=bool(ucs2),
        segments=measure_sms(whole).segments,
        segments_without=measure_sms(without).segments,
        excess_units=single_segment_excess(measure_sms(whole)),
    )


def _whole_text(subject: str, link: str, names: OrganisationNames) -> str:
    return f"{with_organisation_name(normalize_text(subject), names)} {link}".strip()


def _costly_character(cluster: str, position: int) -> CostlyCharacter:
    name = unicodedata.name(cluster[0], f"U+{ord(cluster[0]):04X}").lower()
    return CostlyCharacter(printable_form(cluster), name, position)
