"""What an hourly run of the diagnostics changes about a check."""

from dataclasses import dataclass

from portal.operations.rules.checks import Verdict


@dataclass(frozen=True)
class KnownVerdict:
    """`worse_since_ms` is when a check that had passed began to fail; None if it passes, or has never passed."""

    verdict: Verdict
    worse_since_ms: int | None = None


def next_verdict(known: KnownVerdict | None, verdict: Verdict, now_ms: int) -> KnownVerdict:
    """A check that fails from the start is not a change: nobody has set it up yet. Unknown says nothing new."""
    if verdict == "unknown":
        return known or KnownVerdict("unknown")
    if verdict != "failing":
        return KnownVerdict(verdict)
    has_passed = known is not None and known.verdict in ("ok", "warning")
    return KnownVerdict("failing", now_ms if has_passed else known.worse_since_ms if known else None)
