"""Opt-ins that were given elsewhere, brought in with their evidence: whole or not at all.

Paper never lifts a STOP and never takes texts from another account; what it cannot do is kept as evidence.
"""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import insert

from portal.actions import consent
from portal.actions.asker import Asker
from portal.actions.consent_import import readable, refuse_any, standing_with
from portal.actions.paper import Paper, changed_hands
from portal.actions.phones import MOST_NUMBERS
from portal.actions.transaction import transaction
from portal.context import settings
from portal.domain import consent_files
from portal.domain.consent import Event, Kind, standing
from portal.domain.consent_files import OptInRow
from portal.domain.csv_input import Mistake, Reading
from portal.models import consent as ledger
from portal.models import consent_search
from portal.models.account import emails_of, numbered
from portal.models.phone import PhoneNumber

STOPPED = "The number is opted out, and only START from that phone turns texts on again."
HELD = "Another account gets this number’s texts."
NEWER = "A newer row of the file gives this number’s texts to another account."
CHANGED_HANDS = "Another account got this number after the opt-in was given."
OVERTAKEN = "Something that happened at the number since then stands against it."


@dataclass(frozen=True)
class OptInPlan:
    """`given` get texts; `kept` are kept as evidence only, each with why; `new_numbers` go on their accounts first.

    `already` counts rows that are in the ledger, word for word.
    """

    given: list[OptInRow] = field(default_factory=list)
    kept: list[tuple[OptInRow, str]] = field(default_factory=list)
    new_numbers: list[OptInRow] = field(default_factory=list)
    already: int = 0
    warnings: Sequence[Mistake] = ()

    @property
    def done(self) -> str:
        """What was done, in words."""
        given, kept, new = len(self.given), len(self.kept), len(self.new_numbers)
        said = [
            f"{given:,} {'opt-in is' if given == 1 else 'opt-ins are'} in force.",
            f"{kept:,} {'is' if kept == 1 else 'are'} kept as evidence only." if kept else "",
            f"{new:,} {'number was' if new == 1 else 'numbers were'} added to an account." if new else "",
            f"{self.already:,} {'was' if self.already == 1 else 'were'} in the ledger already." if self.already else "",
        ]
        return " ".join(filter(None, said))


@dataclass(frozen=True)
class _Known:
    """What the database knows of the accounts and numbers in a file."""

    account_ids: Mapping[str, int]
    emails: Mapping[int, str]
    numbers: Mapping[str, set[str]]
    written: set[tuple[int | None, str, int, str]]
    stories: Mapping[str, list[Event]]


def plan_opt_ins(text: str, now_ms: int) -> OptInPlan:
    """What an import would do. Raises `ImportRefused` (rows) or `Refused` (the file as a whole)."""
    found = _read(text, now_ms)
    return _plan(found, _checked(found))


def import_opt_ins(text: str, asker: Asker, now_ms: int) -> OptInPlan:
    """What was done; nothing is texted. Raises as `plan_opt_ins` does, and then nothing was done."""
    found = _read(text, now_ms)
    with transaction() as session:
        ledger.lock()
        known = _checked(found)
        plan = _plan(found, known)
        if plan.new_numbers:
            session.execute(insert(PhoneNumber), [_phone(row, known, now_ms) for row in plan.new_numbers])
        kinds = [(row, Kind.OPT_IN) for row in plan.given] + [(row, Kind.EVIDENCE) for row, _why in plan.kept]
        written = sorted(kinds, key=lambda pair: pair[0].row)
        ledger.append(*(_event(row, kind, known, asker, now_ms) for row, kind in written))
        consent.settle_many([row.number for row in plan.given], now_ms)
    return plan


def _read(text: str, now_ms: int) -> Reading[OptInRow]:
    found = readable(lambda: consent_files.read_opt_ins(text, settings().region, now_ms))
    stored = numbered([row.external_id for row in found.rows])
    rows = [
        replace(row, external_id=stored[row.external_id].external_id) if row.external_id in stored else row
        for row in found.rows
    ]
    return replace(found, rows=rows)


