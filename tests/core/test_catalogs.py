"""The catalogs of translations are complete, and say with every message what it says in English."""

import re
from functools import cache
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog, Message
from babel.messages.frontend import CommandLineInterface
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

from portal.core.translation import ENGLISH, LANGUAGES, gettext, join_words, language_named, ngettext, use_language
from portal.messages.rules.sms_segments import measure_sms

ROOT = Path(__file__).parents[2]
CODES = [code for code in LANGUAGES if code != ENGLISH.code]
KEPT = re.compile(r"%\(\w+\)[sd]|%%|</?\w+[^>]*>|\{\{.*?\}\}|\{%.*?%\}|https?://\S+")
"""Placeholders, tags, merge fields and addresses."""
ENDS = re.compile(r"[.:?…!;]?\s*$")
TEXTS = (
    ("%(num)s more in your history: %(url)s", "%(num)s more in your history: %(url)s"),
    ("%(organization)s: this is a test text. If you can read it, the gateway works.", ""),
)
"""Messages that leave as texts."""


def path_of(code: str, kind: str) -> Path:
    return ROOT / "portal" / "translations" / code / "LC_MESSAGES" / f"messages.{kind}"


@cache
def catalog_of(code: str) -> Catalog:
    with path_of(code, "po").open("rb") as file:
        return read_po(file)


@pytest.fixture(scope="session")
def extracted(tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    """As `make messages` collects the messages."""
    path, mapping = tmp_path_factory.mktemp("messages") / "messages.pot", str(ROOT / "babel.cfg")
    options = ["-q", "extract", "-F", mapping, "-k", "lazy_gettext", "--no-location", "-o", str(path), str(ROOT)]
    CommandLineInterface().run(["pybabel", *options])  # type: ignore[no-untyped-call]
    with path.open("rb") as file:
        return read_po(file)


def forms(words: object) -> tuple[str, ...]:
    return words if isinstance(words, tuple) else (str(words),)


def translations(code: str) -> list[Message]:
    return [message for message in catalog_of(code) if message.id]


@pytest.mark.parametrize("code", CODES)
def test_catalog_has_every_message_of_the_portal(code: str, extracted: Catalog) -> None:
    """Run `make messages`, then translate what it has added (docs/translating.md)."""
    wanted, known = ({message.id for message in catalog if message.id} for catalog in (extracted, catalog_of(code)))
    assert (wanted - known, known - wanted) == (set(), set())


@pytest.mark.parametrize("code", CODES)
def test_every_message_is_translated(code: str) -> None:
    plurals = catalog_of(code).num_plurals
    empty = [message.id for message in translations(code) if not all(map(str.strip, forms(message.string)))]
    short = [
        message.id for message in translations(code) if message.pluralizable and len(forms(message.string)) != plurals
    ]
    fuzzy = [message.id for message in translations(code) if message.fuzzy]
    assert (empty, short, fuzzy) == ([], [], [])


@pytest.mark.parametrize("code", CODES)
def test_translation_keeps_placeholders_tags_and_ends(code: str) -> None:
    """The forms of a plural have what one of the English forms has."""
    different = []
    for message in translations(code):
        allowed = {(*sorted(KEPT.findall(form)), ENDS.search(form)[0]) for form in forms(message.id)}  # type: ignore[index]
        for form in forms(message.string):
            if (*sorted(KEPT.findall(form)), ENDS.search(form)[0]) not in allowed:  # type: ignore[index]
                different.append(form)
    assert different == []


@pytest.mark.parametrize("code", CODES)
def test_compiled_catalog_is_up_to_date(code: str, tmp_path: Path) -> None:
    with (tmp_path / "messages.mo").open("wb") as file:
        write_mo(file, catalog_of(code))
    assert path_of(code, "mo").read_bytes() == (tmp_path / "messages.mo").read_bytes()


@pytest.mark.parametrize("code", CODES)
def test_words_of_texts_need_no_dearer_alphabet(code: str) -> None:
    with use_language(language_named(code)):
        for one, many in TEXTS:
            text = ngettext(one, many, 3, url="u") if many else gettext(one, organization="Board")
            assert text != one % {"num": 3, "url": "u", "organization": "Board"}
            assert measure_sms(text).ucs2_characters == ()


def test_unknown_language_is_english() -> None:
    assert [language_named(code) for code in ("", "xx", "ES", "../es")] == [ENGLISH] * 4


def test_catalog_is_read_once() -> None:
    assert language_named("es") is language_named("es")


@pytest.mark.parametrize(
    ("words", "joined"),
    [
        (["Perú"], "Perú"),
        (["a", "b", "Perú"], "a, b y Perú"),
        (["y", "Italia"], "y e Italia"),
        (["a", "hielo"], "a y hielo"),
    ],
)
def test_words_are_joined_as_the_language_does(words: list[str], joined: str) -> None:
    with use_language(language_named("es")):
        assert join_words(words) == joined
