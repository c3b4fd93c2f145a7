"""What the scenarios did and found, gathered for docs/faults.md."""

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
        """`kept` reports are written down after every scenario: a run that is broken off has found something too."""
        self._seed, self._kept = seed, write_every_scenario
        self._began = time.time()
        self._lines: list[str] = []

    def add(self, scenario: str, engine: str, **figures: Any) -> None:
        """One line: the scenario by its number, and figures under names that a reader understands."""
        told = ", ".join(f"{name.replace('_', ' ')} {_format_value(value)}" for name, value in figures.items())
        print(f"{scenario} [{engine}]: {told}")
        self._lines.append(f"| {scenario} | {engine} | {told} |")
        if self._kept:
            self.write()

    def write(self, file: Path = FILE) -> None:
        """Between the two marks; what people wrote around them stays, and so does the other half of the same run."""
        with file.open("a+") as locked:
            fcntl.flock(locked, fcntl.LOCK_EX)
            text = file.read_text() or f"{_BEGIN}\n{_END}\n"
            before, _, rest = text.partition(_BEGIN)
            told, _, after = rest.partition(_END)
            mine = f"seed {self._seed},"
            rows = {line for line in told.splitlines() if line[:2] == "| " and line[2].isdigit()}
            others = rows if mine in told else set()
            file.write_text("\n".join([before + _BEGIN, *self._table({*self._lines, *others}), _END + after]))

    def _table(self, lines: set[str]) -> list[str]:
        minutes = round((time.time() - self._began) / 60)
        where = f"Python {platform.python_version()}, {platform.machine()}"
        head = f"{time.strftime('%Y-%m-%d')}, seed {self._seed}, {minutes} minutes, {where}."
        return [head, "", "| scenario | engine | figures |", "|---|---|---|", *sorted(lines, key=_scenario_number)]


def _scenario_number(line: str) -> tuple[int, str]:
    """Scenario 2 before scenario 10."""
    return int(line.split()[1]), line


def _format_value(value: Any) -> str:
    return f"{value:,.3g}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)
