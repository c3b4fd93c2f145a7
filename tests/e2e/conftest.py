"""The demo portal that all journeys share, start_portal when the first one asks and stopped after the last."""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from tests.e2e.running_portal import RunningPortal, start_portal
from tests.support import servers
from tests.support.commands.command_runner import CommandRunner

CHROMIUM = next((path for path in ("/usr/bin/chromium", "/usr/bin/chromium-browser") if Path(path).exists()), None)
expect.set_options(timeout=20_000)
"""Eight processes and a browser share the machine with whatever else runs there."""

_CLEANUP = ExitStack()
_SHARED_PORTALS: list[RunningPortal] = []


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The first of them waits for the portal to start as well; it is the one that leaves a portal to the others."""
    ours = [item for item in items if "tests/e2e" in item.nodeid]
    for item in ours:
        item.add_marker(pytest.mark.timeout(300))
    in_turn = iter(sorted(ours, key=lambda item: "test_whole_product" not in item.nodeid))
    items[:] = [next(in_turn) if "tests/e2e" in item.nodeid else item for item in items]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> Iterator[None]:
    """Those that follow have the machine for themselves."""
    try:
        return (yield)
    finally:
        if nextitem is None or "tests/e2e" not in nextitem.nodeid:
            _SHARED_PORTALS.clear()
            _CLEANUP.close()


@pytest.fixture
def start_shared_portal(command_runner: CommandRunner) -> Callable[[Path], RunningPortal]:
    """Starts the portal that those who follow share, with a gateway quick enough for a test."""

    def start(instance: Path) -> RunningPortal:
        found = _CLEANUP.enter_context(start_portal(instance, command_runner))
        rate = {"FromNumber": servers.FROM_NUMBER, "SegmentsPerSecond": 25}
        found.run_cli("config", "set", "SmsGatewaySettings", json.dumps(rate))
        _SHARED_PORTALS.append(found)
        return found

    return start


@pytest.fixture
def running_portal(
    start_shared_portal: Callable[[Path], RunningPortal], tmp_path_factory: pytest.TempPathFactory
) -> RunningPortal:
    return _SHARED_PORTALS[0] if _SHARED_PORTALS else start_shared_portal(tmp_path_factory.mktemp("up"))


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("no Chromium here")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()
