"""On which engine a scenario runs. Its name says so, by which scenarios of one engine come to share a stage."""

import pytest

from tests.faults.support.fault_environment import LONG_RUN

FAULT_ENGINES = ("sqlite", "postgresql")


def on_engines(*engines: str) -> pytest.MarkDecorator:
    """The stage of each of these engines, as it was at first."""
    return pytest.mark.parametrize("environment", engines, indirect=True)


def on_engine_in_short_run(engine: str) -> pytest.MarkDecorator:
    """In the short form on this engine, other scenarios on the other; in the long form on both."""
    return on_engines(*FAULT_ENGINES) if LONG_RUN else on_engines(engine)
