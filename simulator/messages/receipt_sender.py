"""Post receipts to the application: Twilio's status callbacks (docs/twilio.md#status-callbacks)."""

import asyncio
from datetime import UTC, datetime
from typing import Any

from simulator.background_tasks import BackgroundTasks
from simulator.error_codes import error_message
from simulator.faults.model import Faults
from simulator.messages.message import Message
from simulator.settings import API_VERSION
from simulator.storage.store import Store
from simulator.webhooks.client import WebhookClient


class ReceiptSender:
    def __init__(self, store: Store, tasks: BackgroundTasks, webhooks: WebhookClient) -> None:
        self._store = store
        self._tasks = tasks
        self._webhooks = webhooks
        self._latest: dict[str, asyncio.Task[None]] = {}  # by message sid

    def send(self, message: Message, faults: Faults, status: str | None = None) -> None:
        """Start the POSTs in the background.

        The next receipt of the same message waits until they have finished. Otherwise it could overtake them on a busy
        machine.
        """
        status = status or message.status
        if not message.status_callback:
            return
        if faults.receipts.drop > 0 and faults.happens(faults.receipts.drop):
            message.receipts.append({"status": status, "dropped": True})
            return
        posts = self._post_after(self._latest.get(message.sid), message, status, 1 + faults.receipts.duplicate)
        self._latest[message.sid] = latest = self._tasks.start(posts)
        latest.add_done_callback(lambda _: self._discard(message.sid, latest))

    def _discard(self, sid: str, finished: asyncio.Task[None]) -> None:
        if self._latest.get(sid) is finished:
            del self._latest[sid]

    async def _post_after(
        self, previous: asyncio.Task[None] | None, message: Message, status: str, copies: int
    ) -> None:
        if previous is not None:
            await asyncio.wait([previous])
        await asyncio.gather(*(self._post(message, status) for _ in range(copies)))

    async def _post(self, message: Message, status: str) -> None:
        receipt: dict[str, Any] = {"status": status, "answer": None}
        message.receipts.append(receipt)
        response = await self._webhooks.post(message.status_callback, callback_params(message, status))
        receipt["answer"] = response.status_or_error
        self._store.save_message(message)


def callback_params(message: Message, status: str) -> dict[str, str]:
    params = {
        "SmsSid": message.sid,
        "SmsStatus": status,
        "MessageStatus": status,
        "MessageSid": message.sid,
        "AccountSid": message.account_sid,
        "From": message.from_number,
        "To": message.to_number,
        "ApiVersion": API_VERSION,
    }
    if message.service_sid:
        params["MessagingServiceSid"] = message.service_sid
    if status in ("failed", "undelivered") and message.error_code is not None:
        params["ErrorCode"] = str(message.error_code)
        params["ErrorMessage"] = error_message(message.error_code)
    if status == "delivered":
        params["RawDlrDoneDate"] = datetime.fromtimestamp(message.updated_ms // 1000, UTC).strftime("%y%m%d%H%M")
    return params
