"""A CSV of accounts: from bytes to checked rows, every mistake named by row and column (DESIGN.md 6)."""

import csv
import io
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from email.errors import HeaderParseError
from email.headerregistry import Address
from functools import lru_cache
from zoneinfo import ZoneInfo, available_timezones

from portal.domain.phone import PhoneError, likely_zone, to_e164

REQUIRED = ("external_id", "name", "email", "account_type")
OPTIONAL = ("role", "timezone", "phone", "sms_opted_in_at", "sms_consent_source")
COLUMNS = (*REQUIRED, *OPTIONAL)
ROLES = ("user", "admin", "sysadmin")
"""From least to most; a role may do all that the ones before it may."""
_CONTINENTS = ("Africa", "America", "Antarctica", "Asia", "Atlantic", "Australia", "Europe", "Indian", "Pacific")
_LIMIT = 200
_EMAIL = re.compile(r"^[^@\s<>,;:\"()\[\]\\]+@[^@\s<>,;:\"()\[\]\\]+\.[^@\s<>,;:\"()\[\]\\]+$")


class RosterError(ValueError):
    """The file as a whole cannot be read; the text says why and what to do."""


@dataclass(frozen=True)
class Mistake:
    """`row` as a spreadsheet counts: the header is row 1."""

    row: int
    column: str
    sentence: str

    def __str__(self) -> str:
        return f"Row {self.row:,}, {self.column}: {self.sentence}"


@dataclass(frozen=True)
class RosterRow:
    """`opted_in_at_ms` (with its source) brings an opt-in that was given elsewhere."""

    row: int
    external_id: str
    name: str
    email: str
    account_type: str
    role: str
    timezone: str
    phone: str
    opted_in_at_ms: int | None
    consent_source: str


def decode(raw: bytes) -> str:
    """UTF-8, with or without a byte-order mark. Raises `RosterError` for anything else."""
    if not raw.strip():
        raise RosterError(f"The file is empty. Its first row must name the columns: {','.join(COLUMNS)}.")
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise RosterError("The file is UTF-16. Save it as “CSV UTF-8”.")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        row = raw.count(b"\n", 0, error.start) + 1
        raise RosterError(f"Row {row:,} is not UTF-8. Save the file as “CSV UTF-8”.") from error
    if "\x00" in text:
        raise RosterError("The file holds null bytes, so it is not a CSV. Save it as “CSV UTF-8”.")
    return text


