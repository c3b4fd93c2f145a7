"""The invariants I1 to I10, judged from outside: what the simulator accepted, the database holds and the logs say."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from portal.core.rules.delivery_status import STATES
from tests.faults.support.fault_environment import LEASE_SECONDS, FaultEnvironment
from tests.support import servers

_MAX_SENDING_MS = {"sms": round(LEASE_SECONDS * 1000) + 60_000, "email": 300_000 + 60_000}
"""The lease and a minute; a mail's lease is five minutes."""

_ALLOWED_REGRESSIONS = {("sending", "ready"), ("unknown", "ready"), ("ready", "paused"), ("paused", "ready")}
"""Moves that do not rise in rank and are right all the same: nothing was sent, or evidence said so."""


class KnownDefect(AssertionError):
    """Something the product does not do yet: expected to be raised, and only where the defect itself shows."""


@dataclass(frozen=True)
class SendOutcome:
    """What one send came to; `in_doubt` counts how often the outcome of an attempt was not known at first."""

    texts: int
    missing: list[str]
    duplicated: list[str]
    emails: int
    repeated_emails: int
    unknown_outcomes: int
    attempts: int

    def figures(self) -> dict[str, Any]:
        return {
            "texts": self.texts,
            "missing": len(self.missing),
            "duplicated": len(self.duplicated),
            "emails": self.emails,
            "mails handed over again": self.repeated_emails,
            "outcomes in doubt": self.unknown_outcomes,
            "attempts": self.attempts,
        }


def check_invariants(
    stage: FaultEnvironment, send: int, numbers: Sequence[str], check_pace: bool = True
) -> SendOutcome:
    """Asserts every invariant for a send that has settled, texts to all of `numbers`, each of them once.

    `slots_stand` is false where slots were moved afterwards, and tell of the pace no more.
    """
    found = measure_outcome(stage, send, numbers)
    told = f"on {stage.engine} (seed {stage.seed})"
    assert not found.duplicated, f"I2: texted duplicated {told}: {_delivery_timelines(stage, found.duplicated)}"
    assert not found.missing, f"never texted {told}: {_delivery_timelines(stage, found.missing)}"
    check_emails(stage, send)
    check_transitions(stage, send)
    if check_pace:
        check_pacing(stage, send)
    check_logs_redacted(stage)
    return found


def measure_outcome(stage: FaultEnvironment, send: int, numbers: Sequence[str]) -> SendOutcome:
    reached = Counter(text["to"] for text in stage.simulator.accepted_texts())
    mails = _message_ids_by_address(stage, send)
    doubts = """SELECT count(*) FROM faults_journal j JOIN delivery d ON d.id = j.delivery_id
                WHERE j.new = 'unknown' AND d.channel = 'sms' AND d.send_id = :send"""
    tried = """SELECT count(*) FROM attempt a JOIN delivery d ON d.id = a.delivery_id
               WHERE d.channel = 'sms' AND d.send_id = :send"""
    return SendOutcome(
        texts=sum(reached[number] for number in numbers),
        missing=[number for number in numbers if not reached[number]],
        duplicated=[number for number in numbers if reached[number] > 1],
        emails=len(mails),
        repeated_emails=sum(len(each) - 1 for each in mails.values()),
        unknown_outcomes=stage.database.value(doubts, send=send),
        attempts=stage.database.value(tried, send=send),
    )


def check_emails(stage: FaultEnvironment, send: int, refused: int = 0) -> int:
    """I1: one email delivery for every communication; each mail arrived, but those that the server refused for good.

    How many arrived more than once, always under the same Message-ID.
    """
    query = """SELECT c.id, count(d.id) FROM communication c LEFT JOIN delivery d
               ON d.communication_id = c.id AND d.channel = 'email' WHERE c.send_id = :send GROUP BY c.id"""
    counts = stage.database.rows(query, send=send)
    assert {number for _, number in counts} == {1}, f"I1 on {stage.engine}: {counts}"
    mails = _message_ids_by_address(stage, send)
    assert len(mails) == len(counts) - refused, f"I1 on {stage.engine}: {len(mails)} of {len(counts)} people have mail"
    torn = {address: ids for address, ids in mails.items() if len(set(ids)) > 1}
    assert not torn, f"I1 on {stage.engine}: copies of one mail under several Message-IDs: {torn}"
    return sum(len(ids) > 1 for ids in mails.values())


