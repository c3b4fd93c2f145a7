"""Checks of the invariants I1 to I11 (docs/faults.md), from the simulator, the database and the logs."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from portal.core.rules.delivery_status import STATES
from portal.messages.rules.delivery_transitions import TRANSITIONS
from portal.messages.tables.delivery_total_upkeep import DIFFERENCES_SQL
from tests.faults.support.fault_environment import FaultEnvironment
from tests.faults.support.timing import LEASE_SECONDS
from tests.support import servers

_MAX_SENDING_MS = {"sms": round(LEASE_SECONDS * 1000) + 60_000, "email": 300_000 + 60_000}
"""The lease plus one minute. The lease of an email is five minutes."""

_ALLOWED_REGRESSIONS = {("sending", "ready"), ("unknown", "ready"), ("ready", "paused"), ("paused", "ready")}
"""The permitted transitions to a lower rank: nothing was sent, or a lookup proved that."""


_PERMITTED = {(source, target) for change in TRANSITIONS for source in change.sources for target in change.targets}


class DefectFound(AssertionError):
    """The scenario has shown the defect that it tests for."""


@dataclass(frozen=True)
class SendOutcome:
    """The result of one send; `unknown_outcomes` counts attempts whose outcome was unknown at first."""

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
            "emails repeated": self.repeated_emails,
            "unknown outcomes": self.unknown_outcomes,
            "attempts": self.attempts,
        }


def check_invariants(
    environment: FaultEnvironment, send: int, phone_numbers: Sequence[str], check_pace: bool = True
) -> SendOutcome:
    """Assert every invariant for a settled send with exactly one text to each of `phone_numbers`.

    Pass `check_pace=False` if slots were moved afterwards and no longer show the pace.
    """
    outcome = measure_outcome(environment, send, phone_numbers)
    run = f"on {environment.engine} (seed {environment.seed})"
    assert not outcome.duplicated, f"I2: texted twice {run}: {_delivery_timelines(environment, outcome.duplicated)}"
    assert not outcome.missing, f"I2: never texted {run}: {_delivery_timelines(environment, outcome.missing)}"
    check_emails(environment, send)
    check_transitions(environment, send)
    if check_pace:
        check_pacing(environment, send)
    check_logs_redacted(environment)
    return outcome


def measure_outcome(environment: FaultEnvironment, send: int, phone_numbers: Sequence[str]) -> SendOutcome:
    text_counts = Counter(text["to"] for text in environment.simulator.accepted_texts())
    message_ids = _message_ids_by_address(environment, send)
    unknown = """SELECT count(*) FROM faults_journal j JOIN delivery d ON d.id = j.delivery_id
                WHERE j.new = 'unknown' AND d.channel = 'sms' AND d.send_id = :send"""
    attempts = """SELECT count(*) FROM attempt a JOIN delivery d ON d.id = a.delivery_id
               WHERE d.channel = 'sms' AND d.send_id = :send"""
    return SendOutcome(
        texts=sum(text_counts[number] for number in phone_numbers),
        missing=[number for number in phone_numbers if not text_counts[number]],
        duplicated=[number for number in phone_numbers if text_counts[number] > 1],
        emails=len(message_ids),
        repeated_emails=sum(len(ids) - 1 for ids in message_ids.values()),
        unknown_outcomes=environment.database.value(unknown, send=send),
        attempts=environment.database.value(attempts, send=send),
    )


def check_emails(environment: FaultEnvironment, send: int, rejected: int = 0) -> int:
    """I1: one email delivery per communication, and every email arrived except `rejected` permanent rejections.

    Returns how many arrived more than once. Repeats must carry the same Message-ID.
    """
    query = """SELECT c.id, count(d.id) FROM communication c LEFT JOIN delivery d
               ON d.communication_id = c.id AND d.channel = 'email' WHERE c.send_id = :send GROUP BY c.id"""
    counts = environment.database.rows(query, send=send)
    assert {count for _, count in counts} == {1}, f"I1 on {environment.engine}: {counts}"
    message_ids = _message_ids_by_address(environment, send)
    expected = len(counts) - rejected
    assert len(message_ids) == expected, f"I1 on {environment.engine}: {len(message_ids)} of {expected} emails arrived"
    differing = {address: ids for address, ids in message_ids.items() if len(set(ids)) > 1}
    assert not differing, f"I1 on {environment.engine}: one email under several Message-IDs: {differing}"
    return sum(len(ids) > 1 for ids in message_ids.values())


def check_transitions(environment: FaultEnvironment, send: int) -> None:
    """I4, I5 and I6, from the journal of state changes."""
    query = """SELECT j.delivery_id, d.channel, j.at_ms, j.old, j.new FROM faults_journal j
               JOIN delivery d ON d.id = j.delivery_id WHERE d.send_id = :send ORDER BY j.n"""
    entered_at_ms: dict[int, int] = {}
    for delivery, channel, at_ms, old, new in environment.database.rows(query, send=send):
        assert not STATES[old].final, f"I6 on {environment.engine}: delivery {delivery} went from {old} to {new}"
        assert (old, new) in _PERMITTED, f"I6 on {environment.engine}: delivery {delivery} went from {old} to {new}"
        is_forward = STATES[new].rank > STATES[old].rank
        assert is_forward or (old, new) in _ALLOWED_REGRESSIONS, (
            f"I6 on {environment.engine}: delivery {delivery} moved back from {old} to {new}"
        )
        if old == "sending":
            duration_ms = at_ms - entered_at_ms.get(delivery, at_ms)
            assert duration_ms <= _MAX_SENDING_MS[channel], (
                f"I4 on {environment.engine}: {channel} {delivery} was being sent for {duration_ms} ms"
            )
        entered_at_ms[delivery] = at_ms
    unfinished = "SELECT id, state FROM delivery WHERE send_id = :send AND state IN ('ready', 'sending')"
    rows = environment.database.rows(unfinished, send=send)
    assert not rows, f"I5 on {environment.engine}: {rows}"


def check_pacing(environment: FaultEnvironment, send: int) -> None:
    """I7: no second has more claimed slots than the rate allows."""
    query = """SELECT a.slot_at_ms FROM attempt a JOIN delivery d ON d.id = a.delivery_id
               WHERE d.channel = 'sms' AND d.send_id = :send"""
    busiest = max_per_second([row[0] for row in environment.database.rows(query, send=send)])
    assert busiest <= environment.rate + 1, (
        f"I7 on {environment.engine}: {busiest} slots in one second at {environment.rate:g}/s"
    )


def check_logs_redacted(environment: FaultEnvironment) -> None:
    """I9: no phone number and no secret in any log of the portal."""
    for log in environment.folder.glob("*.log"):
        if log.name == "simulator.log":
            continue
        text = log.read_text(errors="replace")
        assert "+1415" not in text, f"I9: a phone number in {log.name} on {environment.engine}"
        for secret in (servers.LIVE_CREDENTIALS["AuthToken"], environment.env_vars["PORTAL_ENCRYPTION_KEY"]):
            assert secret not in text, f"I9: a secret in {log.name} on {environment.engine}"


def check_ledger(environment: FaultEnvironment) -> None:
    """I10: the hash chain of the consent ledger is unbroken."""
    assert "unbroken" in environment.run_portal_command("consent", "verify"), f"I10 on {environment.engine}"


def check_totals(environment: FaultEnvironment) -> None:
    """I11: the totals equal a recount, in one statement, because processes may still be at work."""
    differences = environment.database.rows(DIFFERENCES_SQL)
    assert not differences, f"I11 on {environment.engine}: {differences}"


def max_per_second(times_ms: Sequence[int]) -> int:
    """The highest count in any sliding second."""
    highest, first = 0, 0
    ordered = sorted(times_ms)
    for last, time_ms in enumerate(ordered):
        while ordered[first] <= time_ms - 1000:
            first += 1
        highest = max(highest, last - first + 1)
    return highest


def _message_ids_by_address(environment: FaultEnvironment, send: int) -> dict[str, list[str]]:
    """The Message-IDs of the emails that each address of a send received."""
    query = "SELECT address FROM delivery WHERE channel = 'email' AND send_id = :send"
    addresses = {row[0] for row in environment.database.rows(query, send=send)}
    others = "SELECT provider_id FROM delivery WHERE channel = 'email' AND (send_id IS NULL OR send_id <> :send)"
    other_ids = {row[0] for row in environment.database.rows(others, send=send)}
    message_ids: dict[str, list[str]] = {}
    for email in environment.simulator.received_emails():
        if email["to"][0] in addresses and email["message_id"] not in other_ids:
            message_ids.setdefault(email["to"][0], []).append(email["message_id"])
    return message_ids


def _delivery_timelines(environment: FaultEnvironment, phone_numbers: Sequence[str]) -> list[str]:
    """Timelines of the first few, to explain a failure."""
    return [delivery_timeline(environment, phone_number) for phone_number in phone_numbers[:3]]


def delivery_timeline(environment: FaultEnvironment, phone_number: str) -> str:
    """A text's state changes, attempts and API requests, in order of time."""
    events: list[tuple[int, str]] = []
    changes = """SELECT j.at_ms, j.old, j.new FROM faults_journal j JOIN delivery d ON d.id = j.delivery_id
               WHERE d.address = :phone_number AND d.channel = 'sms'"""
    rows = environment.database.rows(changes, phone_number=phone_number)
    events += [(at_ms, f"{old}→{new}") for at_ms, old, new in rows]
    attempts = """SELECT a.id, a.started_at_ms, a.slot_at_ms, a.lease_until_ms, a.finished_at_ms, a.outcome, a.detail
                  FROM attempt a WHERE a.destination = :phone_number"""
    for row in environment.database.rows(attempts, phone_number=phone_number):
        events.append((row.started_at_ms, f"attempt {row.id} (slot {row.slot_at_ms}, lease {row.lease_until_ms})"))
        events.append((row.finished_at_ms or 0, f"attempt {row.id} ended {row.outcome!r} {row.detail}"))
    events += [
        (call["at_ms"], f"request {call['outcome']} accepted={call['accepted']}")
        for call in environment.simulator.calls(to=phone_number)
    ]
    return f"\n  {phone_number}: " + "; ".join(f"{at_ms} {event}" for at_ms, event in sorted(events))
