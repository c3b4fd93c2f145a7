"""`portal up` with stand-ins for the product's own commands, and the real embedded Valkey."""

import os
import signal
import socket
from pathlib import Path

import pytest
import redis

STAND_IN = str(Path(__file__).with_name("stand_in.py"))
UP = f"""
import os, sys
from portal.processes.up import run_up

port, simulator, smtp = map(int, sys.argv[1:4])
env = {{k: v for k, v in os.environ.items() if not k.startswith("PORTAL_") or k in ("PORTAL_INSTANCE", *sys.argv[5:])}}
sys.exit(
    run_up(
        env, port=port, demo=sys.argv[4] == "demo", simulator_port=simulator, smtp_port=smtp,
        portal=(sys.executable, "-u", {STAND_IN!r}), grace_seconds=3,
    )
)
"""


@pytest.fixture
def processes_up(processes_scene, processes_free_ports):
    """Start `portal up`; a later call starts another on the same data."""
    processes_scene.ports = processes_free_ports(3)
    processes_scene.instance = processes_scene.folder / "instance"

    def start(mode="demo", ports=None, **env):
        words = [str(port) for port in ports or processes_scene.ports]
        environment = {"PORTAL_INSTANCE": str(processes_scene.instance), **env}
        return processes_scene.run_python(UP, *words, mode, *env, env=environment)

    return start


def banner_is_shown(scene, index=0):
    return lambda: "Press Ctrl-C to stop" in scene.output(index)


def everybody(scene):
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


def test_the_demo_starts_everything_and_says_where(processes_up, processes_scene, processes_eventually):
    scene = processes_scene
    process = processes_up()
    processes_eventually(banner_is_shown(scene), "the banner")
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
    processes_eventually(lambda: all(len(scene.pids(name)) == 1 for name in names), "each runs once")
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
    assert everybody(scene) == []


def test_without_demo_there_is_no_simulator_and_nothing_invented(processes_up, processes_scene, processes_eventually):
    scene = processes_scene
    processes_up("plain")
    processes_eventually(banner_is_shown(scene), "the banner")
    assert scene.pids("simulator") == scene.pids("demo") == []
    assert "Handsets" not in scene.output()
    assert "PORTAL_TWILIO_API_URL" not in (scene.folder / "web.env").read_text()


def test_what_the_operator_set_is_kept(processes_up, processes_scene, processes_eventually):
    processes_up(PORTAL_PUBLIC_URL="https://portal.example.org", PORTAL_SMTP_URL="smtp://mail.example.org:25")
    processes_eventually(banner_is_shown(processes_scene), "the banner")
    environment = (processes_scene.folder / "web.env").read_text().splitlines()
    assert "PORTAL_PUBLIC_URL=https://portal.example.org" in environment
    assert "PORTAL_SMTP_URL=smtp://mail.example.org:25" in environment
    assert "--inbound-url https://portal.example.org/" in (processes_scene.folder / "simulator.words").read_text()


def test_the_data_server_comes_back_with_its_data(processes_up, processes_scene, processes_eventually):
    scene = processes_scene
    processes_up("plain")
    processes_eventually(banner_is_shown(scene), "the banner")
    client = redis.Redis(unix_socket_path=str(scene.instance / "valkey" / "valkey.sock"))
    before = client.info("server")["process_id"]
    client.set("kept", "yes")
    client.execute_command("WAITAOF", 1, 0, 5000)
    os.kill(before, signal.SIGKILL)

    def is_back():
        try:
            return client.info("server")["process_id"] != before
        except redis.RedisError:
            return False

    processes_eventually(is_back, "another server")
    assert client.get("kept") == b"yes"


def test_kill_9_leaves_nobody_and_the_next_start_works(processes_up, processes_scene, processes_eventually):
    scene = processes_scene
    first = processes_up()
    processes_eventually(banner_is_shown(scene), "the banner")
    first.send_signal(signal.SIGKILL)
    first.wait()
    second = processes_up()
    processes_eventually(banner_is_shown(scene, 1), "the second banner")
    second.send_signal(signal.SIGTERM)
    assert second.wait(20) == 0
    processes_eventually(lambda: everybody(scene) == [], "nobody is left")


def test_a_second_one_on_the_same_data_is_refused(
    processes_up, processes_scene, processes_eventually, processes_free_ports
):
    scene = processes_scene
    first = processes_up("plain")
    processes_eventually(banner_is_shown(scene), "the banner")
    second = processes_up("plain", ports=processes_free_ports(3))
    assert second.wait(20) == 1
    assert scene.output(1) == (
        f"Another portal up (process {first.pid}) is already using {scene.instance}. "
        "Stop it first, or choose another folder with PORTAL_INSTANCE.\n"
    )
    assert first.poll() is None


def test_a_busy_port_stops_the_start_before_anything_runs(processes_up, processes_scene):
    with socket.create_server(("127.0.0.1", processes_scene.ports[1])):
        assert processes_up().wait(20) == 1
    output = processes_scene.output()
    assert output.startswith(f"Port {processes_scene.ports[1]} is in use by another program.")
    assert "portal up --simulator-port " in output
    assert processes_scene.all_pids() == []


def test_a_database_that_cannot_be_upgraded_stops_the_start(processes_up, processes_scene):
    (processes_scene.folder / "broken-database").touch()
    assert processes_up().wait(30) == 1
    said = processes_scene.output().splitlines()
    assert "db upgrade  | table accounts is upside down" in said
    assert said[-1] == (
        "The database could not be brought up to date (portal db upgrade ended with code 2): the lines above say why."
    )
    assert processes_scene.pids("web") == []
    assert everybody(processes_scene) == []


def test_a_wrong_setting_is_one_sentence(processes_up, processes_scene):
    assert processes_up(PORTAL_SMS_TIMEOUT="soon").wait(20) == 1
    assert processes_scene.output() == "PORTAL_SMS_TIMEOUT must be a number of seconds, not 'soon'.\n"


def test_a_redis_that_does_not_answer_is_one_sentence_without_the_password(processes_up, processes_scene):
    url = f"redis://rq:s3cret@127.0.0.1:{processes_scene.ports[2]}/0"
    assert processes_up("plain", PORTAL_REDIS_URL=url).wait(20) == 1
    assert processes_scene.output() == (
        "Nobody listens where PORTAL_REDIS_URL points. Start Redis or Valkey, or correct the address. "
        "Or leave PORTAL_REDIS_URL out to use the embedded server.\n"
    )


def test_invented_people_never_meet_production(processes_up, processes_scene):
    assert processes_up(PORTAL_ENV="production").wait(20) == 1
    assert "leave one of them out" in processes_scene.output()
