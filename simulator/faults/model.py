"""The current faults and the seeded random generator that decides when they occur, so that runs are repeatable."""

import random
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from simulator.faults.kinds import SMTP_STAGES

Range = tuple[float, float]  # minimum and maximum, in milliseconds


@dataclass
class FaultRule:
    """Applies with `probability`, at most `count` times (None = no limit)."""

    kind: str
    probability: float = 1.0
    count: int | None = None
    to: str | None = None  # a phone number or email address; * matches anything
    call: str = "create"  # one of CALL_KINDS
    retry_after: float | None = None  # seconds
    seconds: float = 30.0  # how long a timeout or a slow reply takes
    code: int | None = None
    reply: str | None = None  # of the SMTP server
    max_emails: int = 1  # accepted over one connection before the SMTP server ends it
    hits: int = 0

    @property
    def left(self) -> int | None:
        return None if self.count is None else max(0, self.count - self.hits)

    def matches(self, call: str, to: str | None) -> bool:
        if self.call not in (call, "any") or self.left == 0:
            return False
        return self.to is None or (to is not None and fnmatchcase(to.lower(), self.to.lower()))


@dataclass
class ReceiptFaults:
    """How receipts arrive. `drop` is a probability, `duplicate` a number of extra copies."""

    delay_ms: Range = (150.0, 150.0)
    drop: float = 0.0
    duplicate: int = 0
    reorder: bool = False
    final: str | None = None  # one of FINAL_OUTCOMES; None = the recipient's number decides
    error_code: int | None = None
    probability: float = 1.0  # of `final`


@dataclass
class AccountFaults:
    """The state of the live account, its phone numbers and its registrations."""

    status: str = "active"
    type: str = "Full"
    sms: bool = True  # whether the account's numbers can send texts
    number_type: str | None = "local"  # None = the API does not return a type
    campaign: str | None = "VERIFIED"  # of its messaging services; None = not registered
    toll_free: str | None = "TWILIO_APPROVED"  # verification of its toll-free numbers; None = not submitted
    rejection_code: int | None = None  # why a campaign or verification was rejected


@dataclass(kw_only=True)
class Faults:
    seed: int = 1
    latency_ms: Range
    rate: float  # segments per second and From; 0 = no limit
    queue_limit: int | None = None  # queued segments per From before error 21611
    concurrency: int | None = None  # concurrent API requests before error 20429
    list_stale_ms: float = 0.0
    clock_skew_seconds: float = 0.0  # how far the Date header is ahead of this machine's clock
    account: AccountFaults = field(default_factory=AccountFaults)
    rules: list[FaultRule] = field(default_factory=list)
    receipts: ReceiptFaults = field(default_factory=ReceiptFaults)
    smtp: list[FaultRule] = field(default_factory=list)
    smtp_extensions: tuple[str, ...] = ()  # that the SMTP server offers

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)

    def latency_seconds(self) -> float:
        return self._pick(self.latency_ms) / 1000

    def receipt_delay_seconds(self) -> float:
        return self._pick(self.receipts.delay_ms) / 1000

    def _pick(self, bounds: Range) -> float:
        return bounds[0] if bounds[0] == bounds[1] else self._random.uniform(*bounds)

    def happens(self, probability: float) -> bool:
        return probability >= 1 or self._random.random() < probability

    def next_api_fault(self, call: str, to: str | None) -> FaultRule | None:
        return self._first_match(self.rules, call, to)

    def next_smtp_fault(self, stage: str, to: str | None, emails: int = 0) -> FaultRule | None:
        """The rule that applies at a stage of `SMTP_STAGES`, after `emails` emails over this connection.

        A 421 rule with a recipient applies when the client names that recipient, not on connection.
        """
        rules = [rule for rule in self.smtp if rule.kind in SMTP_STAGES[stage]]
        if stage == "rcpt_to":
            rules = [rule for rule in rules if rule.kind != "421" or rule.to is not None]
        if stage in ("mail_from", "accepted"):
            rules = [rule for rule in rules if rule.max_emails <= emails]
        return self._first_match(rules, "any", to)

    def _first_match(self, rules: list[FaultRule], call: str, to: str | None) -> FaultRule | None:
        for rule in rules:
            if rule.matches(call, to) and self.happens(rule.probability):
                rule.hits += 1
                return rule
        return None
