"""The demo portal and the browser that the end-to-end tests share."""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.e2e.running_portal import RunningPortal, start_portal
from tests.support import servers
from tests.support.commands.command_runner import CommandRunner

expect.set_options(timeout=20_000)
"""Generous, because eight processes and a browser share the machine with whatever else runs."""

_CLEANUP = ExitStack()
_SHARED_PORTALS: list[RunningPortal] = []


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the restart test first: it starts the portal that the other tests share."""
    e2e_items = [item for item in items if "tests/e2e" in item.nodeid]
    for item in e2e_items:
        item.add_marker(pytest.mark.timeout(300))
    ordered = iter(sorted(e2e_items, key=lambda item: "test_restart_during_send" not in item.nodeid))
    items[:] = [next(ordered) if "tests/e2e" in item.nodeid else item for item in items]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> Iterator[None]:
    """Stop the shared portal after the last end-to-end test."""
    try:
        return (yield)
    finally:
        if nextitem is None or "tests/e2e" not in nextitem.nodeid:
            _SHARED_PORTALS.clear()
            _CLEANUP.close()


@pytest.fixture
def start_shared_portal(command_runner: CommandRunner) -> Callable[[Path], RunningPortal]:
    """Starts the shared portal on an instance folder, with a sending rate that is fast enough for tests."""

    def start(instance: Path) -> RunningPortal:
        portal = _CLEANUP.enter_context(start_portal(instance, command_runner))
        settings = {"FromNumber": servers.FROM_NUMBER, "SegmentsPerSecond": 25}
        portal.run_cli("config", "set", "SmsGatewaySettings", json.dumps(settings))
        _SHARED_PORTALS.append(portal)
        return portal

    return start


@pytest.fixture
def running_portal(
    start_shared_portal: Callable[[Path], RunningPortal], tmp_path_factory: pytest.TempPathFactory
) -> RunningPortal:
    return _SHARED_PORTALS[0] if _SHARED_PORTALS else start_shared_portal(tmp_path_factory.mktemp("up"))
