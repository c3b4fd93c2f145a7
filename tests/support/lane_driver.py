"""Drive a lane in fast motion: claims by the test’s own clock, texts accepted at once, no provider."""

from collections.abc import Callable
from dataclasses import dataclass, field

from sqlalchemy import insert, select

from portal.accounts.tables.accounts import Account
from portal.accounts.tables.phone_numbers import PhoneNumber
from portal.core.extensions import db
from portal.core.statements import refresh_statistics
from portal.delivery.sms_attempt import ClaimedText, SmsResult
from portal.delivery.sms_claim import record_and_claim
from portal.gateways.outcomes import Accepted
from portal.messages.tables.communications import Delivery
from tests.support import scenario

STEP_US = 400_000
_CLOCK_AHEAD_US = 120_000_000
_IDLE_STEP_SECONDS = 5
_IDLE_STEPS = 10_000_000 // STEP_US


@dataclass
class LaneDriver:
    """`sent_send_ids` has the send id of each claimed text in order of slot; None without a send.

    Its clock is ahead of the real one by more than a busy machine takes, so no other clock matters.
    """

    now_us: int = field(default_factory=lambda: scenario.now_us() + _CLOCK_AHEAD_US)
    sent_send_ids: list[int | None] = field(default_factory=list)
    slots_us: list[int] = field(default_factory=list)
    _claimed: list[ClaimedText] = field(default_factory=list)

    def now_ms(self) -> int:
        return self.now_us // 1000

    def run(self, until: Callable[[], bool], max_seconds: float) -> None:
        """Claim again and again, until the condition holds or `max_seconds` have passed."""
        self.now_us = max(self.now_us, scenario.now_us())
        ends_us = self.now_us + round(max_seconds * 1_000_000)
        while not until() and self.now_us < ends_us:
            self.claim_once()

    def run_idle(self, seconds: int) -> None:
        """Let this much time pass in long steps while nothing is due."""
        self.now_us = max(self.now_us, scenario.now_us())
        for _ in range(0, seconds, _IDLE_STEP_SECONDS):
            self.claim_once()
            self.now_us += _IDLE_STEP_SECONDS * 1_000_000 - STEP_US

    def run_until_sent(self, count: int) -> None:
        """Claim until this many more are sent, or nothing has moved for ten seconds."""
        target, idle = len(self.sent_send_ids) + count, 0
        self.now_us = max(self.now_us, scenario.now_us())
        while len(self.sent_send_ids) < target and idle < _IDLE_STEPS:
            before = len(self.sent_send_ids)
            self.claim_once()
            idle = 0 if len(self.sent_send_ids) > before else idle + 1

    def claim_once(self) -> None:
        """One claim; what it takes is accepted at the next one."""
        results = [SmsResult(row, Accepted(f"SM{row.attempt.id}")) for row in self._claimed]
        cycle = record_and_claim(results, 64, lambda: self.now_us)
        self._claimed = list(cycle.claimed)
        sends = send_ids_by_delivery([claimed.attempt.delivery_id for claimed in self._claimed])
        self.sent_send_ids += [sends[claimed.attempt.delivery_id] for claimed in self._claimed]
        self.slots_us += [claimed.slot_us for claimed in self._claimed]
        self.now_us += STEP_US


def send_ids_by_delivery(delivery_ids: list[int]) -> dict[int, int | None]:
    rows = db.session.execute(select(Delivery.id, Delivery.send_id).where(Delivery.id.in_(delivery_ids)))
    return {delivery_id: send_id for delivery_id, send_id in rows}


def create_many_accounts(total: int, prefix: str = "C", sms_every: int = 1, timezone: str = "UTC") -> list[str]:
    """Insert accounts in bulk, without the import; return their ids. Every `sms_every`-th receives texts."""
    ids = [f"{prefix}-{index}" for index in range(total)]
    db.session.rollback()
    common = {
        "account_type": prefix,
        "role": "user",
        "timezone": timezone,
        "active": True,
        "created_at_ms": scenario.now_ms(),
    }
    db.session.execute(
        insert(Account),
        [
            common | {"external_id": name, "name": name, "email": f"{name}@example.org", "fs_uniquifier": name}
            for name in ids
        ],
    )
    keys = dict(db.session.execute(select(Account.external_id, Account.id).where(Account.account_type == prefix)).all())
    first = 1_000_000 + 100_000 * sum(map(ord, prefix))
    phones = [
        {
            "account_id": keys[name],
            "number": f"+1415{first + index}",
            "label": "",
            "receives_sms": True,
            "created_at_ms": scenario.now_ms(),
        }
        for index, name in enumerate(ids)
        if index % sms_every == 0
    ]
    db.session.execute(insert(PhoneNumber), phones)
    refresh_statistics(Account, PhoneNumber)
    db.session.commit()
    return ids
