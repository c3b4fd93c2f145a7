import os
import signal
import socket

import pytest

from portal.processes import StartupError
from portal.processes.preflight import Port, check_instance, check_machine, check_ports, lock_instance

HOLD_LOCK = """
import sys, time
from pathlib import Path
from portal.processes.preflight import hold_instance
hold_instance(Path(sys.argv[1]), print)
print("paused", flush=True)
time.sleep(600)
"""
HOLD_LOCK_WITH_CHILD = HOLD_LOCK.replace(
    'print("paused"',
    """import os
if os.fork() == 0:
    signal_file = Path(sys.argv[1], "let-go")
    while not signal_file.exists():
        time.sleep(0.02)
    os._exit(0)
print("held\"""",
)


def test_a_busy_port_is_named_with_the_option_that_chooses_another():
    with socket.create_server(("127.0.0.1", 0)) as busy:
        number = busy.getsockname()[1]
        with pytest.raises(StartupError) as refused:
            check_ports(Port(number, "--port"))
    another = number // 10 * 10 + 10
    sentence = f"Port {number} is in use by another program. Choose another: portal up --port {another}"
    assert str(refused.value) == sentence or number > 64_990


def test_a_port_taken_on_all_addresses_is_busy_too():
    with (
        socket.create_server(("0.0.0.0", 0)) as busy,
        pytest.raises(StartupError, match="is in use by another program"),
    ):
        check_ports(Port(busy.getsockname()[1], "--smtp-port"))


def test_a_port_somebody_just_left_is_free(find_free_ports):
    (number,) = find_free_ports(1)
    with socket.create_server(("127.0.0.1", number)) as server:
        client = socket.create_connection(("127.0.0.1", number))
        served, _ = server.accept()
        served.close()  # the side that closes first waits in TIME_WAIT
        client.close()
    check_ports(Port(number, "--port"))


def test_the_same_port_twice_is_refused(find_free_ports):
    (number,) = find_free_ports(1)
    with pytest.raises(StartupError, match="asked for twice"):
        check_ports(Port(number, "--port"), Port(number, "--smtp-port"))


@pytest.mark.parametrize("number", [0, -1, 65_536])
def test_a_port_that_does_not_exist_is_refused(number):
    with pytest.raises(StartupError, match=f"There is no port {number}"):
        check_ports(Port(number, "--port"))


def test_a_data_folder_that_cannot_be_written_is_named_with_the_way_out(tmp_path):
    (tmp_path / "file").touch()
    for instance in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(
            StartupError, match=r"cannot be written \(.+\)\. .* choose another folder with PORTAL_INSTANCE"
        ):
            check_instance(instance)


def test_a_new_data_folder_is_private(tmp_path):
    check_instance(tmp_path / "new" / "instance")
    assert (tmp_path / "new" / "instance").stat().st_mode & 0o777 == 0o700
    assert list((tmp_path / "new" / "instance").iterdir()) == []


def test_windows_and_an_old_python_are_refused_with_the_way_out():
    with pytest.raises(StartupError, match="WSL"):
        check_machine("win32", (3, 12))
    with pytest.raises(StartupError, match=r"Python 3\.11 or newer"):
        check_machine("linux", (3, 10))


def test_a_second_run_on_the_same_data_is_refused(process_sandbox, eventually, tmp_path):
    holder = process_sandbox.run_python(HOLD_LOCK, str(tmp_path))
    eventually(lambda: "paused" in process_sandbox.output(), "the first run holds the folder")
    with pytest.raises(StartupError, match=rf"Another portal up \(process {holder.pid}\) is already using {tmp_path}"):
        lock_instance(tmp_path, print)


def test_the_lock_of_a_killed_run_is_no_obstacle(process_sandbox, eventually, tmp_path):
    holder = process_sandbox.run_python(HOLD_LOCK, str(tmp_path))
    eventually(lambda: "paused" in process_sandbox.output(), "the first run holds the folder")
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    said: list[str] = []
    os.close(lock_instance(tmp_path, said.append))
    assert said == []


def test_what_a_killed_run_left_behind_is_waited_for(process_sandbox, eventually, tmp_path):
    holder = process_sandbox.run_python(HOLD_LOCK_WITH_CHILD, str(tmp_path))
    eventually(lambda: "paused" in process_sandbox.output(), "the first run holds the folder")
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    said: list[str] = []

    def report_and_release(line: str) -> None:
        said.append(line)
        (tmp_path / "let-go").touch()

    os.close(lock_instance(tmp_path, report_and_release))
    assert said == ["Waiting for what the last run left behind to end ..."]
