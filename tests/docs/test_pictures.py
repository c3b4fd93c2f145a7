"""The pictures in the documentation show the pages as they are."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.support.browser.demo_pictures import FOLDER, PICTURES, DemoPortal, demo_portal
from tests.support.browser.page_fingerprint import fingerprint, read_fingerprints, shown_parts
from tests.support.servers import ROOT, running_valkey

_MAX_BYTES = 120 * 1024
_REMEDY = "Run: make screenshots"


@pytest.fixture
def portal(tmp_path: Path, sqlite_template_file: Path) -> Iterator[DemoPortal]:
    """On a Redis of its own: a picture shows the jobs of a send, and other tests have sends with the same id."""
    shutil.copy(sqlite_template_file, tmp_path / "portal.sqlite")
    with running_valkey() as redis_url, demo_portal(tmp_path, redis_url) as portal:
        yield portal


@pytest.mark.e2e
def test_pictures_show_the_pages_of_today(portal: DemoPortal, chromium: Browser) -> None:
    recorded, current = read_fingerprints(), {}
    for picture in PICTURES:
        with portal.open(chromium, picture) as (page, html):
            current[picture.name] = fingerprint(page, html)
    stale = {name for name in recorded.keys() | current.keys() if recorded.get(name) != current.get(name)}
    assert not stale, f"{sorted(stale)} in {FOLDER.relative_to(ROOT)} show pages that have changed. {_REMEDY}"


def test_pictures_are_small_files() -> None:
    sizes = {picture.name: picture.file.stat().st_size for picture in PICTURES}
    assert {name: size for name, size in sizes.items() if size > _MAX_BYTES} == {}


def test_documents_show_every_picture() -> None:
    documents = [ROOT / "README.md", *ROOT.glob("docs/guide/*.md")]
    shown = {Path(name).name for path in documents for name in re.findall(r"pictures/([\w-]+\.webp)", path.read_text())}
    assert shown == {picture.file.name for picture in PICTURES} == {path.name for path in FOLDER.glob("*.webp")}


def test_a_fingerprint_changes_with_words_and_structure() -> None:
    page = "<body><form><input type='hidden' name='csrf_token' value='a'><p class='lead'>Two words</p></form></body>"
    assert shown_parts(page) == shown_parts(page.replace("'a'", "'b'").replace("Two words", "Two \n words"))
    for changed in (page.replace("Two", "Three"), page.replace("lead", "muted"), page.replace("p>", "b>")):
        assert shown_parts(changed) != shown_parts(page)
