"""The guides say what the pages say: their buttons, pages and sections exist, and an installed portal has them."""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Sequence
from functools import cache
from gettext import translation as find_catalog
from pathlib import Path

import pytest
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po

from portal.records.rules.search_line import Viewer, parse_search_line
from portal.web.help.guides import GUIDES, PICTURES, RenderedGuide, render_guide
from portal.web.help.help_links import HELP_PARTS
from tests.support.servers import ROOT

GUIDE_FOLDER = ROOT / "docs" / "guide"
_CODE = re.compile(r"`[^`]*`")
_BOLD = re.compile(r"\*\*(.+?)\*\*", re.DOTALL)
_PLACEHOLDER = re.compile(r"%\(\w+\)s")
_TEMPLATE_OPTIONS = {"newstyle_gettext": "true", "trimmed": "true", "trim_blocks": "true", "lstrip_blocks": "true"}
_MIN_FIXED_PART = 5
"""Letters of the part of a message that a guide may name without its values, such as “Opt out” of a number."""


class _PageWords:
    """Every message without values, every part of a message between its values, and patterns of whole messages."""

    def __init__(self, messages: Iterable[str]) -> None:
        plain = {re.sub(r"<[^>]*>", "", message).replace("%%", "%") for message in messages}
        split = [_PLACEHOLDER.split(message) for message in plain]
        fixed = {part.strip(" :,.“”") for words in split for part in words if len(part) >= _MIN_FIXED_PART}
        long = [words for words in split if len(words) > 1 and len("".join(words)) >= 2 * _MIN_FIXED_PART]
        self._words = plain | fixed
        self._patterns = [re.compile(".+".join(map(re.escape, words))) for words in long]

    def __contains__(self, words: str) -> bool:
        return words in self._words or any(pattern.fullmatch(words) for pattern in self._patterns)


@cache
def _messages() -> frozenset[str]:
    keywords = {"_": None, "gettext": None, "lazy_gettext": None, "N_": None, "ngettext": (1, 2)}
    methods = [("templates/**.html", "jinja2"), ("**.py", "python")]
    found = extract_from_dir(ROOT / "portal", methods, {"templates/**.html": _TEMPLATE_OPTIONS}, keywords)
    return _flat(message for *_, message, _, _ in found)


def _translations(catalog: Path) -> frozenset[str]:
    with catalog.open("rb") as file:
        return _flat(message.string for message in read_po(file) if message.string)


def _flat(messages: Iterable[str | Sequence[str]]) -> frozenset[str]:
    """With both forms of those that have a plural."""
    return frozenset(text for message in messages for text in ([message] if isinstance(message, str) else message))


def _bold_words(text: str) -> list[str]:
    return [" ".join(words.split()) for words in _BOLD.findall(_CODE.sub("", text))]


def _text(name: str) -> str:
    return (GUIDE_FOLDER / f"{name}.md").read_text("utf-8")


def _guide(name: str) -> RenderedGuide:
    return render_guide(name, "en")


def test_every_guide_is_listed_with_its_title() -> None:
    listed = set(re.findall(r"\[([^]]+)\]\(([\w-]+)\.md\)", _text("README")))
    assert listed == {(guide.title, guide.name) for guide in GUIDES}
    assert {path.stem for path in GUIDE_FOLDER.glob("*.md")} == {guide.name for guide in GUIDES} | {"README"}
    assert {guide.title: _text(guide.name).partition("\n")[0] for guide in GUIDES} == {
        guide.title: f"# {guide.title}" for guide in GUIDES
    }


def test_words_in_bold_are_on_a_page() -> None:
    on_pages = _PageWords(_messages())
    unknown = {
        f"{guide.name}: {bold}" for guide in GUIDES for bold in _bold_words(_text(guide.name)) if bold not in on_pages
    }
    assert unknown == set(), "Bold is for words that stand on a page exactly so; these do not"


@pytest.mark.parametrize("path", sorted(GUIDE_FOLDER.glob("*/*.md")), ids=lambda path: "-".join(path.parts[-2:]))
def test_translation_says_the_same_as_the_guide(path: Path) -> None:
    """Each section, picture and link of the English guide, and its words in bold as the catalog translates them."""
    language, catalogs = path.parent.name, ROOT / "portal" / "translations"
    english, other = _guide(path.stem).html, render_guide(path.stem, language).html
    assert re.findall('id="([^"]*)"', english) == re.findall('id="([^"]*)"', other)
    assert re.findall(r'(?:src|href)="(/[^"]*)"', english) == re.findall(r'(?:src|href)="(/[^"]*)"', other)
    catalog = find_catalog("messages", catalogs, [language])
    on_pages = _PageWords(_translations(catalogs / language / "LC_MESSAGES" / "messages.po"))
    pairs = zip(_bold_words(_text(path.stem)), _bold_words(path.read_text("utf-8")), strict=True)
    wrong = {
        translated: catalog.gettext(bold)
        for bold, translated in pairs
        if translated != catalog.gettext(bold) and (bold in _messages() or translated not in on_pages)
    }
    assert wrong == {}, "Words in bold are not as the pages have them"


def test_searches_in_the_guides_can_be_typed() -> None:
    searches = [code for guide in GUIDES for code in re.findall(r"`(\w+:[^/`]*)`", _text(guide.name))]
    assert searches
    assert all(parse_search_line(search, Viewer()).is_about_delivery for search in searches)


def test_guides_show_pictures_with_words_for_who_cannot_see_them() -> None:
    shown = re.findall(r"!\[([^\]]*)\]\(pictures/([\w-]+\.webp)\)", "".join(_text(guide.name) for guide in GUIDES))
    assert len({name for _, name in shown}) >= 8
    assert all(len(words) > 20 and (PICTURES / name).is_file() for words, name in shown)


@pytest.mark.parametrize("part", sorted(set(HELP_PARTS.values())))
def test_help_leads_to_a_section(part: str) -> None:
    name, _, anchor = part.partition("#")
    assert anchor in dict(_guide(name).sections)


def test_installed_portal_has_the_guides(tmp_path: Path) -> None:
    """What a wheel is made from: the files that setuptools would put in it."""
    pytest.importorskip("setuptools")
    for name in ("pyproject.toml", "requirements.in"):
        shutil.copy(ROOT / name, tmp_path / name)
    for folder in ("portal", "docs/guide"):
        shutil.copytree(ROOT / folder, tmp_path / folder, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    build = "from setuptools import setup; setup()", "-q", "build_py", "--build-lib", "installed"
    subprocess.run([sys.executable, "-W", "ignore", "-c", *build], cwd=tmp_path, check=True, capture_output=True)
    code = "from portal.web.help.guides import *; print(*(render_guide(one.name, 'en').html for one in GUIDES))"
    installed = subprocess.run(
        [sys.executable, "-P", "-c", f"import sys; sys.path[0:0] = ['{tmp_path / 'installed'}']; {code}"],
        cwd=tmp_path,
        check=True,
        capture_output=True,
        text=True,
    )
    assert installed.stdout.strip() == " ".join(_guide(guide.name).html for guide in GUIDES).strip()
    assert len(list((tmp_path / "installed" / "portal" / "guide" / "pictures").glob("*.webp"))) >= 8
