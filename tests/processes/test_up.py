"""`portal up` with stand-ins for the product's own commands, and the real embedded Valkey."""

import os
import signal
import socket
from pathlib import Path

import pytest
import redis

FAKE_PROGRAMS = str(Path(__file__).with_name("fake_commands.py"))
UP = f"""
import os, sys
from portal.processes.up import run_up

port, simulator, smtp = map(int, sys.argv[1:4])
env = {{k: v for k, v in os.environ.items() if not k.startswith("PORTAL_") or k in ("PORTAL_INSTANCE", *sys.argv[5:])}}
sys.exit(
    run_up(
        env, port=port, demo=sys.argv[4] == "demo", simulator_port=simulator, smtp_port=smtp,
        portal=(sys.executable, "-u", {FAKE_PROGRAMS!r}), grace_seconds=3,
    )
)
"""


@pytest.fixture
def start_up(process_sandbox, find_free_ports):
    """Start `portal up`; a later call starts another on the same data."""
    process_sandbox.ports = find_free_ports(3)
    process_sandbox.instance = process_sandbox.folder / "instance"

    def start(mode="demo", ports=None, **env):
        words = [str(port) for port in ports or process_sandbox.ports]
        environment = {"PORTAL_INSTANCE": str(process_sandbox.instance), **env}
        return process_sandbox.run_python(UP, *words, mode, *env, env=environment)

    return start


def banner_is_shown(scene, index=0):
    return lambda: "Press Ctrl-C to stop" in scene.output(index)


def all_process_ids(scene):
    """Our children and the data server, which does not write itself down."""
    marks = (str(scene.folder).encode(),)
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command, environment = (folder / "cmdline").read_bytes(), (folder / "environ").read_bytes()
        except OSError:
            continue
        if command and any(mark in command + environment for mark in marks):
            found.append(int(folder.name))
    return [pid for pid in found if pid != os.getpid()]


def test_the_demo_starts_everything_and_says_where(start_up, process_sandbox, eventually):
    scene = process_sandbox
    process = start_up()
    eventually(banner_is_shown(scene), "the banner")
    port, simulator, smtp = scene.ports
    output = scene.output()
    for words in (
        f"The portal    http://127.0.0.1:{port}\n",
        f"Handsets      http://127.0.0.1:{simulator}/handsets\n",
        f"Mailbox       http://127.0.0.1:{simulator}/mailbox\n",
        "  admin@example.org  correct horse\n",
        "Press Ctrl-C to stop; your data stays in instance/\n",
    ):
        assert words in output
    names = ["upgrade", "demo", "simulator", "web", "worker-sms", "worker-email", "worker-work", "scheduler"]
    eventually(lambda: all(len(scene.pids(name)) == 1 for name in names), "each runs once")
    assert (scene.folder / "simulator.words").read_text() == (
        f"--port {simulator} --smtp-port {smtp} --data {scene.instance}/simulator.sqlite "
        f"--inbound-url http://127.0.0.1:{port}/webhooks/twilio/inbound"
    )
    environment = (scene.folder / "web.env").read_text().splitlines()
    assert f"PORTAL_TWILIO_API_URL=http://127.0.0.1:{simulator}" in environment
    assert f"PORTAL_SMTP_URL=smtp://127.0.0.1:{smtp}" in environment
    assert f"PORTAL_PUBLIC_URL=http://127.0.0.1:{port}" in environment
    assert f"PORTAL_INSTANCE={scene.instance}" in environment
    process.send_signal(signal.SIGINT)
    assert process.wait(20) == 0
    assert all_process_ids(scene) == []


def test_without_demo_there_is_no_simulator_and_nothing_invented(start_up, process_sandbox, eventually):
    scene = process_sandbox
    start_up("print_line_raw")
    eventually(banner_is_shown(scene), "the banner")
    assert scene.pids("simulator") == scene.pids("demo") == []
    assert "Handsets" not in scene.output()
    assert "PORTAL_TWILIO_API_URL" not in (scene.folder / "web.env").read_text()


