"""What every connection to SQLite is set to."""

import sqlite3
from pathlib import Path

from portal.core import extensions


def test_commits_wait_for_the_disk(tmp_path: Path) -> None:
    """Other tests' connections do not wait (tests/conftest.py), so this one is configured as the product's are."""
    connection = sqlite3.connect(tmp_path / "portal.sqlite")
    extensions._configure_connection(connection, None)
    assert connection.execute("PRAGMA synchronous").fetchone() == (2,), "FULL"
    connection.close()
