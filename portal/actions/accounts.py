"""Accounts: created one by one, or imported whole or not at all."""

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import insert, select, update
from sqlalchemy.exc import IntegrityError

from portal.actions import mail_letters, passwords
from portal.actions.errors import Invalid, Refused
from portal.actions.paper import Paper, changed_hands
from portal.actions.transaction import transaction
from portal.context import settings
from portal.domain import roster, text_input
from portal.domain.consent import Event, Kind, standing
from portal.domain.csv_input import CsvError, Mistake
from portal.domain.mail_address import needs_smtputf8
from portal.domain.roster import RosterRow
from portal.domain.time_zones import check_timezone
from portal.extensions import db
from portal.models import audit_log
from portal.models import consent as ledger
from portal.models.account import Account, by_external_id, numbered
from portal.models.phone import Handset, PhoneNumber

_CHUNK = 1_000
_NOT_WRITTEN_YET = 2**62
Progress = Callable[[str, int, int], None]
"""Called with what is being done, how far it is, and how far it goes."""


@dataclass(frozen=True)
class NewAccount:
    external_id: str
    name: str
    email: str
    account_type: str
    role: str = "user"
    timezone: str = "UTC"
    password: str | None = None


class ImportRefused(Refused):
    """Nothing was imported; every mistake is listed, up to the row behind which there were enough of them."""

    def __init__(self, mistakes: Sequence[Mistake], stopped_at: int | None = None) -> None:
        plural = "mistake" if len(mistakes) == 1 else "mistakes"
        upto = f" up to row {stopped_at:,}. What comes after it was not read" if stopped_at else ""
        super().__init__(f"Nothing was imported: {len(mistakes):,} {plural} found{upto}.")
        self.mistakes = sorted(mistakes, key=lambda mistake: mistake.row)


@dataclass(frozen=True)
class Imported:
    """How many accounts were made, and what deserves a look although it was let through."""

    count: int
    warnings: list[str]


def create_account(new: NewAccount, now_ms: int) -> int:
    """The id of the account. Raises `Invalid` with the fields of `NewAccount`."""
    new = _read(new)
    errors = _errors(new)
    if other := by_external_id(new.external_id):
        errors.setdefault("external_id", _taken(repr(new.external_id), repr(other.external_id)))
    if errors:
        raise Invalid(errors)
    values = _values(new.external_id, new.name, new.email, new.account_type, new.role, new.timezone, now_ms)
    account = Account(**values, password=passwords.hashed(new.password) if new.password else None)
    try:
        with transaction() as session:
            session.add(account)
            session.flush()
            return account.id
    except IntegrityError as error:
        raise Invalid({"external_id": f"There is an account with the number {new.external_id!r} already."}) from error


def import_accounts(raw: bytes, now_ms: int, progress: Progress = lambda _what, _done, _total: None) -> Imported:
    """What was done. Raises `ImportRefused` (rows and columns) or `Refused` (the file as a whole)."""
    try:
        file = roster.decode(raw)
        total = file.text.count("\n")
        found = roster.read(
            file.text, settings().region, now_ms, lambda row: progress("Checking", min(row, total), total)
        )
    except CsvError as error:
        raise Refused(str(error)) from error
    mistakes = [*found.mistakes, *_already_there(found.rows), *_unsendable(found.rows)]
    if mistakes:
        raise ImportRefused(mistakes, found.stopped_at)
    if not found.rows:
        raise Refused("The file has a header and no rows. Nothing was imported.")
    _insert(found.rows, now_ms, progress)
    return Imported(len(found.rows), [*file.warnings, *map(str, found.warnings)])


def set_timezone(account_id: int, name: str, actor_id: int, now_ms: int) -> None:
    """Raises `Invalid` with the field `timezone`. Whoever changes it for somebody else is in the audit log."""
    problem = check_timezone(name)
    if problem:
        raise Invalid({"timezone": problem})
    with transaction() as session:
        account = session.get_one(Account, account_id)
        if actor_id != account_id and name != account.timezone:
            change = {"from": account.timezone, "to": name}
            audit_log.add("timezone_changed", f"account {account.external_id}", actor_id, now_ms, **change)
        account.timezone = name


def set_password_for_all(password: str) -> None:
    """One password for every account that has none: for a demo, never for people."""
    stored = passwords.hashed(password)
    with transaction() as session:
        session.execute(update(Account).where(Account.password.is_(None)).values(password=stored))


def end_sessions(account_id: int) -> None:
    """Every session of the account ends, on whatever device: its cookies name an identity that is no more."""
    with transaction() as session:
        session.get_one(Account, account_id).fs_uniquifier = secrets.token_hex(16)


def _read(new: NewAccount) -> NewAccount:
    """Without what nobody sees."""
    codes = {name: text_input.code(getattr(new, name)) for name in ("external_id", "email", "role", "timezone")}
    words = {name: text_input.one_line(getattr(new, name)) for name in ("name", "account_type")}
    return replace(new, **codes, **words)


def _errors(new: NewAccount) -> dict[str, str]:
    checks = {
        "external_id": None if new.external_id else "Give the account a number.",
        "name": None if new.name else "Give a name.",
        "email": roster.check_email(new.email) or mail_letters.problem([new.email]),
        "account_type": None if new.account_type else "Give an account type, such as Practitioner.",
        "role": None if new.role in roster.ROLES else f"A role is one of {', '.join(roster.ROLES)}.",
        "timezone": check_timezone(new.timezone),
        "password": _password_problem(new),
    }
    return {field: problem for field, problem in checks.items() if problem}


