"""Fixtures of the fault tests: one environment per engine, the random seed, and the report of the long form."""

import os
import random
from collections.abc import Iterator

import pytest

from tests.faults.support.fault_environment import FaultEnvironment
from tests.faults.support.fault_report import FaultReport
from tests.faults.support.invariants import check_totals
from tests.faults.support.timing import LONG_RUN
from tests.support.commands.fork_server_client import ForkServerClient

_SEED = os.environ.get("FAULTS_SEED") or (str(random.randrange(1_000_000)) if LONG_RUN else "7")
_REPORT = FaultReport(_SEED, write_every_scenario=LONG_RUN)
_RUNNING: list[tuple[ForkServerClient, FaultEnvironment]] = []


def pytest_report_header() -> str:
    return f"faults: {'long' if LONG_RUN else 'short'} form, FAULTS_SEED={_SEED}"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sort by engine, so that one environment serves all scenarios of an engine.

    The tests' own waits have deadlines and say what they waited for; the timeout catches whatever hangs.
    """
    by_engine = iter(sorted(filter(_is_fault_test, items), key=_engine))
    items[:] = [next(by_engine) if _is_fault_test(item) else item for item in items]
    for item in filter(_is_fault_test, items):
        item.add_marker(pytest.mark.timeout(3600 if LONG_RUN else 900))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> Iterator[None]:
    """Close the environment after the last scenario of its engine, to free the machine for the tests that follow."""
    try:
        return (yield)
    finally:
        if nextitem is None or _engine(nextitem) != _engine(item):
            _close_environment()


def _is_fault_test(item: pytest.Item) -> bool:
    return "tests/faults" in item.nodeid


def _engine(item: pytest.Item) -> str:
    callspec = getattr(item, "callspec", None)
    return str(callspec.params["environment"]) if callspec and _is_fault_test(item) else ""


@pytest.fixture
def environment(request: pytest.FixtureRequest) -> Iterator[FaultEnvironment]:
    """The environment of the requested engine, in its initial state. Each scenario ends with I11."""
    if not _RUNNING:
        forker = ForkServerClient()
        try:
            _RUNNING.append((forker, FaultEnvironment(request.param, forker, _SEED)))
        except BaseException:
            forker.close()
            raise
    environment = _RUNNING[0][1]
    environment.restore_initial_state()
    yield environment
    check_totals(environment)


@pytest.fixture
def report() -> FaultReport:
    return _REPORT


def _close_environment() -> None:
    while _RUNNING:
        forker, environment = _RUNNING.pop()
        try:
            environment.close()
        finally:
            forker.close()
