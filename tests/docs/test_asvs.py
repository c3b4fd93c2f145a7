"""The table of security requirements is complete, and every test that it names exists (docs/asvs.md)."""

import ast
import re
from collections import Counter
from functools import cache
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
LEVELS = (
    "1.1:22 1.2:111112222 1.3:11222222222 1.4:222 1.5:12"
    " 2.1:122 2.2:112 2.3:1222 2.4:2"
    " 3.2:11 3.3:1222 3.4:112222 3.5:11122 3.7:22"
    " 4.1:122 4.2:2 4.3:22 4.4:1222"
    " 5.1:2 5.2:112 5.3:11 5.4:222"
    " 6.1:122 6.2:111111112222 6.3:1122 6.4:1122 6.5:22222 6.6:222 6.8:2222"
    " 7.1:222 7.2:1111 7.3:22 7.4:11222 7.5:22 7.6:22"
    " 8.1:12 8.2:112 8.3:1 8.4:2"
    " 9.1:111 9.2:1222"
    " 10.1:22 10.2:22 10.3:2222 10.4:11111222222 10.5:22222 10.6:22 10.7:222"
    " 11.1:22 11.2:222 11.3:112 11.4:1222 11.5:2 11.6:2"
    " 12.1:122 12.2:11 12.3:2222"
    " 13.1:2 13.2:22222 13.3:22 13.4:12222"
    " 14.1:22 14.2:1222 14.3:122"
    " 15.1:122 15.2:122 15.3:1222222"
    " 16.1:2 16.2:22222 16.3:2222 16.4:222 16.5:222"
    " 17.1:2 17.2:2222 17.3:22"
)
"""The requirements of levels 1 and 2 of ASVS 5.0.0: each section with the levels of its requirements 1, 2, 3 …"""
STATUSES = ("met", "operator", "not met", "does not apply")
_ROW = re.compile(r"^\| (\d+\.\d+\.\d+) \| ([12]) \| [^|]+ \| ([a-z ]+) \| ([^|]+) \| ([^|]*)\|$", re.MULTILINE)
_TEST = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")


class Requirement(NamedTuple):
    number: str
    level: str
    status: str
    explanation: str
    tests: list[tuple[str, str]]


@cache
def _document() -> str:
    return (ROOT / "docs" / "asvs.md").read_text(encoding="utf-8")


@cache
def _requirements() -> list[Requirement]:
    rows = _ROW.findall(_document())
    return [Requirement(number, level, status, how, _TEST.findall(tests)) for number, level, status, how, tests in rows]


@cache
def _tests_in(path: str) -> frozenset[str]:
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))


def test_table_has_every_requirement_of_the_first_two_levels_once() -> None:
    sections = (entry.partition(":") for entry in LEVELS.split())
    expected = {f"{section}.{i}": level for section, _, levels in sections for i, level in enumerate(levels, 1)}
    assert [each.number for each in _requirements()] == list(expected)
    assert {each.number: each.level for each in _requirements()} == expected


def test_every_test_that_the_table_names_exists() -> None:
    named = {test for each in _requirements() for test in each.tests}
    assert [f"{path}::{name}" for path, name in sorted(named) if name not in _tests_in(path)] == []


def test_requirement_that_is_met_names_its_test_and_any_other_says_why() -> None:
    assert [each.number for each in _requirements() if each.status == "met" and not each.tests] == []
    assert [each.number for each in _requirements() if each.status not in STATUSES or not each.explanation] == []


def test_summary_counts_what_the_table_says() -> None:
    counts = Counter(each.status for each in _requirements())
    applying = len(_requirements()) - counts["does not apply"]
    numbers = re.search(r"(\d+) apply: (\d+) are met, (\d+) .*? operator, and (\d+) (?:is|are) not met", _document())
    assert numbers
    assert list(map(int, numbers.groups())) == [applying, counts["met"], counts["operator"], counts["not met"]]
