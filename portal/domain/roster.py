"""A CSV of accounts: from bytes to checked rows, each error named by row and column."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from portal.domain import csv_input, mail_address, text_input
from portal.domain.csv_input import Cells, CsvError, FileText, Mistake, Reading
from portal.domain.folding import same
from portal.domain.moments import Moment, MomentError, read_moment
from portal.domain.phone import likely_zone
from portal.domain.phone_cells import phone_of
from portal.domain.time_zones import check_timezone, zone_of

REQUIRED = ("external_id", "name", "email", "account_type")
OPTIONAL = ("role", "timezone", "phone", "sms_opted_in_at", "sms_consent_source")
COLUMNS = (*REQUIRED, *OPTIONAL)
ROLES = ("user", "admin", "sysadmin")
"""From least to most; a role may do all that the ones before it may."""
_LIMIT = 200


@dataclass(frozen=True)
class RosterRow:
    """`opted_in_at_ms` (with its source) brings an opt-in that was given elsewhere; its day where no more is known."""

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
    opted_in_day: str = ""


def decode(raw: bytes) -> FileText:
    """The text of a file. Raises `CsvError`, for an empty one with the columns it must have."""
    if not raw.strip():
        raise CsvError(f"The file is empty. Its first row must name the columns: {','.join(COLUMNS)}.")
    return csv_input.decode(raw)


def read(
    text: str, region: str, now_ms: int, progress: Callable[[int], None] = lambda _row: None
) -> Reading[RosterRow]:
    """All good rows, all mistakes and all warnings. Raises `CsvError` when the header is wrong."""
    found = csv_input.read(text, COLUMNS, REQUIRED, _row(region, now_ms), progress)
    mistakes = sorted([*found.mistakes, *_duplicates(found.rows)], key=lambda mistake: mistake.row)
    return replace(found, mistakes=mistakes)


def check_email(text: str) -> str | None:
    """What is wrong with an email address; None when nothing is."""
    return mail_address.problem(text)


def _row(region: str, now_ms: int) -> Callable[[Cells], RosterRow]:
    def read(cells: Cells) -> RosterRow:
        text = {column: _TIDY.get(column, text_input.code)(cells[column]) for column in COLUMNS}
        phone = phone_of(cells, "phone", text["phone"], region) if text["phone"] else ""
        opted_in = _opt_in(cells, text, now_ms)
        _check(cells, text)
        return RosterRow(
            row=cells.row,
            external_id=text["external_id"],
            name=text["name"],
            email=text["email"],
            account_type=text["account_type"],
            role=text["role"] or "user",
            timezone=text["timezone"] or (likely_zone(phone) if phone else None) or "UTC",
            phone=phone,
            opted_in_at_ms=opted_in.at_ms if opted_in else None,
            consent_source=text["sms_consent_source"],
            opted_in_day=opted_in.day if opted_in else "",
        )

    return read


_TIDY: Mapping[str, Callable[[str], str]] = {
    "name": text_input.one_line,
    "account_type": text_input.one_line,
    "sms_consent_source": text_input.one_line,
}


def _check(cells: Cells, text: Mapping[str, str]) -> None:
    for column in REQUIRED:
        if not text[column]:
            cells.refuse(column, "This cell must not be empty.")
    for column in COLUMNS:
        cells.refuse(column, _unfit(column, cells[column]))
    if text["email"]:
        cells.refuse("email", check_email(text["email"]))
    if text["role"] and text["role"] not in ROLES:
        cells.refuse("role", f"A role is one of {', '.join(ROLES)}, not {text['role']!r}.")
    if text["timezone"]:
        cells.refuse("timezone", check_timezone(text["timezone"]))


def _opt_in(cells: Cells, text: Mapping[str, str], now_ms: int) -> Moment | None:
    """When an opt-in was given; a time without a zone is the person's own."""
    at, source = text["sms_opted_in_at"], text["sms_consent_source"]
    if bool(at) != bool(source):
        missing = "sms_consent_source" if at else "sms_opted_in_at"
        cells.refuse(missing, "An opt-in needs both when it was given and where.")
        return None
    if at and not text["phone"]:
        cells.refuse("phone", "An opt-in needs a phone number.")
    try:
        return read_moment(at, zone_of(text["timezone"]), now_ms) if at else None
    except MomentError as error:
        cells.refuse("sms_opted_in_at", str(error))
        return None


def _unfit(column: str, text: str) -> str | None:
    if column == "external_id" and not text.isprintable():
        return "It holds a line break or another character that cannot be shown."
    return f"Keep it to {_LIMIT} characters; this has {len(text):,}." if len(text) > _LIMIT else None


def _duplicates(rows: Iterable[RosterRow]) -> list[Mistake]:
    first: dict[str, RosterRow] = {}
    mistakes = []
    for row in rows:
        other = first.setdefault(same(row.external_id), row)
        if other is not row:
            written = "" if other.external_id == row.external_id else f", written {other.external_id}"
            sentence = f"{row.external_id} is in row {other.row:,} already{written}."
            mistakes.append(Mistake(row.row, "external_id", sentence))
    return mistakes
