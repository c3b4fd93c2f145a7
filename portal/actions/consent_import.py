"""Opt-outs brought in from a file: looked at first, then written whole or not at all.

What is in the ledger already is counted and not written again, so the same file twice does no harm.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from portal.actions import consent
from portal.actions.accounts import ImportRefused
from portal.actions.asker import Asker
from portal.actions.errors import Refused
from portal.actions.transaction import transaction
from portal.context import settings
from portal.domain import consent_files, csv_input
from portal.domain.consent import Event, Kind, Standing, standing
from portal.domain.consent_files import StopRow
from portal.domain.csv_input import CsvError, FileText, Mistake, Reading, Row
from portal.domain.moments import start_of_day_ms
from portal.gateways import queue
from portal.models import consent as ledger

_NOT_WRITTEN_YET = 2**62


@dataclass(frozen=True)
class StopPlan:
    """`stops` are to be written; `overtaken` of them are older than a START, and those numbers stay on.

    `already` counts numbers that are opted out, or have this very opt-out in the ledger; `twice` repeated lines.
    """

    stops: list[StopRow]
    overtaken: int
    already: int
    twice: int
    warnings: Sequence[Mistake] = ()

    @property
    def silenced(self) -> int:
        return len(self.stops) - self.overtaken

    @property
    def done(self) -> str:
        """What was done, in words."""
        said = [
            f"{self.silenced:,} {'number is' if self.silenced == 1 else 'numbers are'} opted out.",
            f"{self.overtaken:,} said START after the opt-out and stay on." if self.overtaken else "",
            f"{self.already:,} {'was' if self.already == 1 else 'were'} opted out already." if self.already else "",
            f"{self.twice:,} came more than once." if self.twice else "",
        ]
        return " ".join(filter(None, said))


def decode(raw: bytes) -> FileText:
    """A file's text. Raises `Refused`."""
    try:
        return csv_input.decode(raw)
    except CsvError as error:
        raise Refused(str(error)) from error


def plan_stops(text: str, now_ms: int) -> StopPlan:
    """What an import would do. Raises `ImportRefused` (rows) or `Refused` (the text as a whole)."""
    return _plan(_checked(text, now_ms), now_ms)


def import_stops(text: str, asker: Asker, now_ms: int) -> StopPlan:
    """What was done: the numbers are silent from now on. Raises as `plan_stops` does, and then nothing was done."""
    found = _checked(text, now_ms)
    with transaction():
        ledger.lock()
        plan = _plan(found, now_ms)
        ledger.append(*(_event(row, asker, now_ms) for row in plan.stops))
        consent.settle_many([row.number for row in plan.stops], now_ms)
    queue.ring(settings().redis_url, "drain_sms")
    return plan


def readable(read: Callable[[], Reading[Row]]) -> Reading[Row]:
    """What was read. Raises `Refused` when it cannot be read as a whole, or nothing is in it."""
    try:
        found = read()
    except CsvError as error:
        raise Refused(str(error)) from error
    if not found.rows and not found.mistakes:
        raise Refused("There is nothing in it to import.")
    return found


def refuse_any(mistakes: Sequence[Mistake], stopped_at: int | None) -> None:
    if mistakes:
        raise ImportRefused(mistakes, stopped_at)


def standing_with(story: Sequence[Event], kind: Kind, at_ms: int, account_id: int | None = None) -> Standing:
    """How a number would stand if this had happened there too."""
    return standing([*story, Event(_NOT_WRITTEN_YET, kind, at_ms, account_id)])


def _checked(text: str, now_ms: int) -> Reading[StopRow]:
    found = readable(lambda: consent_files.read_stops(text, settings().region, now_ms))
    refuse_any(found.mistakes, found.stopped_at)
    return found


def _plan(found: Reading[StopRow], now_ms: int) -> StopPlan:
    rows = found.rows
    newest = _newest_of_each(rows, now_ms)
    stories = ledger.stories(list(newest))
    stops, overtaken = [], 0
    for number, row in newest.items():
        story = stories.get(number, [])
        if standing(story).stopped_ms is not None or _is_in(story, row):
            continue
        stops.append(row)
        overtaken += standing_with(story, Kind.STOP, _said_ms(row, now_ms)).stopped_ms is None
    return StopPlan(stops, overtaken, len(newest) - len(stops), len(rows) - len(newest), found.warnings)


def _newest_of_each(rows: Sequence[StopRow], now_ms: int) -> dict[str, StopRow]:
    """Of a number that comes more than once, the opt-out that was said last."""
    newest: dict[str, StopRow] = {}
    for row in rows:
        other = newest.get(row.number)
        if other is None or _said_ms(other, now_ms) < _said_ms(row, now_ms):
            newest[row.number] = row
    return newest


def _said_ms(row: StopRow, now_ms: int) -> int:
    """Where the file does not say when, the opt-out counts from now."""
    return now_ms if row.at_ms is None else row.at_ms


def _is_in(story: Sequence[Event], row: StopRow) -> bool:
    first_ms = start_of_day_ms(row.day, "UTC") if row.day else row.at_ms
    if first_ms is None or row.at_ms is None:
        return False
    return any(event.kind == Kind.STOP and first_ms <= event.at_ms <= row.at_ms for event in story)


def _event(row: StopRow, asker: Asker, now_ms: int) -> dict[str, Any]:
    return {
        "number": row.number,
        "kind": Kind.STOP,
        "source": "import",
        **asker.columns,
        "words": row.reason,
        "detail": {"row": row.row} | ({"day": row.day} if row.day else {}),
        "occurred_at_ms": _said_ms(row, now_ms),
        "recorded_at_ms": now_ms,
    }
