"""Deliver accepted texts: first a queue for each From number, then the carrier, then the handset and the receipts."""

import asyncio
import time
from collections import defaultdict

from simulator.background_tasks import BackgroundTasks
from simulator.current_time import now_ms
from simulator.faults.model import Faults
from simulator.messages.message import FINAL_STATUSES, Message
from simulator.messages.message_outcomes import DELIVERED, FIXED_OUTCOMES, STUCK_AT_SENT, Outcome
from simulator.messages.receipt_sender import ReceiptSender
from simulator.storage.store import Store

_MAX_CATCH_UP_SECONDS = 0.25  # a queue that lags behind its rate by up to this much sends faster until it has caught up


class Carrier:
    def __init__(self, store: Store, tasks: BackgroundTasks, receipts: ReceiptSender, faults: Faults) -> None:
        self._store = store
        self._tasks = tasks
        self._receipts = receipts
        self.faults = faults
        self.reset()

    def reset(self) -> None:
        self._queues: defaultdict[str, asyncio.Queue[Message]] = defaultdict(asyncio.Queue)
        self._queued_segments: defaultdict[str, int] = defaultdict(int)  # by From number
        self._workers: set[str] = set()

    def resume(self, account_sid: str) -> None:
        """Continue the deliveries that were in progress when the simulator stopped."""
        for message in self._store.messages.values():
            if message.account_sid != account_sid or message.direction == "inbound":
                continue
            if message.status == "sent" and message.reached_ms is None:
                self._tasks.start(self._finish(message))
            elif message.status not in FINAL_STATUSES | {"sent"}:
                self.enqueue(message)

    def is_queue_full(self, from_number: str) -> bool:
        limit = self.faults.queue_limit
        return limit is not None and self._queued_segments[from_number] >= limit

    def enqueue(self, message: Message) -> None:
        self._queued_segments[message.from_number] += message.segments
        self._queues[message.from_number].put_nowait(message)
        if message.from_number not in self._workers:
            self._workers.add(message.from_number)
            self._tasks.start(self._process_queue(message.from_number))

    async def _process_queue(self, from_number: str) -> None:
        queue, next_at = self._queues[from_number], 0.0
        while True:
            message = await queue.get()
            if self.faults.rate > 0:
                now = time.monotonic()
                next_at = max(next_at, now - _MAX_CATCH_UP_SECONDS)
                await asyncio.sleep(max(0.0, next_at - now))
                next_at += message.segments / self.faults.rate
            self._queued_segments[from_number] -= message.segments
            self._tasks.start(self._send(message))

    async def _send(self, message: Message) -> None:
        if message.status == "accepted":
            self._set_status(message, "queued")
            self._receipts.send(message, self.faults)
        if now_ms() - message.created_ms > message.validity_seconds * 1000:
            self._apply_outcome(message, Outcome("failed", 30036))
            return
        await asyncio.sleep(self.faults.receipt_delay_seconds())
        message.sent_ms = now_ms()
        self._set_status(message, "sent")
        if not self.faults.receipts.reorder:
            self._receipts.send(message, self.faults)
        await self._finish(message)

    async def _finish(self, message: Message) -> None:
        await asyncio.sleep(self.faults.receipt_delay_seconds())
        self._apply_outcome(message, self._outcome(message))
        if self.faults.receipts.reorder:
            await asyncio.sleep(self.faults.receipt_delay_seconds())
            self._receipts.send(message, self.faults, status="sent")

    def _outcome(self, message: Message) -> Outcome:
        if message.forced_code is not None:
            return Outcome("undelivered", message.forced_code)
        fault = self.faults.receipts
        if fault.final is not None and self.faults.happens(fault.probability):
            if fault.final == "none":
                return STUCK_AT_SENT
            code = None if fault.final == "delivered" else fault.error_code or 30008
            return Outcome(fault.final, code)
        return FIXED_OUTCOMES.get(message.to_number, DELIVERED)

    def _apply_outcome(self, message: Message, outcome: Outcome) -> None:
        if outcome in (DELIVERED, STUCK_AT_SENT):
            message.reached_ms = now_ms()
        if outcome.status is None:
            self._store.save_message(message)
            return
        message.error_code = outcome.error_code
        self._set_status(message, outcome.status)
        self._receipts.send(message, self.faults)

    def _set_status(self, message: Message, status: str) -> None:
        message.status = status
        message.updated_ms = now_ms()
        self._store.save_message(message)
