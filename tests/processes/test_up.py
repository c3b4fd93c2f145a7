"""`portal up` with fake `portal` commands and the real embedded Valkey."""

import os
import signal
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import redis

from portal.core.config import redis_socket
from simulator.settings import SimulatorSettings
from tests.processes.conftest import FreePorts, ProcessSandbox, WaitFor

FAKE_PROGRAMS = str(Path(__file__).with_name("fake_commands.py"))
UP = f"""
import os, sys
from portal.processes.up import Ports, run_up

port, simulator, smtp = map(int, sys.argv[1:4])
env = {{k: v for k, v in os.environ.items() if not k.startswith("PORTAL_") or k in ("PORTAL_INSTANCE", *sys.argv[5:])}}
sys.exit(
    run_up(
        env, Ports(port, simulator, smtp), demo=sys.argv[4] == "demo", simulator=sys.argv[4] == "simulator",
        portal=(sys.executable, "-u", {FAKE_PROGRAMS!r}), grace_seconds=3,
    )
)
"""


StartUp = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def ports(find_free_ports: FreePorts) -> list[int]:
    """The ports of the website, the simulator and its SMTP server."""
    return find_free_ports(3)


@pytest.fixture
def instance(process_sandbox: ProcessSandbox) -> Path:
    return process_sandbox.folder / "instance"


@pytest.fixture
def start_up(process_sandbox: ProcessSandbox, ports: list[int], instance: Path) -> StartUp:
    """Start `portal up`; a later call starts another one on the same data."""

    def start(mode: str = "demo", own_ports: list[int] | None = None, **env: str) -> "subprocess.Popen[str]":
        port_arguments = [str(port) for port in own_ports or ports]
        environment = {"PORTAL_INSTANCE": str(instance), **env}
        return process_sandbox.run_python(UP, *port_arguments, mode, *env, env=environment)

    return start


def banner_is_shown(sandbox: ProcessSandbox, index: int = 0) -> Callable[[], bool]:
    return lambda: "Press Ctrl-C to stop" in sandbox.output(index)


def all_process_ids(sandbox: ProcessSandbox) -> list[int]:
    """All processes of the sandbox, including Valkey, which does not record its id."""
    folder_name = str(sandbox.folder).encode()
    pids = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command, environment = (folder / "cmdline").read_bytes(), (folder / "environ").read_bytes()
        except OSError:
            continue
        if command and folder_name in command + environment:
            pids.append(int(folder.name))
    return [pid for pid in pids if pid != os.getpid()]


def test_demo_starts_everything_and_prints_the_urls(
    start_up: StartUp, process_sandbox: ProcessSandbox, eventually: WaitFor, ports: list[int], instance: Path
) -> None:
    process = start_up()
    eventually(banner_is_shown(process_sandbox), "the banner")
    port, simulator, smtp = ports
    output = process_sandbox.output()
    for line in (
        f"The portal    http://127.0.0.1:{port}\n",
        f"Handsets      http://127.0.0.1:{simulator}/handsets\n",
        f"Mailbox       http://127.0.0.1:{simulator}/mailbox\n",
        "  admin@example.org  correct horse\n",
        "Press Ctrl-C to stop. Your data stays in instance/\n",
    ):
        assert line in output
    names = ["upgrade", "demo", "simulator", "web", "worker-sms", "worker-email", "worker-work", "scheduler"]
    eventually(lambda: all(len(process_sandbox.pids(name)) == 1 for name in names), "each runs once")
    assert (process_sandbox.folder / "simulator.arguments").read_text() == (
        f"--port {simulator} --smtp-port {smtp} --data {instance}/simulator.sqlite "
        f"--inbound-url http://127.0.0.1:{port}/webhooks/twilio/inbound"
    )
    environment = (process_sandbox.folder / "web.env").read_text().splitlines()
    assert f"PORTAL_TWILIO_API_URL=http://127.0.0.1:{simulator}" in environment
    assert f"PORTAL_SMTP_URL=smtp://127.0.0.1:{smtp}" in environment
    assert f"PORTAL_LOCAL_URL=http://127.0.0.1:{port}" in environment
    assert f"PORTAL_INSTANCE={instance}" in environment
    process.send_signal(signal.SIGINT)
    assert process.wait(20) == 0
    assert all_process_ids(process_sandbox) == []


def test_without_demo_there_is_no_simulator(
    start_up: StartUp, process_sandbox: ProcessSandbox, eventually: WaitFor
) -> None:
    start_up("plain")
    eventually(banner_is_shown(process_sandbox), "the banner")
    assert process_sandbox.pids("simulator") == process_sandbox.pids("demo") == []
    assert "Handsets" not in process_sandbox.output()
    assert "  http://127.0.0.1/Setup/once\n" in process_sandbox.output()
    assert "PORTAL_TWILIO_API_URL" not in (process_sandbox.folder / "web.env").read_text()


