"""The mail server: takes everything, keeps the raw mail, and goes wrong when told to."""

import asyncio
from typing import Any

from aiosmtpd.smtp import SMTP, Envelope, Session

from simulator.carrier import now_ms
from simulator.world import World

_LARGEST_MAIL = 32 * 1024 * 1024
_UNAVAILABLE = "421 4.3.2 Service not available, closing transmission channel"
_REFUSALS = {
    "421": _UNAVAILABLE,
    "451_rcpt": "451 4.3.0 Requested action aborted: try again later",
    "550_rcpt": "550 5.1.1 No such mailbox here",
    "550_relay": "550 relay not permitted",
}


async def serve_smtp(world: World, port: int) -> asyncio.Server:
    loop = asyncio.get_running_loop()
    return await loop.create_server(lambda: _protocol(world), "127.0.0.1", port)


def _protocol(world: World) -> asyncio.BaseProtocol:
    fault = world.faults.strike_smtp("connect", None)
    if fault is not None:
        return _TurnedAway(f"{_UNAVAILABLE}\r\n".encode() if fault.kind == "421" else b"")
    server: asyncio.BaseProtocol = SMTP(
        _Handler(world),
        data_size_limit=_LARGEST_MAIL,
        enable_SMTPUTF8=True,
        hostname="simulator",
        ident="Simulator",
        loop=asyncio.get_running_loop(),
    )
    return server


class _TurnedAway(asyncio.Protocol):
    def __init__(self, farewell: bytes) -> None:
        self._farewell = farewell

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 (a server's transport always is; for the checker)
        transport.write(self._farewell)
        transport.close()


class _Handler:
    """The names and arguments of these methods are aiosmtpd's."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def handle_RCPT(
        self, _server: Any, _session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        fault = self._world.faults.strike_smtp("recipient", address)
        if fault is not None:
            return _REFUSALS[fault.kind]
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.extend(options)
        return "250 OK"

    async def handle_DATA(self, server: Any, _session: Session, envelope: Envelope) -> str:
        self._world.store.add_mail(now_ms(), envelope.mail_from or "", list(envelope.rcpt_tos), envelope.content)
        for address in envelope.rcpt_tos:
            fault = self._world.faults.strike_smtp("data", address)
            if fault is not None:
                await asyncio.sleep(fault.seconds if fault.kind in ("slow", "hang_after_data") else 0)
                if fault.kind != "slow":
                    server.transport.abort()
                break
        return "250 OK"
