"""Marks that choose the engines of a scenario. The engine is part of the test id."""

import pytest

from tests.faults.support.timing import LONG_RUN

FAULT_ENGINES = ("sqlite", "postgresql")


def on_engines(*engines: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("environment", engines, indirect=True)


def on_engine_in_short_run(engine: str) -> pytest.MarkDecorator:
    """Run on `engine` in the short form and on both engines in the long form."""
    return on_engines(*FAULT_ENGINES) if LONG_RUN else on_engines(engine)
