"""The way of an accepted text: a queue for each From, then the carrier, then the handset and the receipts."""

import asyncio
import time
from collections import defaultdict

from simulator.faults import Faults
from simulator.message import FINAL_STATUSES, Message
from simulator.numbers import DELIVERED, OUTCOMES, STUCK_AT_SENT, Outcome
from simulator.receipts import ReceiptSender
from simulator.store import Store
from simulator.tasks import Tasks

_CATCH_UP_SECONDS = 0.25  # how far a sender may lag behind its rate and still make it up


def now_ms() -> int:
    return int(time.time() * 1000)


class Carrier:
    def __init__(self, store: Store, tasks: Tasks, receipts: ReceiptSender, faults: Faults) -> None:
        self._store = store
        self._tasks = tasks
        self._receipts = receipts
        self.faults = faults
        self._forget_queues()

    def _forget_queues(self) -> None:
        self._queues: defaultdict[str, asyncio.Queue[Message]] = defaultdict(asyncio.Queue)
        self._waiting: defaultdict[str, int] = defaultdict(int)  # segments by From
        self._workers: set[str] = set()

    def forget_everything(self) -> None:
        self._forget_queues()

    def resume(self, account_sid: str) -> None:
        """After a restart: what was on its way goes on."""
        for message in self._store.messages.values():
            if message.account_sid != account_sid or message.direction == "inbound":
                continue
            if message.status == "sent" and message.reached_ms is None:
                self._tasks.start(self._finish(message))
            elif message.status not in FINAL_STATUSES | {"sent"}:
                self.take(message)

    def is_full(self, sender: str) -> bool:
        limit = self.faults.queue_limit
        return limit is not None and self._waiting[sender] >= limit

    def take(self, message: Message) -> None:
        self._waiting[message.sender] += message.segments
        self._queues[message.sender].put_nowait(message)
        if message.sender not in self._workers:
            self._workers.add(message.sender)
            self._tasks.start(self._work(message.sender))

    async def _work(self, sender: str) -> None:
        queue, next_at = self._queues[sender], 0.0
        while True:
            message = await queue.get()
            if self.faults.rate > 0:
                now = time.monotonic()
                next_at = max(next_at, now - _CATCH_UP_SECONDS)
                await asyncio.sleep(max(0.0, next_at - now))
                next_at += message.segments / self.faults.rate
            self._waiting[sender] -= message.segments
            self._tasks.start(self._send(message))

    async def _send(self, message: Message) -> None:
        if message.status == "accepted":
            self._become(message, "queued")
            self._receipts.tell(message, self.faults)
        if now_ms() - message.created_ms > message.validity_seconds * 1000:
            self._end(message, Outcome("failed", 30036))
            return
        await asyncio.sleep(self.faults.receipt_delay_seconds())
        message.sent_ms = now_ms()
        self._become(message, "sent")
        if not self.faults.receipts.reorder:
            self._receipts.tell(message, self.faults)
        await self._finish(message)

    async def _finish(self, message: Message) -> None:
        await asyncio.sleep(self.faults.receipt_delay_seconds())
        self._end(message, self._outcome(message))
        if self.faults.receipts.reorder:
            await asyncio.sleep(self.faults.receipt_delay_seconds())
            self._receipts.tell(message, self.faults, status="sent")

    def _outcome(self, message: Message) -> Outcome:
        if message.forced_code is not None:
            return Outcome("undelivered", message.forced_code)
        wanted = self.faults.receipts
        if wanted.final is not None and self.faults.happens(wanted.probability):
            if wanted.final == "none":
                return STUCK_AT_SENT
            code = None if wanted.final == "delivered" else wanted.error_code or 30008
            return Outcome(wanted.final, code)
        return OUTCOMES.get(message.recipient, DELIVERED)

    def _end(self, message: Message, outcome: Outcome) -> None:
        if outcome in (DELIVERED, STUCK_AT_SENT):
            message.reached_ms = now_ms()
        if outcome.status is None:
            self._store.save_message(message)
            return
        message.error_code = outcome.error_code
        self._become(message, outcome.status)
        self._receipts.tell(message, self.faults)

    def _become(self, message: Message, status: str) -> None:
        message.status = status
        message.updated_ms = now_ms()
        self._store.save_message(message)