def test_simulator_without_demo_data_is_set_up_in_the_browser(
    start_up: StartUp, process_sandbox: ProcessSandbox, eventually: WaitFor, ports: list[int]
) -> None:
    start_up("simulator")
    eventually(banner_is_shown(process_sandbox), "the banner")
    assert process_sandbox.pids("demo") == []
    environment = (process_sandbox.folder / "web.env").read_text()
    assert f"PORTAL_TWILIO_API_URL=http://127.0.0.1:{ports[1]}" in environment
    assert "PORTAL_SMTP_URL" not in environment
    told = SimulatorSettings()
    for text in (f"port {ports[2]}", told.live.account_sid, told.live.auth_token, *told.from_numbers, "/Setup/once"):
        assert text in process_sandbox.output()


def test_configured_variables_are_kept(start_up: StartUp, process_sandbox: ProcessSandbox, eventually: WaitFor) -> None:
    start_up(PORTAL_PUBLIC_URL="https://portal.example.org", PORTAL_SMTP_URL="smtp://mail.example.org:25")
    eventually(banner_is_shown(process_sandbox), "the banner")
    environment = (process_sandbox.folder / "web.env").read_text().splitlines()
    assert "PORTAL_PUBLIC_URL=https://portal.example.org" in environment
    assert "PORTAL_SMTP_URL=smtp://mail.example.org:25" in environment
    assert "--inbound-url https://portal.example.org/" in (process_sandbox.folder / "simulator.arguments").read_text()


def test_killed_valkey_restarts_with_its_data(
    start_up: StartUp, process_sandbox: ProcessSandbox, eventually: WaitFor, instance: Path
) -> None:
    start_up("plain")
    eventually(banner_is_shown(process_sandbox), "the banner")
    client = redis.Redis(unix_socket_path=str(redis_socket(instance)))
    before = client.info("server")["process_id"]
    client.set("portal:stored", "yes")
    eventually(lambda: int(client.info("persistence")["aof_buffer_length"]) == 0, "the write to the file")
    os.kill(before, signal.SIGKILL)

    def has_restarted() -> bool:
        try:
            return bool(client.info("server")["process_id"] != before)
        except redis.RedisError:
            return False

    eventually(has_restarted, "another server")
    assert client.get("portal:stored") == b"yes"


def test_start_works_after_sigkill(start_up: StartUp, process_sandbox: ProcessSandbox, eventually: WaitFor) -> None:
    first = start_up()
    eventually(banner_is_shown(process_sandbox), "the banner")
    first.send_signal(signal.SIGKILL)
    first.wait()
    second = start_up()
    eventually(banner_is_shown(process_sandbox, 1), "the second banner")
    second.send_signal(signal.SIGTERM)
    assert second.wait(20) == 0
    eventually(lambda: all_process_ids(process_sandbox) == [], "no process is left")


def test_second_portal_on_the_same_data_is_refused(
    start_up: StartUp, process_sandbox: ProcessSandbox, eventually: WaitFor, find_free_ports: FreePorts, instance: Path
) -> None:
    first = start_up("plain")
    eventually(banner_is_shown(process_sandbox), "the banner")
    second = start_up("plain", own_ports=find_free_ports(3))
    assert second.wait(20) == 1
    assert process_sandbox.output(1) == (
        f"Another portal up (process {first.pid}) is already using {instance}. "
        "Stop it first, or choose another folder with PORTAL_INSTANCE.\n"
    )
    assert first.poll() is None


def test_busy_port_stops_the_start_before_anything_runs(
    start_up: StartUp, process_sandbox: ProcessSandbox, ports: list[int]
) -> None:
    with socket.create_server(("127.0.0.1", ports[1])):
        assert start_up().wait(20) == 1
    output = process_sandbox.output()
    assert output.startswith(f"Port {ports[1]} is in use by another program.")
    assert "portal up --simulator-port " in output
    assert process_sandbox.all_pids() == []


def test_failed_database_upgrade_stops_the_start(start_up: StartUp, process_sandbox: ProcessSandbox) -> None:
    (process_sandbox.folder / "broken-database").touch()
    assert start_up().wait(30) == 1
    lines = process_sandbox.output().splitlines()
    assert "db upgrade  | table accounts is broken" in lines
    assert lines[-1] == (
        "The database could not be upgraded (portal db upgrade ended with code 2): see the output above."
    )
    assert process_sandbox.pids("web") == []
    assert all_process_ids(process_sandbox) == []


def test_invalid_setting_prints_one_sentence(start_up: StartUp, process_sandbox: ProcessSandbox) -> None:
    assert start_up(PORTAL_SMS_TIMEOUT="soon").wait(20) == 1
    assert process_sandbox.output() == "PORTAL_SMS_TIMEOUT must be a number of seconds, not 'soon'.\n"


def test_redis_error_does_not_show_the_password(
    start_up: StartUp, process_sandbox: ProcessSandbox, ports: list[int]
) -> None:
    url = f"redis://rq:s3cret@127.0.0.1:{ports[2]}/0"
    assert start_up("plain", PORTAL_REDIS_URL=url).wait(20) == 1
    assert process_sandbox.output() == (
        "Nothing is listening at PORTAL_REDIS_URL. Start Redis or Valkey, or correct the URL. "
        "Or remove PORTAL_REDIS_URL to use the embedded server.\n"
    )


def test_demo_is_refused_in_production(start_up: StartUp, process_sandbox: ProcessSandbox) -> None:
    assert start_up(PORTAL_ENV="production").wait(20) == 1
    assert "Remove one of them" in process_sandbox.output()
