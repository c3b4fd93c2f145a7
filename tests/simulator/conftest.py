"""A real simulator process, and a real little web server in the place of the product."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from simulator_tools import LIVE_SID, LIVE_TOKEN, TEST_SID, TEST_TOKEN, Hook, Simulator, free_port, wait_for
from twilio.rest import Client

StartSimulator = Callable[..., Simulator]


@pytest.fixture(scope="session")
def simulator_starter() -> Iterator[StartSimulator]:
    """Starts simulators with any options; all are stopped at the end."""
    started: list[Simulator] = []

    def start(*options: str) -> Simulator:
        port, smtp_port = free_port(), free_port()
        command = [sys.executable, "-m", "simulator", "--port", str(port), "--smtp-port", str(smtp_port), *options]
        process = subprocess.Popen(command, cwd=Path(__file__).parents[2], stdout=subprocess.PIPE, text=True)
        simulator = Simulator(port, smtp_port, process)
        started.append(simulator)
        wait_for(simulator.is_ready, "the simulator to listen")
        return simulator

    yield start
    for simulator in started:
        simulator.stop()


@pytest.fixture(scope="session")
def simulator_of_the_session(simulator_starter: StartSimulator) -> Simulator:
    return simulator_starter("--latency-ms", "0", "--from-number", "+12025550100", "--from-number", "+12025550101")


@pytest.fixture
def simulator_fresh(simulator_of_the_session: Simulator) -> Simulator:
    """The shared process with nothing in it, and receipts that come quickly."""
    simulator_of_the_session.post("/simulator/reset", {})
    simulator_of_the_session.faults(receipts={"delay_ms": 20})
    return simulator_of_the_session


@pytest.fixture
def simulator_hook(simulator_fresh: Simulator) -> Iterator[Hook]:
    """Where inbound texts and receipts go."""
    hook = Hook()
    for number in simulator_fresh.client().incoming_phone_numbers.list():
        number.update(sms_url=hook.url("/inbound"))
    yield hook
    hook.stop()


@pytest.fixture
def simulator_client(simulator_fresh: Simulator) -> Client:
    return simulator_fresh.client(LIVE_SID, LIVE_TOKEN)


@pytest.fixture
def simulator_test_client(simulator_fresh: Simulator) -> Client:
    return simulator_fresh.client(TEST_SID, TEST_TOKEN)
