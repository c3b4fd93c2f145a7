"""The stage for as long as scenarios of its engine run, the seed, and the report of the long form."""

import os
import random
from collections.abc import Iterator

import pytest

from tests.faults.support.fault_environment import LONG_RUN, FaultEnvironment
from tests.faults.support.fault_report import FaultReport
from tests.faults.support.supervised_processes import ForkServerClient

_SEED = os.environ.get("FAULTS_SEED") or (str(random.randrange(1_000_000)) if LONG_RUN else "7")
_REPORT = FaultReport(_SEED, kept=LONG_RUN)
_OPEN: list[tuple[ForkServerClient, FaultEnvironment]] = []


def pytest_report_header() -> str:
    return f"faults: {'long' if LONG_RUN else 'short'} form, FAULTS_SEED={_SEED}"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """One engine after the other, so that one stage serves all of its scenarios.

    Waits end by themselves, and say what they waited for; the time-out is for what hangs.
    """
    by_engine = iter(sorted(filter(_is_ours, items), key=_engine))
    items[:] = [next(by_engine) if _is_ours(item) else item for item in items]
    for item in filter(_is_ours, items):
        item.add_marker(pytest.mark.timeout(3600 if LONG_RUN else 900))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> Iterator[None]:
    """After the last scenario of an engine its stage is closed: those that follow have the machine for themselves."""
    try:
        return (yield)
    finally:
        if nextitem is None or _engine(nextitem) != _engine(item):
            _close()


def _is_ours(item: pytest.Item) -> bool:
    return "tests/faults" in item.nodeid


def _engine(item: pytest.Item) -> str:
    called = getattr(item, "callspec", None)
    return str(called.params["environment"]) if called and _is_ours(item) else ""


@pytest.fixture
def environment(request: pytest.FixtureRequest) -> FaultEnvironment:
    """As it was at first."""
    if not _OPEN:
        forker = ForkServerClient()
        try:
            _OPEN.append((forker, FaultEnvironment(request.param, forker, _SEED)))
        except BaseException:
            forker.close()
            raise
    found = _OPEN[0][1]
    found.restore_initial_state()
    return found


@pytest.fixture
def report() -> FaultReport:
    return _REPORT


def _close() -> None:
    while _OPEN:
        forker, found = _OPEN.pop()
        try:
            found.close()
        finally:
            forker.close()
