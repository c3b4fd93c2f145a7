"""A real simulator process, and a real little web server in the place of the product."""

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
    SimulatorServer,
    WebhookReceiver,
    free_port,
    wait_for,
)

StartSimulator = Callable[..., SimulatorServer]


@pytest.fixture(scope="session")
def start_simulator() -> Iterator[StartSimulator]:
    """Starts simulators with any options; all are stopped at the end."""
    started: list[SimulatorServer] = []

    def start(*options: str) -> SimulatorServer:
        port, smtp_port = free_port(), free_port()
        command = [sys.executable, "-m", "simulator", "--port", str(port), "--smtp-port", str(smtp_port), *options]
        process = subprocess.Popen(command, cwd=Path(__file__).parents[2], stdout=subprocess.PIPE, text=True)
        simulator = SimulatorServer(port, smtp_port, process)
        started.append(simulator)
        wait_for(simulator.is_ready, "the simulator to listen")
        return simulator

    yield start
    for simulator in started:
        simulator.stop()


@pytest.fixture(scope="session")
def session_simulator(start_simulator: StartSimulator) -> SimulatorServer:
    return start_simulator("--latency-ms", "0", "--from-number", "+12025550100", "--from-number", "+12025550101")


@pytest.fixture
def clean_simulator(session_simulator: SimulatorServer) -> SimulatorServer:
    """The shared process with nothing in it, and receipts that come quickly."""
    session_simulator.post("/simulator/reset", {})
    session_simulator.set_faults(receipts={"delay_ms": 20})
    return session_simulator


@pytest.fixture
def webhook_receiver(clean_simulator: SimulatorServer) -> Iterator[WebhookReceiver]:
    """Where inbound texts and receipts go."""
    hook = WebhookReceiver()
    for number in clean_simulator.client().incoming_phone_numbers.list():
        number.update(sms_url=hook.url("/inbound"))
    yield hook
    hook.stop()


@pytest.fixture
def twilio_client(clean_simulator: SimulatorServer) -> Client:
    return clean_simulator.client(LIVE_SID, LIVE_TOKEN)


@pytest.fixture
def twilio_test_client(clean_simulator: SimulatorServer) -> Client:
    return clean_simulator.client(TEST_SID, TEST_TOKEN)
