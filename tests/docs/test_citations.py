"""Every document and section that code, pages and documents cite exists."""

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

THIS = Path(__file__)
ROOT = THIS.parents[2]
FOLDERS = ("portal", "jobs", "migrations", "simulator", "tests", "benchmarks", "bin", "docs")
KINDS = {".py", ".html", ".md"}
_CITED = re.compile(r"(?<![\w/.-])([\w./-]*\w\.md)(?:#([\w-]+))?")
_OWN_SECTION = re.compile(r"\]\(#([\w-]+)\)")
_ADDRESS = re.compile(r"https?://\S+")
_FILE_NAME = re.compile(r"""(?<!["'])["'][\w-]+\.md\b""")
"""A file name at the beginning of a Python string, such as the name of a file in a test, cites nothing."""
_FENCED = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"^#{1,6} +(.+?)(?: +#+)? *$", re.MULTILINE)
_LINK = re.compile(r"\[([^\]]*)\]\([^)]*\)")


def _cited_by(text: str, is_python: bool) -> Iterator[tuple[str, str]]:
    """Yield (document, section). The section may be "", and so is the document of a link such as (#section)."""
    text = _ADDRESS.sub("", text)
    if is_python:
        text = _FILE_NAME.sub("", text)
    for match in _CITED.finditer(text):
        yield match[1], match[2] or ""
    for match in _OWN_SECTION.finditer(text):
        yield "", match[1]


def _document(name: str, citing: Path) -> Path | None:
    """Find a document by its path from the root or from the citing file's folder, or by its name in docs."""
    candidates = (ROOT / name, citing.parent / name, ROOT / "docs" / name) if name else (citing,)
    return next((candidate for candidate in candidates if candidate.is_file()), None)


@cache
def _sections(document: Path) -> frozenset[str]:
    """The anchors that GitHub gives to the headings; a repeated one ends in its count."""
    anchors: list[str] = []
    counts: dict[str, int] = {}
    for heading in _HEADING.findall(_FENCED.sub("", document.read_text(encoding="utf-8"))):
        plain = _LINK.sub(r"\1", heading).strip().lower()
        slug = re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")
        counts[slug] = counts.get(slug, -1) + 1
        anchors.append(f"{slug}-{counts[slug]}" if counts[slug] else slug)
    return frozenset(anchors)


def _citing_files() -> Iterator[Path]:
    for folder in FOLDERS:
        yield from (path for path in sorted((ROOT / folder).rglob("*")) if path.suffix in KINDS and path != THIS)
    yield from sorted(ROOT.glob("*.md"))


def _is_translation(document: Path) -> bool:
    """A guide in another language: the portal gives its sections the anchors of the English one (test_guides.py)."""
    return document.is_relative_to(ROOT / "docs" / "guide") and document.parent.name != "guide"


def _broken_citations(citing: Path) -> Iterator[str]:
    for name, section in _cited_by(citing.read_text(encoding="utf-8"), citing.suffix == ".py"):
        document = _document(name, citing)
        if document is None:
            yield f"{citing.relative_to(ROOT)} cites {name}, which does not exist"
        elif section and not _is_translation(document) and section not in _sections(document):
            yield f"{citing.relative_to(ROOT)} cites {name}#{section}, which has no such section"


def test_every_citation_leads_to_a_section() -> None:
    problems = [problem for citing in _citing_files() for problem in _broken_citations(citing)]
    assert not problems, "\n".join(problems)


@pytest.mark.parametrize(
    ("text", "cited"),
    [
        ("as (docs/guide.md#two-words) says", [("docs/guide.md", "two-words")]),
        ("[guide](guide.md#one), [guide](../guide.md)", [("guide.md", "one"), ("../guide.md", "")]),
        ("[below](#one)", [("", "one")]),
        ('"""GUIDE.md has it."""', [("GUIDE.md", "")]),
        ("https://example.org/guide.md#one", []),
        ('folder / "guide.md"', []),
        ('read("docs/guide.md")', [("docs/guide.md", "")]),
    ],
)
def test_citations_are_found_in_text(text: str, cited: list[tuple[str, str]]) -> None:
    assert list(_cited_by(text, is_python=True)) == cited


def test_anchors_follow_githubs_rules(tmp_path: Path) -> None:
    document = tmp_path / "guide.md"
    document.write_text("# One `two`: three\n## A-b c’s\n```\n# none\n```\n## [Linked](x) twice ##\n### Linked twice\n")
    assert _sections(document) == {"one-two-three", "a-b-cs", "linked-twice", "linked-twice-1"}
