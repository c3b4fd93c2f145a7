"""What a row of a file would do to an account: create it, change some of its fields, or nothing."""

import hashlib
import struct
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from portal.accounts.rules.access_rules import acting_problem, role_change_problem
from portal.accounts.rules.account_csv import AccountRow
from portal.accounts.rules.account_fields import EDITABLE_FIELDS, REQUIRED_COLUMNS
from portal.accounts.rules.roles import HIGHEST_ROLE, LOWEST_ROLE
from portal.core.rules.csv_input import RowError
from portal.core.translation import gettext as _

PHONE = "phone"
_PREVIEWED_ROW = struct.Struct(">I8s")
_MAX_NUMBERS = 10


@dataclass(frozen=True)
class KnownAccount:
    """An account as it is now. `fields` are its `EDITABLE_FIELDS`, `attributes` its values by key."""

    id: int
    external_id: str
    identity: str
    fields: Mapping[str, str]
    attributes: Mapping[str, str]
    numbers: frozenset[str]
    is_erased: bool
    is_merged: bool


@dataclass(frozen=True)
class FieldChange:
    """`field` is one of `EDITABLE_FIELDS`, the key of an attribute, or `PHONE` for a number that is added."""

    field: str
    before: str
    after: str


@dataclass(frozen=True)
class RowOutcome:
    """`known` is None for an account that is created."""

    row: AccountRow
    known: KnownAccount | None
    changes: tuple[FieldChange, ...] = ()

    @property
    def kind(self) -> str:
        if self.known is None:
            return "new"
        return "changed" if self.changes else "unchanged"

    @property
    def digest(self) -> bytes:
        """Of everything that a preview shows about the row, so that what is done can be compared with it."""
        changes = [(change.field, change.before, change.after) for change in self.changes]
        known_id = self.known.id if self.known else 0
        text = repr((self.kind, self.row.external_id, known_id, changes))
        return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()


@dataclass(frozen=True)
class ImportRules:
    """Who imports, and whether an empty cell of an attribute removes its value. `keys` are attributes in the file."""

    actor_role: str
    actor_id: int | None
    keys: Sequence[str]
    erases_blanks: bool = False


def compare(row: AccountRow, known: KnownAccount, rules: ImportRules) -> tuple[FieldChange, ...]:
    """An empty cell changes nothing, except as `rules` say."""
    fields = [(name, known.fields[name], getattr(row, name)) for name in EDITABLE_FIELDS if getattr(row, name)]
    for key in rules.keys:
        value = row.attributes.get(key)
        if value or rules.erases_blanks:
            fields.append((key, known.attributes.get(key, ""), value.value if value else ""))
    changes = [FieldChange(name, before, after) for name, before, after in fields if before != after]
    if row.phone and row.phone not in known.numbers:
        changes.append(FieldChange(PHONE, "", row.phone))
    return tuple(changes)


def row_problems(row: AccountRow, known: KnownAccount | None, rules: ImportRules) -> Iterator[RowError]:
    """Why the row cannot be imported, whatever else is in the file."""
    for column, problem in _new_problems(row, rules) if known is None else _known_problems(row, known, rules):
        yield RowError(row.row_number, column, problem)


def _new_problems(row: AccountRow, rules: ImportRules) -> Iterator[tuple[str, str]]:
    for column in REQUIRED_COLUMNS:
        if not getattr(row, column):
            yield column, _("This cell is empty, and there is no account %(account)s yet.", account=row.external_id)
    if problem := role_change_problem(rules.actor_role, LOWEST_ROLE, row.role or LOWEST_ROLE):
        yield "role", problem


def _known_problems(row: AccountRow, known: KnownAccount, rules: ImportRules) -> Iterator[tuple[str, str]]:
    if known.is_erased:
        yield "external_id", _("The personal data of account %(account)s was erased.", account=known.external_id)
    if known.is_merged:
        yield "external_id", _("Account %(account)s was merged into another one.", account=known.external_id)
    role = known.fields["role"]
    if (problem := acting_problem(rules.actor_role, role)) and compare(row, known, rules):
        yield "external_id", problem
    if row.role and row.role != role:
        if problem := role_change_problem(rules.actor_role, role, row.role):
            yield "role", problem
        elif role == HIGHEST_ROLE:
            yield "role", _("Take the role of a system administrator on the account’s own page.")
    if row.phone and len(known.numbers | {row.phone}) > _MAX_NUMBERS:
        yield PHONE, _("An account can have %(limit)s phone numbers at most. Remove one first.", limit=_MAX_NUMBERS)


def pack_previewed_rows(outcomes: Iterable[RowOutcome]) -> bytes:
    return b"".join(_PREVIEWED_ROW.pack(outcome.row.row_number, outcome.digest) for outcome in outcomes)


class PreviewedRows:
    """The digest of each row that can be imported, in order of their numbers, as `pack_previewed_rows` wrote them."""

    def __init__(self, packed: bytes) -> None:
        self._packed = packed

    def digest_of(self, row_number: int) -> bytes | None:
        index = bisect_left(range(len(self._packed) // _PREVIEWED_ROW.size), row_number, key=self._row_at)
        if index * _PREVIEWED_ROW.size >= len(self._packed) or self._row_at(index) != row_number:
            return None
        return self._at(index)[1]

    def _row_at(self, index: int) -> int:
        return self._at(index)[0]

    def _at(self, index: int) -> tuple[int, bytes]:
        row, digest = _PREVIEWED_ROW.unpack_from(self._packed, index * _PREVIEWED_ROW.size)
        return row, digest
