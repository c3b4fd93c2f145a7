"""The SMTP server. It accepts every email, stores the raw message, and fails as the current faults say."""

import asyncio
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session

from simulator.current_time import now_ms
from simulator.email.certificate import tls_context
from simulator.faults.kinds import SMTP_EXTENSIONS
from simulator.state import State

_MAX_EMAIL_BYTES = 32 * 1024 * 1024
_UNAVAILABLE = "421 4.3.2 Service not available, closing transmission channel"
_RCPT_REPLIES = {
    "421": _UNAVAILABLE,
    "451_rcpt": "451 4.3.0 Requested action aborted: try again later",
    "550_rcpt": "550 5.1.1 No such mailbox here",
    "550_relay": "550 relay not permitted",
}


async def start_smtp_server(state: State, port: int) -> asyncio.Server:
    loop = asyncio.get_running_loop()
    return await loop.create_server(lambda: _protocol(state), "127.0.0.1", port)


def _protocol(state: State) -> asyncio.BaseProtocol:
    fault = state.faults.next_smtp_fault("connect", None)
    if fault is not None:
        return _RefusedConnection(f"{_UNAVAILABLE}\r\n".encode() if fault.kind == "421" else b"")
    extensions = frozenset(state.faults.smtp_extensions)
    server: asyncio.BaseProtocol = SMTP(
        _Handler(state, extensions),
        data_size_limit=_MAX_EMAIL_BYTES,
        enable_SMTPUTF8="SMTPUTF8" in extensions,
        tls_context=tls_context() if "STARTTLS" in extensions else None,
        authenticator=(lambda *_: AuthResult(success=True)) if "AUTH" in extensions else None,
        auth_require_tls=False,
        hostname="simulator",
        ident="Simulator",
        loop=asyncio.get_running_loop(),
    )
    return server


class _RefusedConnection(asyncio.Protocol):
    def __init__(self, reply: bytes) -> None:
        self._reply = reply

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 (always true for a server; narrows the type)
        transport.write(self._reply)
        transport.close()


class _Handler:
    """The handler of one connection. aiosmtpd defines the names and arguments of the `handle_` methods."""

    def __init__(self, state: State, extensions: frozenset[str]) -> None:
        self._state = state
        self._extensions = extensions
        self._emails = 0  # accepted over this connection

    async def handle_EHLO(
        self, _server: Any, session: Session, _envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        session.host_name = hostname
        with_parameters = {"SIZE": f"SIZE {_MAX_EMAIL_BYTES}", "AUTH": "AUTH LOGIN PLAIN"}
        extensions = [name for name in SMTP_EXTENSIONS if name in self._extensions]
        if session.ssl is not None:
            extensions = [name for name in extensions if name != "STARTTLS"]
        return [responses[0], *(f"250-{with_parameters.get(name, name)}" for name in extensions), "250 HELP"]

    async def handle_MAIL(
        self, server: Any, _session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if self._state.faults.next_smtp_fault("mail_from", None, self._emails):
            self._close_after_reply(server)
            return _UNAVAILABLE
        if "BODY=8BITMIME" in options and "8BITMIME" not in self._extensions:
            return "555 5.5.4 BODY is not offered"
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 OK"

    async def handle_RCPT(
        self, _server: Any, _session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        fault = self._state.faults.next_smtp_fault("rcpt_to", address)
        if fault is not None:
            return fault.reply or _RCPT_REPLIES[fault.kind]
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.extend(options)
        return "250 OK"

    async def handle_DATA(self, server: Any, _session: Session, envelope: Envelope) -> str:
        rejection = self._rejection(envelope)
        if rejection:
            return rejection
        self._state.store.add_email(now_ms(), envelope.mail_from or "", list(envelope.rcpt_tos), envelope.content)
        self._emails += 1
        for address in envelope.rcpt_tos:
            fault = self._state.faults.next_smtp_fault("stored", address)
            if fault is not None:
                await asyncio.sleep(fault.seconds if fault.kind in ("slow", "hang_after_data") else 0)
                if fault.kind != "slow":
                    server.transport.abort()
                break
        if self._state.faults.next_smtp_fault("accepted", None, self._emails):
            self._close_after_reply(server)
        return "250 OK"

    def _rejection(self, envelope: Envelope) -> str | None:
        """The reply that rejects the email, or None to accept it."""
        faults = [self._state.faults.next_smtp_fault("data", address) for address in envelope.rcpt_tos]
        reply = next((fault.reply for fault in faults if fault is not None), None)
        if "8BITMIME" not in self._extensions and max(bytes(envelope.content or b"\0")) > 127:
            return "554 5.6.1 8BITMIME is not offered, and the mail needs it"
        return reply

    @staticmethod
    def _close_after_reply(server: Any) -> None:
        """Close the connection once the current reply has been sent."""
        asyncio.get_running_loop().call_soon(server.transport.close)
