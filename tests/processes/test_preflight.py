"""Checks before the start, and the lock on the data folder."""

import os
import signal
import socket
from pathlib import Path

import pytest

from portal.processes import StartupError
from portal.processes.preflight import Port, check_instance, check_machine, check_ports, lock_instance
from tests.processes.conftest import FreePorts, ProcessSandbox, WaitFor

HOLD_LOCK = """
import sys, time
from pathlib import Path
from portal.processes.preflight import lock_instance
lock_instance(Path(sys.argv[1]), print)
print("locked", flush=True)
time.sleep(600)
"""
HOLD_LOCK_WITH_CHILD = HOLD_LOCK.replace(
    'print("locked"',
    """import os
if os.fork() == 0:
    signal_file = Path(sys.argv[1], "let-go")
    while not signal_file.exists():
        time.sleep(0.02)
    os._exit(0)
print("locked\"""",
)


def test_busy_port_is_named_with_its_option() -> None:
    with socket.create_server(("127.0.0.1", 0)) as busy:
        number = busy.getsockname()[1]
        with pytest.raises(StartupError) as error:
            check_ports(Port(number, "--port"))
    suggestion = number // 10 * 10 + 10
    message = f"Port {number} is in use by another program. Choose another: portal up --port {suggestion}"
    assert str(error.value) == message or number > 64_990


def test_port_in_use_on_all_addresses_is_busy() -> None:
    with (
        socket.create_server(("0.0.0.0", 0)) as busy,
        pytest.raises(StartupError, match="is in use by another program"),
    ):
        check_ports(Port(busy.getsockname()[1], "--smtp-port"))


def test_port_in_time_wait_is_free(find_free_ports: FreePorts) -> None:
    (number,) = find_free_ports(1)
    with socket.create_server(("127.0.0.1", number)) as server:
        client = socket.create_connection(("127.0.0.1", number))
        served, _ = server.accept()
        served.close()  # the side that closes first waits in TIME_WAIT
        client.close()
    check_ports(Port(number, "--port"))


def test_same_port_twice_is_refused(find_free_ports: FreePorts) -> None:
    (number,) = find_free_ports(1)
    with pytest.raises(StartupError, match="is used twice"):
        check_ports(Port(number, "--port"), Port(number, "--smtp-port"))


@pytest.mark.parametrize("number", [0, -1, 65_536])
def test_invalid_port_is_refused(number: int) -> None:
    with pytest.raises(StartupError, match=f"{number} is not a valid port"):
        check_ports(Port(number, "--port"))


def test_read_only_data_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for instance in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(
            StartupError, match=r"is not writable \(.+\)\. .* choose another folder with PORTAL_INSTANCE"
        ):
            check_instance(instance)


def test_new_data_folder_is_private(tmp_path: Path) -> None:
    check_instance(tmp_path / "new" / "instance")
    assert (tmp_path / "new" / "instance").stat().st_mode & 0o777 == 0o700
    assert list((tmp_path / "new" / "instance").iterdir()) == []


def test_windows_and_old_python_are_refused() -> None:
    with pytest.raises(StartupError, match="WSL"):
        check_machine("win32", (3, 12))
    with pytest.raises(StartupError, match=r"Python 3\.11 or newer"):
        check_machine("linux", (3, 10))


def test_second_run_on_the_same_data_is_refused(
    process_sandbox: ProcessSandbox, eventually: WaitFor, tmp_path: Path
) -> None:
    holder = process_sandbox.run_python(HOLD_LOCK, str(tmp_path))
    eventually(lambda: "locked" in process_sandbox.output(), "the first run holds the folder")
    with pytest.raises(StartupError, match=rf"Another portal up \(process {holder.pid}\) is already using {tmp_path}"):
        lock_instance(tmp_path, print)


def test_lock_of_a_killed_run_is_released(process_sandbox: ProcessSandbox, eventually: WaitFor, tmp_path: Path) -> None:
    holder = process_sandbox.run_python(HOLD_LOCK, str(tmp_path))
    eventually(lambda: "locked" in process_sandbox.output(), "the first run holds the folder")
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    reported: list[str] = []
    os.close(lock_instance(tmp_path, reported.append))
    assert reported == []


def test_start_waits_for_the_children_of_a_killed_run(
    process_sandbox: ProcessSandbox, eventually: WaitFor, tmp_path: Path
) -> None:
    holder = process_sandbox.run_python(HOLD_LOCK_WITH_CHILD, str(tmp_path))
    eventually(lambda: "locked" in process_sandbox.output(), "the first run holds the folder")
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    reported: list[str] = []

    def report_and_release(line: str) -> None:
        reported.append(line)
        (tmp_path / "let-go").touch()

    os.close(lock_instance(tmp_path, report_and_release))
    assert reported == ["Waiting for the processes of the previous run to end ..."]
