"""What goes wrong on purpose, and how often: values, and the dice (seeded, so that a run can be had again)."""

import random
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

Span = tuple[float, float]  # milliseconds: from, to

RULE_KINDS = (
    "429",
    "500_before",
    "500_after",
    "timeout_before",
    "timeout_after",
    "reset_before",
    "reset_after",
    "html_200",
    "half_json",
    "401",
    "reject",
)
SMTP_KINDS = (
    "refuse_connect",
    "421",
    "451_rcpt",
    "550_rcpt",
    "550_relay",
    "slow",
    "hang_after_data",
    "drop_after_data",
    "reply_rcpt",
    "reply_data",
    "421_after",
    "close_after",
)
_SMTP_MOMENTS = {
    "connect": ("refuse_connect", "421"),
    "sender": ("421_after",),
    "recipient": ("421", "451_rcpt", "550_rcpt", "550_relay", "reply_rcpt"),
    "content": ("reply_data",),
    "taken": ("close_after",),
    "data": ("slow", "hang_after_data", "drop_after_data"),
}
SMTP_EXTENSIONS = ("SIZE", "8BITMIME", "SMTPUTF8", "PIPELINING", "ENHANCEDSTATUSCODES", "STARTTLS", "AUTH")
CALL_KINDS = (
    "create",
    "fetch",
    "list",
    "update",
    "delete",
    "account",
    "numbers",
    "number",
    "service",
    "registration",
    "any",
)
FINALS = ("delivered", "undelivered", "failed", "none")
ACCOUNT_STATES = ("active", "suspended", "closed")
ACCOUNT_TYPES = ("Full", "Trial")
NUMBER_TYPES = ("local", "mobile", "toll_free")
CAMPAIGN_STATES = ("IN_PROGRESS", "VERIFIED", "FAILED")
VERIFICATION_STATES = ("PENDING_REVIEW", "IN_REVIEW", "TWILIO_APPROVED", "TWILIO_REJECTED")


@dataclass
class Rule:
    """Strikes with `probability`, at most `count` times (None = for as long as it stands)."""

    kind: str
    probability: float = 1.0
    count: int | None = None
    to: str | None = None  # a number or address; * stands for anything
    call: str = "create"
    retry_after: float | None = None  # seconds
    seconds: float = 30.0  # how long a time-out hangs
    code: int | None = None
    words: str | None = None  # what the mail server answers
    mails: int = 1  # that it takes over one connection before it ends that
    hits: int = 0

    @property
    def left(self) -> int | None:
        return None if self.count is None else max(0, self.count - self.hits)

    def concerns(self, call: str, to: str | None) -> bool:
        if self.call not in (call, "any") or self.left == 0:
            return False
        return self.to is None or (to is not None and fnmatchcase(to.lower(), self.to.lower()))


@dataclass
class Receipts:
    """How the carrier's news travels: `drop` is a probability, `duplicate` a number of extra copies."""

    delay_ms: Span = (150.0, 150.0)
    drop: float = 0.0
    duplicate: int = 0
    reorder: bool = False
    final: str | None = None  # None = as the number has it
    error_code: int | None = None
    probability: float = 1.0  # of `final`


@dataclass
class Account:
    """How the live account and its numbers stand."""

    status: str = "active"
    type: str = "Full"
    sms: bool = True  # whether its numbers can text
    number_type: str | None = "local"  # None: Twilio does not say
    campaign: str | None = "VERIFIED"  # of its messaging services; None: there is none
    toll_free: str | None = "TWILIO_APPROVED"  # of its toll-free numbers; None: never asked for


@dataclass
class Faults:
    latency_ms: Span
    rate: float  # segments per second and From; 0 = no limit
    seed: int = 1
    queue_limit: int | None = None  # segments waiting per From before 21611
    concurrency: int | None = None  # API requests at once before 20429
    list_stale_ms: float = 0.0
    clock_skew_seconds: float = 0.0  # by which the Date header is ahead of this machine's clock
    account: Account = field(default_factory=Account)
    rules: list[Rule] = field(default_factory=list)
    receipts: Receipts = field(default_factory=Receipts)
    smtp: list[Rule] = field(default_factory=list)
    smtp_extensions: tuple[str, ...] = ()  # that the mail server offers
    dice: random.Random = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.dice = random.Random(self.seed)

    def latency_seconds(self) -> float:
        return self.draw(self.latency_ms) / 1000

    def receipt_delay_seconds(self) -> float:
        return self.draw(self.receipts.delay_ms) / 1000

    def draw(self, span: Span) -> float:
        return span[0] if span[0] == span[1] else self.dice.uniform(*span)

    def happens(self, probability: float) -> bool:
        return probability >= 1 or self.dice.random() < probability

    def strike(self, call: str, to: str | None) -> Rule | None:
        return self._first(self.rules, call, to)

    def strike_smtp(self, moment: str, to: str | None, mails: int = 0) -> Rule | None:
        """`moment` is connect, sender, recipient, content, data or taken; so many `mails` came over the connection.

        A 421 for one recipient waits until the recipient is named.
        """
        rules = [rule for rule in self.smtp if rule.kind in _SMTP_MOMENTS[moment]]
        if moment == "recipient":
            rules = [rule for rule in rules if rule.kind != "421" or rule.to is not None]
        if moment in ("sender", "taken"):
            rules = [rule for rule in rules if rule.mails <= mails]
        return self._first(rules, "any", to)

    def _first(self, rules: list[Rule], call: str, to: str | None) -> Rule | None:
        for rule in rules:
            if rule.concerns(call, to) and self.happens(rule.probability):
                rule.hits += 1
                return rule
        return None
