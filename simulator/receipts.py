"""Status callbacks: what Twilio tells the product about a text it took."""

import asyncio
from datetime import UTC, datetime
from typing import Any

from simulator.codes import message_for
from simulator.faults import Faults
from simulator.message import Message
from simulator.settings import API_VERSION
from simulator.store import Store
from simulator.tasks import Tasks
from simulator.webhooks import Webhooks


class ReceiptSender:
    def __init__(self, store: Store, tasks: Tasks, webhooks: Webhooks) -> None:
        self._store = store
        self._tasks = tasks
        self._webhooks = webhooks
        self._latest: dict[str, asyncio.Task[None]] = {}

    def tell(self, message: Message, faults: Faults, status: str | None = None) -> None:
        """Starts the POSTs and comes back at once.

        Only the next news of the same message waits for their end: on a busy machine it would overtake them.
        """
        told = status or message.status
        if not message.status_callback:
            return
        if faults.receipts.drop > 0 and faults.happens(faults.receipts.drop):
            message.receipts.append({"status": told, "dropped": True})
            return
        posts = self._post_after(self._latest.get(message.sid), message, told, 1 + faults.receipts.duplicate)
        self._latest[message.sid] = latest = self._tasks.start(posts)
        latest.add_done_callback(lambda _: self._forget(message.sid, latest))

    def _forget(self, sid: str, ended: asyncio.Task[None]) -> None:
        if self._latest.get(sid) is ended:
            del self._latest[sid]

    async def _post_after(self, earlier: asyncio.Task[None] | None, message: Message, status: str, copies: int) -> None:
        if earlier is not None:
            await asyncio.wait([earlier])
        await asyncio.gather(*(self._post(message, status) for _ in range(copies)))

    async def _post(self, message: Message, status: str) -> None:
        note: dict[str, Any] = {"status": status, "answer": None}
        message.receipts.append(note)
        answer = await self._webhooks.post(message.status_callback, callback_params(message, status))
        note["answer"] = answer.status if answer.error is None else answer.error
        self._store.save_message(message)


def callback_params(message: Message, status: str) -> dict[str, str]:
    params = {
        "SmsSid": message.sid,
        "SmsStatus": status,
        "MessageStatus": status,
        "MessageSid": message.sid,
        "AccountSid": message.account_sid,
        "From": message.sender,
        "To": message.recipient,
        "ApiVersion": API_VERSION,
    }
    if message.service_sid:
        params["MessagingServiceSid"] = message.service_sid
    if status in ("failed", "undelivered") and message.error_code is not None:
        params["ErrorCode"] = str(message.error_code)
        params["ErrorMessage"] = message_for(message.error_code)
    if status == "delivered":
        params["RawDlrDoneDate"] = datetime.fromtimestamp(message.updated_ms // 1000, UTC).strftime("%y%m%d%H%M")
    return params