def read(
    text: str, region: str, progress: Callable[[int], None] = lambda _row: None
) -> tuple[list[RosterRow], list[Mistake]]:
    """All good rows and all mistakes. Raises `RosterError` when the header is wrong."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = _header(next(reader, []))
        rows, mistakes = _read_rows(header, _numbered(reader), region, progress)
    except csv.Error as error:
        raise RosterError(f"Row {reader.line_num:,} is not CSV: {error}.") from error
    return rows, sorted([*mistakes, *_duplicates(rows)], key=lambda mistake: mistake.row)


def check_email(text: str) -> str | None:
    """What is wrong with an email address; None when nothing is."""
    if not _EMAIL.match(text) or len(text) > 254:
        return "This is not an email address, such as name@example.org."
    try:
        Address(addr_spec=text)
    except (ValueError, HeaderParseError):
        return "This is not an email address, such as name@example.org."
    return None


def check_timezone(text: str) -> str | None:
    return None if text in _zones() else "There is no such time zone. Use a name such as America/New_York."


def cities() -> list[str]:
    """The time zones that people know: by a city of theirs. Others, such as UTC or EST5EDT, are taken when typed."""
    return sorted(zone for zone in _zones() if zone.partition("/")[0] in _CONTINENTS)


def _numbered(reader: Iterable[list[str]]) -> Iterator[tuple[int, list[str]]]:
    for row, cells in enumerate(reader, start=2):
        if any(cell.strip() for cell in cells):
            yield row, cells


def _read_rows(
    header: list[str], numbered: Iterable[tuple[int, list[str]]], region: str, progress: Callable[[int], None]
) -> tuple[list[RosterRow], list[Mistake]]:
    rows: list[RosterRow] = []
    mistakes: list[Mistake] = []
    for row, cells in numbered:
        progress(row)
        if len(cells) > len(header):
            mistakes.append(Mistake(row, "whole row", f"There are {len(cells)} cells for {len(header)} columns."))
            continue
        values = dict(zip(header, (cell.strip() for cell in cells), strict=False))
        found = _Reading(row, {column: values.get(column, "") for column in COLUMNS}, region)
        mistakes += found.mistakes
        if not found.mistakes:
            rows.append(found.result())
    return rows, mistakes


def _header(cells: list[str]) -> list[str]:
    names = [cell.strip().lower() for cell in cells]
    missing = [column for column in REQUIRED if column not in names]
    unknown = [name or "(no name)" for name in names if name not in COLUMNS]
    if missing or unknown or len(set(names)) < len(names):
        shown = ", ".join(unknown[:5]) + (f" and {len(unknown) - 5:,} more" if len(unknown) > 5 else "")
        parts = [
            f"missing: {', '.join(missing)}" if missing else "",
            f"not known: {shown}" if unknown else "",
            "some are named twice" if not unknown and len(set(names)) < len(names) else "",
        ]
        raise RosterError(
            f"The columns in row 1 are not right ({'; '.join(filter(None, parts))}). They must be {','.join(COLUMNS)}."
        )
    return names


class _Reading:
    """One row, cell by cell."""

    def __init__(self, row: int, cells: dict[str, str], region: str) -> None:
        self.row = row
        self.cells = cells
        self.mistakes: list[Mistake] = []
        self._phone = self._read_phone(region)
        self._opted_in_at_ms = self._read_opt_in()
        self._check()

    def result(self) -> RosterRow:
        cells = self.cells
        return RosterRow(
            row=self.row,
            external_id=cells["external_id"],
            name=cells["name"],
            email=cells["email"],
            account_type=cells["account_type"],
            role=cells["role"] or "user",
            timezone=cells["timezone"] or (likely_zone(self._phone) if self._phone else None) or "UTC",
            phone=self._phone,
            opted_in_at_ms=self._opted_in_at_ms,
            consent_source=cells["sms_consent_source"],
        )

    def _check(self) -> None:
        for column in REQUIRED:
            if not self.cells[column]:
                self._say(column, "This cell must not be empty.")
        for column, text in self.cells.items():
            self._say(column, _unfit(column, text))
        if self.cells["email"]:
            self._say("email", check_email(self.cells["email"]))
        if self.cells["role"] and self.cells["role"] not in ROLES:
            self._say("role", f"A role is one of {', '.join(ROLES)}, not {self.cells['role']!r}.")
        if self.cells["timezone"]:
            self._say("timezone", check_timezone(self.cells["timezone"]))

    def _read_phone(self, region: str) -> str:
        text = self.cells["phone"]
        try:
            return to_e164(text, region) if text else ""
        except PhoneError as error:
            self._say("phone", str(error))
            return ""

    def _read_opt_in(self) -> int | None:
        text, source = self.cells["sms_opted_in_at"], self.cells["sms_consent_source"]
        if bool(text) != bool(source):
            missing = "sms_consent_source" if text else "sms_opted_in_at"
            self._say(missing, "An opt-in needs both when it was given and where.")
            return None
        if text and not self.cells["phone"]:
            self._say("phone", "An opt-in needs a phone number.")
        return self._read_time(text) if text else None

    def _read_time(self, text: str) -> int | None:
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            self._say("sms_opted_in_at", "Write the time like 2026-03-01T14:30:00Z.")
            return None
        zone = _zone(self.cells["timezone"])
        aware = moment if moment.tzinfo else moment.replace(tzinfo=zone)
        return round(aware.timestamp() * 1000)

    def _say(self, column: str, sentence: str | None) -> None:
        if sentence:
            self.mistakes.append(Mistake(self.row, column, sentence))


def _unfit(column: str, text: str) -> str | None:
    if column == "external_id" and not text.isprintable():
        return "It holds a line break or another character that cannot be shown."
    return f"Keep it to {_LIMIT} characters; this has {len(text):,}." if len(text) > _LIMIT else None


def _duplicates(rows: Iterable[RosterRow]) -> list[Mistake]:
    first: dict[str, int] = {}
    mistakes = []
    for row in rows:
        if row.external_id in first:
            sentence = f"{row.external_id} is in row {first[row.external_id]:,} already."
            mistakes.append(Mistake(row.row, "external_id", sentence))
        first.setdefault(row.external_id, row.row)
    return mistakes


def _zone(name: str) -> tzinfo:
    return ZoneInfo(name) if name in _zones() else UTC


@lru_cache(maxsize=1)
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())
