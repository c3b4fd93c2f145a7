"""A child that is a fork of the supervisor resembles a program that has just been started."""

import json
import signal
from typing import Any

import pytest

from tests.processes.conftest import ProcessSandbox, WaitFor

SUPERVISE = """
import json, os, random, signal, sys, time
from functools import partial
from pathlib import Path
from portal.processes.program import Program
from portal.processes.supervisor import Supervisor

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD, signal.SIGPIPE)
# a test run in the background passes on that it ignores these
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)

def describe(name):
    links = Path("/proc/self/fd").iterdir()
    description = {
        "handlers": [getattr(handler, "__name__", handler) for handler in map(signal.getsignal, SIGNALS)],
        "descriptors": {link.name: os.readlink(link) for link in links if link.is_symlink() and link.exists()},
        "command": Path("/proc/self/cmdline").read_text(),
        "leads_session": os.getsid(0) == os.getpid(),
        "random": random.random(),
    }
    Path("draft", name).write_text(json.dumps(description))
    Path("draft", name).rename(name)
    time.sleep(60)

def end(name):
    if name == "message":
        sys.exit("nothing to do")
    raise ValueError(name)

Path("draft").mkdir()
with Supervisor(os.environ) as supervisor:
    for name in sys.argv[2:]:
        supervisor.start(Program(name, ("portal", "worker", name), run=partial(globals()[sys.argv[1]], name)))
    supervisor.run()
"""


@pytest.fixture
def children(process_sandbox: ProcessSandbox, eventually: WaitFor) -> list[dict[str, Any]]:
    """What two children say of themselves."""
    files = [process_sandbox.folder / name for name in ("sms", "email")]
    process_sandbox.run_python(SUPERVISE, "describe", "sms", "email")
    eventually(lambda: all(file.exists() for file in files), "both have described themselves")
    return [json.loads(file.read_text()) for file in files]


def test_child_has_no_descriptor_of_the_supervisor(children: list[dict[str, Any]]) -> None:
    for child in children:
        assert sorted(child["descriptors"]) == ["0", "1", "2"]
        assert child["descriptors"]["0"] == "/dev/null"
    assert children[0]["descriptors"]["1"] != children[1]["descriptors"]["1"]


def test_child_has_the_signal_handlers_of_a_new_program(children: list[dict[str, Any]]) -> None:
    default = int(signal.SIG_DFL)
    for child in children:
        assert child["handlers"] == ["default_int_handler", default, default, default, int(signal.SIG_IGN)]
        assert child["leads_session"]


def test_ps_shows_the_command_of_each_child(children: list[dict[str, Any]]) -> None:
    commands = [child["command"].rstrip("\0").split("\0") for child in children]
    assert commands == [["portal", "worker", "sms"], ["portal", "worker", "email"]]


def test_children_do_not_draw_the_same_random_numbers(children: list[dict[str, Any]]) -> None:
    assert children[0]["random"] != children[1]["random"]


def test_exit_message_is_printed_and_means_code_1(process_sandbox: ProcessSandbox, eventually: WaitFor) -> None:
    process_sandbox.run_python(SUPERVISE, "end", "message")
    eventually(lambda: "message ended (exit code 1); restarting" in process_sandbox.output(), "the end")
    assert "message     | nothing to do" in process_sandbox.output()


def test_exception_is_reported_and_means_code_1(process_sandbox: ProcessSandbox, eventually: WaitFor) -> None:
    process_sandbox.run_python(SUPERVISE, "end", "broken")
    eventually(lambda: "broken ended (exit code 1); restarting" in process_sandbox.output(), "the end")
    assert "broken      | ValueError: broken" in process_sandbox.output()
