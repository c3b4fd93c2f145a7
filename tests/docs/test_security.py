"""The security document says of every table what is in it, who reads it and how long it is kept."""

import re
from pathlib import Path

import portal.tables  # noqa: F401  registers every table
from portal.core.extensions import Base

ROOT = Path(__file__).parents[2]
SECURITY = ROOT / "docs" / "security.md"


def test_every_table_has_a_class_of_data() -> None:
    section = SECURITY.read_text(encoding="utf-8").partition("## Data and retention")[2].partition("\n## ")[0]
    rows = [line.split(" | ") for line in section.splitlines() if line.startswith("| **")]
    classified = {table for row in rows for table in re.findall(r"`(\w+)`", row[1])}
    assert len(rows) >= 8
    assert set(Base.metadata.tables) - classified == set()


def test_data_has_a_time_to_be_kept() -> None:
    section = SECURITY.read_text(encoding="utf-8").partition("## Data and retention")[2].partition("\n## ")[0]
    rows = [line.strip("| ").split(" | ") for line in section.splitlines() if line.startswith("| **")]
    assert [row[0] for row in rows if len(row) != 4 or not row[3].strip()] == []


def test_no_program_is_started_through_a_shell() -> None:
    """Nor by any module but those that start the portal's own processes."""
    files = [path for folder in ("portal", "jobs") for path in (ROOT / folder).rglob("*.py")]
    calls = re.compile(r"shell\s*=\s*True|os\.(system|popen)|getoutput|getstatusoutput|create_subprocess")
    assert [str(path) for path in files if calls.search(path.read_text(encoding="utf-8"))] == []
    starting = {path.parent.name for path in files if "import subprocess" in path.read_text(encoding="utf-8")}
    assert starting == {"processes"}
