"""The mail server: takes everything, keeps the raw mail, and goes wrong when told to."""

import asyncio
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session

from simulator.carrier import now_ms
from simulator.certificate import tls_context
from simulator.faults import SMTP_EXTENSIONS
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
    offered = frozenset(world.faults.smtp_extensions)
    server: asyncio.BaseProtocol = SMTP(
        _Handler(world, offered),
        data_size_limit=_LARGEST_MAIL,
        enable_SMTPUTF8="SMTPUTF8" in offered,
        tls_context=tls_context() if "STARTTLS" in offered else None,
        authenticator=_anybody if "AUTH" in offered else None,
        auth_require_tls=False,
        hostname="simulator",
        ident="Simulator",
        loop=asyncio.get_running_loop(),
    )
    return server


def _anybody(*_: Any) -> AuthResult:
    return AuthResult(success=True)


class _TurnedAway(asyncio.Protocol):
    def __init__(self, farewell: bytes) -> None:
        self._farewell = farewell

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 (a server's transport always is; for the checker)
        transport.write(self._farewell)
        transport.close()


class _Handler:
    """Of one connection. The names and arguments of these methods are aiosmtpd's."""

    def __init__(self, world: World, offered: frozenset[str]) -> None:
        self._world = world
        self._offered = offered
        self._mails = 0

    async def handle_EHLO(
        self, _server: Any, session: Session, _envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        session.host_name = hostname
        words = {"SIZE": f"SIZE {_LARGEST_MAIL}", "AUTH": "AUTH LOGIN PLAIN"}
        offered = [each for each in SMTP_EXTENSIONS if each in self._offered]
        if session.ssl is not None:
            offered = [each for each in offered if each != "STARTTLS"]
        return [responses[0], *(f"250-{words.get(each, each)}" for each in offered), "250 HELP"]

    async def handle_MAIL(
        self, server: Any, _session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if self._world.faults.strike_smtp("sender", None, self._mails):
            self._hang_up(server)
            return _UNAVAILABLE
        if "BODY=8BITMIME" in options and "8BITMIME" not in self._offered:
            return "555 5.5.4 BODY is not offered"
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 OK"

    async def handle_RCPT(
        self, _server: Any, _session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        fault = self._world.faults.strike_smtp("recipient", address)
        if fault is not None:
            return fault.words or _REFUSALS[fault.kind]
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.extend(options)
        return "250 OK"

    async def handle_DATA(self, server: Any, _session: Session, envelope: Envelope) -> str:
        refusal = self._refusal(envelope)
        if refusal:
            return refusal
        self._world.store.add_mail(now_ms(), envelope.mail_from or "", list(envelope.rcpt_tos), envelope.content)
        self._mails += 1
        for address in envelope.rcpt_tos:
            fault = self._world.faults.strike_smtp("data", address)
            if fault is not None:
                await asyncio.sleep(fault.seconds if fault.kind in ("slow", "hang_after_data") else 0)
                if fault.kind != "slow":
                    server.transport.abort()
                break
        if self._world.faults.strike_smtp("taken", None, self._mails):
            self._hang_up(server)
        return "250 OK"

    def _refusal(self, envelope: Envelope) -> str | None:
        faults = [self._world.faults.strike_smtp("content", address) for address in envelope.rcpt_tos]
        words = next((fault.words for fault in faults if fault is not None), None)
        if "8BITMIME" not in self._offered and max(bytes(envelope.content or b"\0")) > 127:
            return "554 5.6.1 8BITMIME is not offered, and the mail needs it"
        return words

    @staticmethod
    def _hang_up(server: Any) -> None:
        """When what is answered now has left."""
        asyncio.get_running_loop().call_soon(server.transport.close)
