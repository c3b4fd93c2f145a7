"""Collects the figures of the scenarios and writes them into docs/faults.md."""

import fcntl
import platform
import time
from pathlib import Path
from typing import Any

from tests.support import servers

FILE = servers.ROOT / "docs" / "faults.md"
_BEGIN, _END = "<!-- figures of the last long run: written by make faults -->", "<!-- end of the figures -->"


class FaultReport:
    def __init__(self, seed: str, write_every_scenario: bool) -> None:
        """If `write_every_scenario`, the file is updated after each scenario, so an aborted run leaves results too."""
        self._seed, self._write_every_scenario = seed, write_every_scenario
        self._began = time.time()
        self._rows: list[str] = []

    def add(self, scenario: str, engine: str, **figures: Any) -> None:
        """Add a row; `scenario` starts with its number, underscores in figure names become spaces."""
        formatted = ", ".join(f"{name.replace('_', ' ')} {_format_value(value)}" for name, value in figures.items())
        print(f"{scenario} [{engine}]: {formatted}")
        self._rows.append(f"| {scenario} | {engine} | {formatted} |")
        if self._write_every_scenario:
            self.write()

    def write(self, file: Path = FILE) -> None:
        """Replace the text between the markers; keeps the rows that the other test process of this run has written."""
        with file.open("a+") as locked:
            fcntl.flock(locked, fcntl.LOCK_EX)
            text = file.read_text() or f"{_BEGIN}\n{_END}\n"
            before, _, rest = text.partition(_BEGIN)
            current, _, after = rest.partition(_END)
            rows = {line for line in current.splitlines() if line[:2] == "| " and line[2].isdigit()}
            same_run = rows if f"seed {self._seed}," in current else set()
            file.write_text("\n".join([before + _BEGIN, *self._table({*self._rows, *same_run}), _END + after]))

    def _table(self, rows: set[str]) -> list[str]:
        minutes = round((time.time() - self._began) / 60)
        system = f"Python {platform.python_version()}, {platform.machine()}"
        summary = f"{time.strftime('%Y-%m-%d')}, seed {self._seed}, {minutes} minutes, {system}."
        return [summary, "", "| scenario | engine | figures |", "|---|---|---|", *sorted(rows, key=_scenario_number)]


def _scenario_number(row: str) -> tuple[int, str]:
    """Sorts scenario 2 before scenario 10."""
    return int(row.split()[1]), row


def _format_value(value: Any) -> str:
    return f"{value:,.3g}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)
