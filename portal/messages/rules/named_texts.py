"""Every text names the organization, because people and carriers must recognize who sends it (ADR 55)."""

import re
import textwrap
from dataclasses import replace
from functools import lru_cache

from portal.messages.rules.sms_lookalikes import strip_accents, without_accents
from portal.messages.rules.sms_segments import FittedText, fit_one_segment, measure_sms, normalize_text

OrganisationNames = tuple[str, ...]
"""The name that texts begin with, then others by which people know the organization too."""
MAX_SHORT_NAME = 20


def with_organisation_name(text: str, names: OrganisationNames) -> str:
    """The text, behind the name if it says none of the names."""
    name = plain_name(names[0])
    return text if not name or says_organisation(text, names) else f"{name}: {text}".rstrip()


def fit_named_text(subject: str, link: str, names: OrganisationNames) -> FittedText:
    """Name, subject and link in one segment. The subject is cut, also if it is the subject that says the name.

    A link that leaves the name no room costs a segment more.
    """
    name, alone = plain_name(names[0]), f"{with_organisation_name('', names)} {link}".strip()
    for words in (with_organisation_name(subject, names), f"{name}: {subject}".strip(": ")):
        fitted = fit_one_segment(words, link)
        if not fitted.is_shortened or says_organisation(fitted.text, (name, *names)):
            return fitted
    return replace(fitted, text=alone, size=measure_sms(alone)) if name else fitted


def says_organisation(text: str, names: OrganisationNames) -> bool:
    """As words of the text, in any case and with or without accents; a host in a link does not count."""
    return _pattern(names).search(_folded(text)) is not None


def subject_room(link: str, names: OrganisationNames) -> int:
    """How many characters of GSM-7 a subject may have beside name and link."""
    size = measure_sms(f"{with_organisation_name('', names)} {link}".strip())
    return max(0, size.remaining_units - 1) if size.segments == 1 else 0


@lru_cache(maxsize=64)
def plain_name(name: str) -> str:
    """In GSM-7 if its letters are: one accent that GSM-7 lacks would cut every text from 160 characters to 70.

    Of a long name in another script only the first words, or nothing of the subject would fit beside it.
    """
    plain = strip_accents(normalize_text(name)).text
    if len(plain) <= MAX_SHORT_NAME or not measure_sms(plain).ucs2_characters:
        return plain
    return textwrap.shorten(plain, MAX_SHORT_NAME, placeholder="") or plain[:MAX_SHORT_NAME]


@lru_cache(maxsize=64)
def _pattern(names: OrganisationNames) -> re.Pattern[str]:
    alternatives = "|".join(re.escape(_folded(name)) for name in names if name.strip())
    return re.compile(rf"(?<![\w.@/-])(?:{alternatives or '(?!)'})(?![\w@/-]|\.\w)")


def _folded(text: str) -> str:
    return without_accents(normalize_text(text)).casefold()
