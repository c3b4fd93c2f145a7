"""Both stages for as long as these tests run, the seed, and the report of the long form."""

import os
import random
from collections.abc import Iterator

import pytest
from fault_processes import Forker
from fault_report import Report
from fault_stage import LONG, Stages

_SEED = os.environ.get("FAULTS_SEED") or (str(random.randrange(1_000_000)) if LONG else "7")
_REPORT = Report(_SEED, kept=LONG)
_OPEN: list[tuple[Forker, Stages]] = []


def pytest_report_header() -> str:
    return f"faults: {'long' if LONG else 'short'} form, FAULTS_SEED={_SEED}"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Waits end by themselves, and say what they waited for; this is for what hangs."""
    for item in items:
        if "tests/faults" in item.nodeid:
            item.add_marker(pytest.mark.timeout(3600 if LONG else 900))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> Iterator[None]:
    """After the last of these tests the stages are closed: those that follow have the machine for themselves."""
    try:
        return (yield)
    finally:
        if nextitem is None or "tests/faults" not in nextitem.nodeid:
            _close()


@pytest.fixture
def stages() -> Stages:
    if not _OPEN:
        forker = Forker()
        try:
            _OPEN.append((forker, Stages(forker, _SEED)))
        except BaseException:
            forker.close()
            raise
    return _OPEN[0][1]


@pytest.fixture
def report() -> Report:
    return _REPORT


def _close() -> None:
    while _OPEN:
        forker, found = _OPEN.pop()
        try:
            found.close()
        finally:
            forker.close()
