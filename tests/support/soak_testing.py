"""Random lives of a state machine: a few of them in the suite, and for minutes on end with `make soak`."""

import os
import sys
import time
from typing import Any

import hypothesis
from hypothesis.stateful import RuleBasedStateMachine, invariant, run_state_machine_as_test

_RUNS_PER_ROUND = 25


class CountedStateMachine(RuleBasedStateMachine):
    """`lives` and `steps` are counted over all machines of a class."""

    lives = 0
    steps = 0

    def __init__(self) -> None:
        super().__init__()
        type(self).runs += 1

    @invariant()
    def count_step(self) -> None:
        type(self).steps += 1


def run_lifecycles(machine: type[CountedStateMachine], runs: int, steps: int, label: str, time_share: float) -> None:
    """So many lives of so many steps; in a soak rounds of them for its share of the time, each with its own seed."""
    minutes = float(os.environ.get("SOAK_MINUTES", 0)) * time_share
    if minutes:
        _soak(machine, minutes, steps, label)
    else:
        run_state_machine_as_test(machine, settings=_settings(max_examples=runs, stateful_step_count=steps))


def _soak(machine: type[CountedStateMachine], minutes: float, steps: int, where: str) -> None:
    begun = time.monotonic()
    seed = first = int(os.environ.get("SOAK_SEED", 0))
    machine.runs = machine.steps = 0
    unlike = _settings(derandomize=False, database=None, max_examples=_RUNS_PER_ROUND, stateful_step_count=steps)
    while time.monotonic() - begun < minutes * 60:
        _print_unbuffered(f"{machine.__name__} {where}: seed {seed}")
        run_state_machine_as_test(hypothesis.seed(seed)(machine), settings=unlike)
        seed += 1
    counted = f"{machine.runs:,} runs, {machine.steps:,} steps in {minutes:g} minutes, seeds {first} to {seed - 1}"
    _print_unbuffered(f"{machine.__name__} {where}: {counted}; nothing found")


def _print_unbuffered(words: str) -> None:
    """At once, past pytest, which keeps what it catches for the end."""
    print(words, file=sys.__stderr__, flush=True)


def _settings(**changes: Any) -> hypothesis.settings:
    """Without a search for why it failed: each try is a life, and takes half a second."""
    phases = [phase for phase in hypothesis.Phase if phase not in (hypothesis.Phase.explain, hypothesis.Phase.shrink)]
    return hypothesis.settings(phases=phases, suppress_health_check=list(hypothesis.HealthCheck), **changes)
