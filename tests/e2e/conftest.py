"""The demo portal that all journeys share, started when the first one asks and stopped after the last."""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import parts
import pytest
from commanded import Commands
from e2e_product import Product, started
from playwright.sync_api import Browser, expect, sync_playwright

CHROMIUM = next((path for path in ("/usr/bin/chromium", "/usr/bin/chromium-browser") if Path(path).exists()), None)
expect.set_options(timeout=20_000)
"""Eight processes and a browser share the machine with whatever else runs there."""

_OPEN = ExitStack()
_FOUND: list[Product] = []


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
            _FOUND.clear()
            _OPEN.close()


@pytest.fixture
def start_for_all(commands: Commands) -> Callable[[Path], Product]:
    """Starts the portal that those who follow share, with a gateway quick enough for a test."""

    def start(instance: Path) -> Product:
        found = _OPEN.enter_context(started(instance, commands))
        rate = {"FromNumber": parts.FROM, "SegmentsPerSecond": 25}
        found.command("config", "set", "SmsGatewaySettings", json.dumps(rate))
        _FOUND.append(found)
        return found

    return start


@pytest.fixture
def product(start_for_all: Callable[[Path], Product], tmp_path_factory: pytest.TempPathFactory) -> Product:
    return _FOUND[0] if _FOUND else start_for_all(tmp_path_factory.mktemp("up"))


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("no Chromium here")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()
