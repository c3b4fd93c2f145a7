"""Random runs of a state machine: a few in the test suite, and for minutes with `make soak`."""

import os
import sys
import time
from typing import Any

import hypothesis
from hypothesis.stateful import RuleBasedStateMachine, invariant, run_state_machine_as_test

_RUNS_PER_ROUND = 25


class CountedStateMachine(RuleBasedStateMachine):
    """`runs` and `steps` are counted over all machines of a class."""

    runs = 0
    steps = 0

    def __init__(self) -> None:
        super().__init__()
        type(self).runs += 1

    @invariant()
    def count_step(self) -> None:
        type(self).steps += 1


def run_lifecycles(machine: type[CountedStateMachine], runs: int, steps: int, label: str, time_share: float) -> None:
    """Run the machine `runs` times; a soak repeats rounds, each with its own seed, for `time_share` of the minutes."""
    minutes = float(os.environ.get("SOAK_MINUTES", 0)) * time_share
    if minutes:
        _soak(machine, minutes, steps, label)
    else:
        run_state_machine_as_test(machine, settings=_settings(max_examples=runs, stateful_step_count=steps))


def _soak(machine: type[CountedStateMachine], minutes: float, steps: int, label: str) -> None:
    started = time.monotonic()
    seed = first = int(os.environ.get("SOAK_SEED", 0))
    machine.runs = machine.steps = 0
    settings = _settings(derandomize=False, database=None, max_examples=_RUNS_PER_ROUND, stateful_step_count=steps)
    while time.monotonic() - started < minutes * 60:
        _print_unbuffered(f"{machine.__name__} {label}: seed {seed}")
        run_state_machine_as_test(hypothesis.seed(seed)(machine), settings=settings)
        seed += 1
    summary = f"{machine.runs:,} runs, {machine.steps:,} steps in {minutes:g} minutes, seeds {first} to {seed - 1}"
    _print_unbuffered(f"{machine.__name__} {label}: {summary}; no failures")


def _print_unbuffered(line: str) -> None:
    """Print at once, past pytest's capture."""
    print(line, file=sys.__stderr__, flush=True)


def _settings(**changes: Any) -> hypothesis.settings:
    """Without shrinking: each attempt is a whole run and takes half a second."""
    phases = [phase for phase in hypothesis.Phase if phase not in (hypothesis.Phase.explain, hypothesis.Phase.shrink)]
    return hypothesis.settings(phases=phases, suppress_health_check=list(hypothesis.HealthCheck), **changes)