def test_what_the_operator_set_is_kept(start_up, process_sandbox, eventually):
    start_up(PORTAL_PUBLIC_URL="https://portal.example.org", PORTAL_SMTP_URL="smtp://mail.example.org:25")
    eventually(banner_is_shown(process_sandbox), "the banner")
    environment = (process_sandbox.folder / "web.env").read_text().splitlines()
    assert "PORTAL_PUBLIC_URL=https://portal.example.org" in environment
    assert "PORTAL_SMTP_URL=smtp://mail.example.org:25" in environment
    assert "--inbound-url https://portal.example.org/" in (process_sandbox.folder / "simulator.words").read_text()


def test_the_data_server_comes_back_with_its_data(start_up, process_sandbox, eventually):
    scene = process_sandbox
    start_up("print_line_raw")
    eventually(banner_is_shown(scene), "the banner")
    client = redis.Redis(unix_socket_path=str(scene.instance / "valkey" / "valkey.sock"))
    before = client.info("server")["process_id"]
    client.set("kept", "yes")
    client.execute_command("WAITAOF", 1, 0, 5000)
    os.kill(before, signal.SIGKILL)

    def has_restarted():
        try:
            return client.info("server")["process_id"] != before
        except redis.RedisError:
            return False

    eventually(has_restarted, "another server")
    assert client.get("kept") == b"yes"


def test_kill_9_leaves_nobody_and_the_next_start_works(start_up, process_sandbox, eventually):
    scene = process_sandbox
    first = start_up()
    eventually(banner_is_shown(scene), "the banner")
    first.send_signal(signal.SIGKILL)
    first.wait()
    second = start_up()
    eventually(banner_is_shown(scene, 1), "the second banner")
    second.send_signal(signal.SIGTERM)
    assert second.wait(20) == 0
    eventually(lambda: all_process_ids(scene) == [], "nobody is left")


def test_a_second_one_on_the_same_data_is_refused(start_up, process_sandbox, eventually, find_free_ports):
    scene = process_sandbox
    first = start_up("print_line_raw")
    eventually(banner_is_shown(scene), "the banner")
    second = start_up("print_line_raw", ports=find_free_ports(3))
    assert second.wait(20) == 1
    assert scene.output(1) == (
        f"Another portal up (process {first.pid}) is already using {scene.instance}. "
        "Stop it first, or choose another folder with PORTAL_INSTANCE.\n"
    )
    assert first.poll() is None


def test_a_busy_port_stops_the_start_before_anything_runs(start_up, process_sandbox):
    with socket.create_server(("127.0.0.1", process_sandbox.ports[1])):
        assert start_up().wait(20) == 1
    output = process_sandbox.output()
    assert output.startswith(f"Port {process_sandbox.ports[1]} is in use by another program.")
    assert "portal up --simulator-port " in output
    assert process_sandbox.all_pids() == []


def test_a_database_that_cannot_be_upgraded_stops_the_start(start_up, process_sandbox):
    (process_sandbox.folder / "broken-database").touch()
    assert start_up().wait(30) == 1
    said = process_sandbox.output().splitlines()
    assert "db upgrade  | table accounts is upside down" in said
    assert said[-1] == (
        "The database could not be brought up to date (portal db upgrade ended with code 2): the lines above say why."
    )
    assert process_sandbox.pids("web") == []
    assert all_process_ids(process_sandbox) == []


def test_a_wrong_setting_is_one_sentence(start_up, process_sandbox):
    assert start_up(PORTAL_SMS_TIMEOUT="soon").wait(20) == 1
    assert process_sandbox.output() == "PORTAL_SMS_TIMEOUT must be a number of seconds, not 'soon'.\n"


def test_a_redis_that_does_not_answer_is_one_sentence_without_the_password(start_up, process_sandbox):
    url = f"redis://rq:s3cret@127.0.0.1:{process_sandbox.ports[2]}/0"
    assert start_up("print_line_raw", PORTAL_REDIS_URL=url).wait(20) == 1
    assert process_sandbox.output() == (
        "Nobody listens where PORTAL_REDIS_URL points. Start Redis or Valkey, or correct the address. "
        "Or leave PORTAL_REDIS_URL out to use the embedded server.\n"
    )


def test_invented_people_never_meet_production(start_up, process_sandbox):
    assert start_up(PORTAL_ENV="production").wait(20) == 1
    assert "leave one of them out" in process_sandbox.output()
