"""On which engine a scenario runs. Its name says so, by which scenarios of one engine come to share a stage."""

import pytest
from fault_stage import LONG

ENGINES = ("sqlite", "postgresql")


def on(*engines: str) -> pytest.MarkDecorator:
    """The stage of each of these engines, as it was at first."""
    return pytest.mark.parametrize("stage", engines, indirect=True)


def turn_of(engine: str) -> pytest.MarkDecorator:
    """In the short form on this engine, other scenarios on the other; in the long form on both."""
    return on(*ENGINES) if LONG else on(engine)
