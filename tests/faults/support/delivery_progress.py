"""The state of deliveries in the fault tests, and waits for a state."""

import time
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from tests.faults.support.external_services import RestartableSimulator
from tests.faults.support.fault_databases import FaultDatabase
from tests.faults.support.timing import LONG_RUN, now_ms

T = TypeVar("T")
OPEN_STATES = ("ready", "paused", "sending", "unknown")
_STATES_OF_SEND_QUERY = """SELECT DISTINCT channel, state FROM delivery WHERE send_id = :send
              UNION SELECT 'send', state FROM send WHERE id = :send"""
_TIMEOUT_FACTOR = 6
"""Multiplies every timeout, because a busy machine is several times slower than an idle one."""
_RECEIPT_GRACE_SECONDS = 0.7


class DeliveryProgress:
    def __init__(self, engine: str, seed: str, database: FaultDatabase, simulator: RestartableSimulator) -> None:
        self._engine, self._seed = engine, seed
        self._database, self._simulator = database, simulator

    def count_states(self, send: int, channel: str = "sms") -> dict[str, int]:
        query = "SELECT state, count(*) FROM delivery WHERE channel = :channel AND send_id = :send GROUP BY state"
        return {state: count for state, count in self._database.rows(query, channel=channel, send=send)}

    def state_of_text(self, phone_number: str) -> str:
        """The state of the newest text to a phone number."""
        query = "SELECT state FROM delivery WHERE channel = 'sms' AND address = :phone_number ORDER BY id DESC LIMIT 1"
        return str(self._database.value(query, phone_number=phone_number))

    def wait_until_settled(self, *sends: int, seconds: float = 90) -> None:
        """Wait until each send is fanned out, has no unfinished delivery, and every text has its final receipt."""
        for send in sends:
            self.wait(partial(self._is_settled, send), f"send {send} to settle", seconds, send, 0.15)
        for send in sends:
            self._wait_for_receipts(send)

    def wait_until_texts_settled(self, send: int, seconds: float = 90) -> None:
        """Like `wait_until_settled`, for texts only."""
        unfinished = set(OPEN_STATES)
        self.wait(
            lambda: not unfinished & set(self.count_states(send)), f"the texts of send {send}", seconds, send, 0.15
        )
        self._wait_for_receipts(send)

    def wait_until_emails_handed_off(self, *sends: int, seconds: float = 90) -> None:
        """Wait until the mail server has accepted every email of these sends."""

        def handed_off() -> bool:
            self._make_emails_due()
            return all(set(self.count_states(send, "email")) == {"handed_off"} for send in sends)

        self.wait(handed_off, f"the emails of sends {sends}", seconds, sends[0], 0.15)

    def _is_settled(self, send: int) -> bool:
        self._make_emails_due()
        if not LONG_RUN:
            self._database.execute("UPDATE sending_number SET retry_at_us = 0 WHERE retry_at_us > 0")
        states = {state for _, state in self._database.rows(_STATES_OF_SEND_QUERY, send=send)}
        return not states & {"queued", "fanning_out", *OPEN_STATES}

    def _wait_for_receipts(self, send: int) -> None:
        """Wait a moment for receipts; then, because some may be lost, make the polls of Twilio due."""
        deadline = time.monotonic() + _RECEIPT_GRACE_SECONDS
        while time.monotonic() < deadline:
            if self._is_final(send):
                return
            time.sleep(0.15)
        self.age_attempts(send)
        self.wait(lambda: self._poll_and_check_final(send), f"the receipts of send {send}", 30, send, 0.5)

    def _poll_and_check_final(self, send: int) -> bool:
        """Make polls due each time: Twilio may have answered that a text is still on its way."""
        self._make_polls_due(send)
        return self._is_final(send)

    def _is_final(self, send: int) -> bool:
        return not {"accepted", "sent"} & set(self.count_states(send))

    def wait(
        self,
        condition: Callable[[], T],
        description: str,
        seconds: float = 60,
        send: int | None = None,
        interval: float = 0.05,
    ) -> T:
        """Wait for a true value and return it; a failure names the engine, the seed and the state of `send`."""
        deadline = time.monotonic() + seconds * _TIMEOUT_FACTOR
        while time.monotonic() < deadline:
            if value := condition():
                return value
            time.sleep(interval)
        progress = (
            f": texts {self.count_states(send)}, emails {self.count_states(send, 'email')}" if send is not None else ""
        )
        raise AssertionError(f"timed out waiting for {description} on {self._engine} (seed {self._seed}){progress}")

    def wait_for_texts(self, count: int, description: str, seconds: float = 60, send: int | None = None) -> None:
        """Wait until Twilio has accepted `count` texts."""
        self.wait(lambda: self._simulator.count_texts() >= count, description, seconds, send)

    def age_attempts(self, send: int) -> None:
        """Move attempts ten minutes into the past and make the polls of their texts due."""
        of_send = "delivery_id IN (SELECT id FROM delivery WHERE send_id = :send)"
        self._database.execute(f"UPDATE attempt SET slot_at_ms = slot_at_ms - 600000 WHERE {of_send}", send=send)
        self._make_polls_due(send)

    def _make_polls_due(self, send: int) -> None:
        waiting = f"send_id = {send} AND state IN ('accepted', 'sent') AND due_at_ms > {now_ms()}"
        self._database.update_unlocked(f"due_at_ms = {now_ms()}", waiting)

    def _make_emails_due(self) -> None:
        """End the leases of killed email workers and the waits between two attempts.

        A batch takes less than a second, so an attempt from three seconds ago has no worker any more.
        """
        stale = f"attempt_id IN (SELECT id FROM attempt WHERE started_at_ms < {now_ms() - 3000})"
        self._database.update_unlocked("lease_until_ms = 0", f"channel = 'email' AND state = 'sending' AND {stale}")
        waiting = f"channel = 'email' AND state IN ('ready', 'unknown') AND due_at_ms > {now_ms()}"
        self._database.update_unlocked(f"due_at_ms = {now_ms()}", waiting)
        self._database.execute("UPDATE mail_server SET retry_at_ms = 0 WHERE retry_at_ms > 0")

    def is_sms_paused(self) -> bool:
        return bool(self._database.rows("SELECT 1 FROM sending_number WHERE paused_reason <> ''"))