def _checked(found: Reading[OptInRow]) -> _Known:
    rows = found.rows
    known = _known(rows)
    unknown = [
        Mistake(row.row, "external_id", f"There is no account with the number {row.external_id}.")
        for row in rows
        if row.external_id not in known.account_ids
    ]
    refuse_any([*found.mistakes, *unknown, *_too_many(rows, known)], found.stopped_at)
    return known


def _known(rows: Sequence[OptInRow]) -> _Known:
    external_ids, numbers = [row.external_id for row in rows], [row.number for row in rows]
    account_ids = {external_id: account.id for external_id, account in numbered(external_ids).items()}
    return _Known(
        account_ids,
        emails_of(account_ids.values()),
        consent_search.numbers_by_external_id(external_ids),
        consent_search.opt_ins_at(numbers),
        ledger.stories(numbers),
    )


def _too_many(rows: Sequence[OptInRow], known: _Known) -> list[Mistake]:
    mistakes = []
    numbers = {external_id: set(own) for external_id, own in known.numbers.items()}
    for row in rows:
        own = numbers.setdefault(row.external_id, set())
        own.add(row.number)
        if len(own) > MOST_NUMBERS:
            words = f"{row.external_id} would hold more than {MOST_NUMBERS} numbers. Remove one first."
            mistakes.append(Mistake(row.row, "phone", words))
    return mistakes


def _plan(found: Reading[OptInRow], known: _Known) -> OptInPlan:
    rows = found.rows
    newest = {row.number: row for row in sorted(rows, key=lambda row: (row.at_ms, row.row))}
    new = [row for row in rows if not _is_in(row, known)]
    doubtful = changed_hands([_paper(row, known) for row in new], known.stories)
    why = {row.row: _why_kept(row, known, doubtful) or (NEWER if newest[row.number] is not row else "") for row in new}
    return OptInPlan(
        given=[row for row in new if not why[row.row]],
        kept=[(row, why[row.row]) for row in new if why[row.row]],
        new_numbers=[row for row in new if row.number not in known.numbers.get(row.external_id, set())],
        already=len(rows) - len(new),
        warnings=found.warnings,
    )


def _is_in(row: OptInRow, known: _Known) -> bool:
    return (known.account_ids[row.external_id], row.number, row.at_ms, row.evidence) in known.written


def _paper(row: OptInRow, known: _Known) -> Paper:
    account_id = known.account_ids[row.external_id]
    return Paper(row.number, account_id, known.emails[account_id], row.at_ms)


def _why_kept(row: OptInRow, known: _Known, doubtful: Set[Paper]) -> str:
    """Why an opt-in on paper brings no texts; empty when it does."""
    account_id, story = known.account_ids[row.external_id], known.stories.get(row.number, [])
    now = standing(story)
    if now.stopped_ms is not None:
        return STOPPED
    if now.holder not in (None, account_id):
        return HELD
    if _paper(row, known) in doubtful:
        return CHANGED_HANDS
    then = standing_with(story, Kind.OPT_IN, row.at_ms, account_id)
    return "" if then.holder == account_id and then.gets_texts else OVERTAKEN


def _phone(row: OptInRow, known: _Known, now_ms: int) -> dict[str, Any]:
    account_id = known.account_ids[row.external_id]
    return {"account_id": account_id, "number": row.number, "label": "", "holds_sms": False, "created_at_ms": now_ms}


def _event(row: OptInRow, kind: Kind, known: _Known, asker: Asker, now_ms: int) -> dict[str, Any]:
    return {
        "number": row.number,
        "account_id": known.account_ids[row.external_id],
        "kind": kind,
        "source": "import",
        **asker.columns,
        "words": row.evidence,
        "detail": {"row": row.row} | ({"day": row.day} if row.day else {}),
        "occurred_at_ms": row.at_ms,
        "recorded_at_ms": now_ms,
    }