def check_transitions(stage: FaultEnvironment, send: int) -> None:
    """I4, I5 and I6, from the journal of every change of state."""
    query = """SELECT j.delivery_id, d.channel, j.at_ms, j.old, j.new FROM faults_journal j
               JOIN delivery d ON d.id = j.delivery_id WHERE d.send_id = :send ORDER BY j.n"""
    since: dict[int, int] = {}
    for delivery, channel, at_ms, old, new in stage.database.rows(query, send=send):
        assert not STATES[old].final, f"I6 on {stage.engine}: delivery {delivery} went from {old} to {new}"
        rose = STATES[new].rank > STATES[old].rank
        assert rose or (old, new) in _ALLOWED_REGRESSIONS, (
            f"I6 on {stage.engine}: delivery {delivery} fell from {old} to {new}"
        )
        if old == "sending":
            stood = at_ms - since.get(delivery, at_ms)
            assert stood <= _MAX_SENDING_MS[channel], (
                f"I4 on {stage.engine}: {channel} {delivery} was being sent for {stood} ms"
            )
        since[delivery] = at_ms
    open_ones = "SELECT id, state FROM delivery WHERE send_id = :send AND state IN ('ready', 'sending')"
    left = stage.database.rows(open_ones, send=send)
    assert not left, f"I5 on {stage.engine}: {left}"


def check_pacing(stage: FaultEnvironment, send: int) -> None:
    """I7, as the claims planned it: however processes come and go, no second holds more slots than the rate allows."""
    query = """SELECT a.slot_at_ms FROM attempt a JOIN delivery d ON d.id = a.delivery_id
               WHERE d.channel = 'sms' AND d.send_id = :send"""
    full = max_per_second([row[0] for row in stage.database.rows(query, send=send)])
    assert full <= stage.rate + 1, f"I7 on {stage.engine}: {full} slots in one second at {stage.rate:g}/s"


def check_logs_redacted(stage: FaultEnvironment) -> None:
    """I9: no phone number and no secret of ours in any log."""
    for log in stage.folder.glob("*.log"):
        if log.name == "simulator.log":
            continue
        text = log.read_text(errors="replace")
        assert "+1415" not in text, f"I9: a phone number in {log.name} on {stage.engine}"
        for secret in (servers.LIVE_CREDENTIALS["AuthToken"], stage.env_vars["PORTAL_ENCRYPTION_KEY"]):
            assert secret not in text, f"I9: a secret in {log.name} on {stage.engine}"


def check_ledger(stage: FaultEnvironment) -> None:
    """I10: every event of the consent ledger still stands in its chain."""
    assert "unbroken" in stage.run_portal_command("consent", "verify"), f"I10 on {stage.engine}"


def max_per_second(moments_ms: Sequence[int]) -> int:
    """The most in any second, wherever it begins."""
    most, first = 0, 0
    ordered = sorted(moments_ms)
    for last, moment in enumerate(ordered):
        while ordered[first] <= moment - 1000:
            first += 1
        most = max(most, last - first + 1)
    return most


def _message_ids_by_address(stage: FaultEnvironment, send: int) -> dict[str, list[str]]:
    """The Message-IDs of the mails that each address of a send got."""
    query = "SELECT address FROM delivery WHERE channel = 'email' AND send_id = :send"
    wanted = {row[0] for row in stage.database.rows(query, send=send)}
    others = "SELECT provider_id FROM delivery WHERE channel = 'email' AND (send_id IS NULL OR send_id <> :send)"
    foreign = {row[0] for row in stage.database.rows(others, send=send)}
    found: dict[str, list[str]] = {}
    for mail in stage.simulator.received_emails():
        if mail["to"][0] in wanted and mail["message_id"] not in foreign:
            found.setdefault(mail["to"][0], []).append(mail["message_id"])
    return found


def _delivery_timelines(stage: FaultEnvironment, numbers: Sequence[str]) -> list[str]:
    """What happened to the first few of them, for a person who must find out why."""
    return [delivery_timeline(stage, number) for number in numbers[:3]]


def delivery_timeline(stage: FaultEnvironment, number: str) -> str:
    """A text's journal, its attempts, and what the simulator saw of it, in order of time."""
    lines: list[tuple[int, str]] = []
    moves = """SELECT j.at_ms, j.old, j.new FROM faults_journal j JOIN delivery d ON d.id = j.delivery_id
               WHERE d.address = :number AND d.channel = 'sms'"""
    lines += [(at_ms, f"{old}→{new}") for at_ms, old, new in stage.database.rows(moves, number=number)]
    attempts = """SELECT a.id, a.started_at_ms, a.slot_at_ms, a.lease_until_ms, a.finished_at_ms, a.outcome, a.detail
                  FROM attempt a WHERE a.sent_to = :number"""
    for one in stage.database.rows(attempts, number=number):
        lines.append((one.started_at_ms, f"attempt {one.id} (slot {one.slot_at_ms}, lease {one.lease_until_ms})"))
        lines.append((one.finished_at_ms or 0, f"attempt {one.id} ended {one.outcome!r} {one.detail}"))
    lines += [
        (call["at_ms"], f"request {call['outcome']} accepted={call['accepted']}")
        for call in stage.simulator.calls(to=number)
    ]
    return f"\n  {number}: " + "; ".join(f"{at_ms} {words}" for at_ms, words in sorted(lines))
