"""Resolves a name once, so that the address that was checked is the one that is used."""

import socket
from collections.abc import Callable

from portal.core.rules.transport.outbound_addresses import is_forbidden


class ForbiddenAddress(OSError):
    """The name leads to an address that the portal does not call."""


def resolve(host: str, port: int, is_permitted: Callable[[str], bool]) -> str:
    """The first address. Raises `OSError`; also if a single one is not permitted: a name with both is suspicious."""
    addresses = [str(entry[4][0]) for entry in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
    if not all(map(is_permitted, addresses)):
        raise ForbiddenAddress(host)
    return addresses[0]


def check_connected(connection: socket.socket | None) -> None:
    """Raises `ForbiddenAddress` if the connection leads where the portal has no business."""
    peer = connection.getpeername() if connection else ""
    if connection and isinstance(peer, tuple) and is_forbidden(str(peer[0])):
        connection.close()
        raise ForbiddenAddress(str(peer[0]))
