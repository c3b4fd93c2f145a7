"""One portal with something at every address, and everybody who may ask for it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask

from tests.support.databases.database_snapshot import DatabaseSnapshot
from tests.support.pages.access_matrix import Requester
from tests.support.pages.filled_portal import fill_portal


@pytest.fixture
def filled_portal(web_app: Flask, sms_enabled: None, unknown_text_id: int, recipient_file: int) -> Flask:
    fill_portal(web_app)
    return web_app


@pytest.fixture
def requester(filled_portal: Flask) -> Requester:
    return Requester(filled_portal)


@pytest.fixture
def snapshot(requester: Requester, tmp_path: Path) -> Iterator[DatabaseSnapshot]:
    """Of the portal in which everybody is signed in."""
    snapshot = DatabaseSnapshot(tmp_path / "portal.sqlite")
    yield snapshot
    snapshot.close()
