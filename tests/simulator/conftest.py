"""A real simulator process, and a real web server in place of the application."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from twilio.rest import Client

from tests.simulator.simulator_server import (
    LIVE_SID,
    LIVE_TOKEN,
    TEST_SID,
    TEST_TOKEN,
    Simulator,
    WebhookServer,
    free_port,
    wait_for,
)

StartSimulator = Callable[..., Simulator]


@pytest.fixture(scope="session")
def simulator_starter() -> Iterator[StartSimulator]:
    """Start simulators with any options. All of them stop at the end of the session."""
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
    """The shared process after a reset, with fast receipts."""
    simulator_of_the_session.post("/simulator/reset", {})
    simulator_of_the_session.faults(receipts={"delay_ms": 20})
    return simulator_of_the_session


@pytest.fixture
def simulator_webhooks(simulator_fresh: Simulator) -> Iterator[WebhookServer]:
    """The web server that receives inbound texts and receipts."""
    webhooks = WebhookServer()
    for number in simulator_fresh.client().incoming_phone_numbers.list():
        number.update(sms_url=webhooks.url("/inbound"))
    yield webhooks
    webhooks.stop()


@pytest.fixture
def simulator_client(simulator_fresh: Simulator) -> Client:
    return simulator_fresh.client(LIVE_SID, LIVE_TOKEN)


@pytest.fixture
def simulator_test_client(simulator_fresh: Simulator) -> Client:
    return simulator_fresh.client(TEST_SID, TEST_TOKEN)