def _password_problem(new: NewAccount) -> str | None:
    if new.password is None:
        return None
    return passwords.problem(new.password, new.name, new.email, new.external_id)


def _already_there(rows: Sequence[RosterRow]) -> list[Mistake]:
    known = numbered([row.external_id for row in rows])
    return [
        Mistake(row.row, "external_id", _taken(row.external_id, known[row.external_id].external_id))
        for row in rows
        if row.external_id in known
    ]


def _taken(number: str, by: str) -> str:
    same_but_case = "" if by == number else " Numbers that differ only in case count as the same."
    return f"There is an account with the number {by} already.{same_but_case}"


def _unsendable(rows: Sequence[RosterRow]) -> list[Mistake]:
    problem = mail_letters.problem(row.email for row in rows)
    wrong = [row.row for row in rows if needs_smtputf8(row.email)] if problem else []
    return [Mistake(row, "email", problem or "") for row in wrong]


def _insert(rows: Sequence[RosterRow], now_ms: int, progress: Progress) -> None:
    """All rows in one transaction: a mistake anywhere leaves nothing half-imported."""
    with transaction():
        ledger.lock()
        holders = _holders(rows)
        for start in range(0, len(rows), _CHUNK):
            part = rows[start : start + _CHUNK]
            _insert_part(part, holders, now_ms)
            progress("Importing", start + len(part), len(rows))


def _insert_part(rows: Sequence[RosterRow], holders: dict[str, int], now_ms: int) -> None:
    db.session.execute(insert(Account), [_account(row, now_ms) for row in rows])
    ids = _ids([row.external_id for row in rows])
    phones = [_phone(row, ids[row.external_id], holders, now_ms) for row in rows if row.phone]
    if phones:
        db.session.execute(insert(PhoneNumber), phones)
    opted_in = [row for row in rows if row.opted_in_at_ms is not None]
    ledger.append(*(_event(row, ids[row.external_id], holders, now_ms) for row in opted_in))


def _holders(rows: Sequence[RosterRow]) -> dict[str, int]:
    """Number to the row that holds its texts: the newest opt-in; never against a holder or a STOP we know of."""
    newest: dict[str, RosterRow] = {}
    for row in rows:
        if row.opted_in_at_ms is None:
            continue
        other = newest.get(row.phone)
        if other is None or (other.opted_in_at_ms or 0) < row.opted_in_at_ms:
            newest[row.phone] = row
    taken = set(db.session.scalars(select(PhoneNumber.number).where(PhoneNumber.holds_sms == True)))  # noqa: E712
    taken |= set(db.session.scalars(select(Handset.number).where(Handset.stopped_at_ms.is_not(None))))
    taken |= _overtaken(newest)
    return {number: row.row for number, row in newest.items() if number not in taken}


def _overtaken(newest: dict[str, RosterRow]) -> set[str]:
    """Numbers at which something that happened since stands against the paper: the ledger would give no texts by it,
    or another account got the number."""
    stories = ledger.stories(list(newest))
    papers = [Paper(number, None, row.email, row.opted_in_at_ms or 0) for number, row in newest.items()]
    found = {paper.number for paper in changed_hands(papers, stories)}
    for number, story in stories.items():
        opt_in = Event(_NOT_WRITTEN_YET, Kind.OPT_IN, newest[number].opted_in_at_ms or 0, _NOT_WRITTEN_YET)
        if standing([*story, opt_in]).holder != _NOT_WRITTEN_YET:
            found.add(number)
    return found


def _ids(external_ids: Sequence[str]) -> dict[str, int]:
    query = select(Account.external_id, Account.id).where(Account.external_id.in_(external_ids))
    return {external_id: account_id for external_id, account_id in db.session.execute(query)}


def _account(row: RosterRow, now_ms: int) -> dict[str, Any]:
    return _values(row.external_id, row.name, row.email, row.account_type, row.role, row.timezone, now_ms)


def _values(
    external_id: str, name: str, email: str, account_type: str, role: str, timezone: str, now_ms: int
) -> dict[str, Any]:
    return {
        "external_id": external_id,
        "name": name,
        "email": email,
        "account_type": account_type,
        "role": role,
        "timezone": timezone,
        "active": True,
        "fs_uniquifier": secrets.token_hex(16),
        "created_at_ms": now_ms,
    }


def _phone(row: RosterRow, account_id: int, holders: dict[str, int], now_ms: int) -> dict[str, Any]:
    holds = holders.get(row.phone) == row.row
    return {
        "account_id": account_id,
        "number": row.phone,
        "label": "",
        "holds_sms": holds,
        "holds_sms_since_ms": row.opted_in_at_ms if holds else None,
        "created_at_ms": now_ms,
    }


def _event(row: RosterRow, account_id: int, holders: dict[str, int], now_ms: int) -> dict[str, Any]:
    """Consent given on paper is kept as evidence even where it does not bring the texts here."""
    return {
        "number": row.phone,
        "account_id": account_id,
        "kind": Kind.OPT_IN if holders.get(row.phone) == row.row else Kind.EVIDENCE,
        "source": "import",
        "words": row.consent_source,
        "detail": {"row": row.row} | ({"day": row.opted_in_day} if row.opted_in_day else {}),
        "occurred_at_ms": row.opted_in_at_ms,
        "recorded_at_ms": now_ms,
    }
