"""Accounts: who can sign in, and in which role."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NamedTuple

from flask_security import RoleMixin, UserMixin
from sqlalchemy import Index, Text, case, event, func, insert, or_, select, text
from sqlalchemy.orm import Mapped, attributes, mapped_column

from portal.accounts.rules.roles import ROLES
from portal.accounts.rules.sign_in_names import normalise_sign_in_name
from portal.core.column_types import STRICT, BigIntKey, Flag, Millis
from portal.core.extensions import Base, db
from portal.core.rules import text_input
from portal.core.rules.case_folding import build_search_text, fold_case
from portal.core.statements import in_list

_BATCH_SIZE = 1_000
MAX_ACCOUNTS_PER_EMAIL = 5
"""Accounts checked at sign-in by email. People with more accounts sign in by account number."""


@dataclass(frozen=True)
class Role(RoleMixin):  # type: ignore[misc]
    name: str


_SEARCHED_COLUMNS = ("name", "email", "external_id")


def _computed_from(*columns: str, of: Callable[..., str]) -> Callable[[Any], str]:
    """A default computed from other columns on insert."""
    return lambda context: of(*(context.get_current_parameters()[column] for column in columns))


class Account(Base, UserMixin):  # type: ignore[misc]
    __tablename__ = "account"
    __table_args__ = (
        Index("ix_account_email_folded", "email_folded"),
        Index("ix_account_type", "account_type", "id"),
        # for the beginning of a name: the usual order of PostgreSQL depends on its collation
        Index("ix_account_search", "search_folded", postgresql_ops={"search_folded": "text_pattern_ops"}),
        # What audiences ask of all accounts, in order of the ids.
        Index("ix_account_audience", "id", "active", "role", "account_type", "timezone", "language"),
        Index("uq_account_external_id_folded", "external_id_folded", unique=True),
        Index(
            "ix_account_deactivated",
            "id",
            sqlite_where=text("deactivated_at_ms IS NOT NULL"),
            postgresql_where=text("deactivated_at_ms IS NOT NULL"),
        ),
        STRICT,
    )

    id: Mapped[int] = mapped_column(BigIntKey, primary_key=True)
    external_id: Mapped[str] = mapped_column(Text, unique=True)
    name: Mapped[str] = mapped_column(Text)
    email: Mapped[str] = mapped_column(Text)
    account_type: Mapped[str] = mapped_column(Text)
    role: Mapped[str] = mapped_column(Text, default="user")
    timezone: Mapped[str] = mapped_column(Text)
    active: Mapped[bool] = mapped_column(Flag, default=True)
    password: Mapped[str | None] = mapped_column(Text)
    fs_uniquifier: Mapped[str] = mapped_column(Text, unique=True)
    created_at_ms: Mapped[int] = mapped_column(Millis)
    erased_at_ms: Mapped[int | None] = mapped_column(Millis)
    """When its personal data was removed. The account number stays, so that an import does not create it anew."""
    deactivated_at_ms: Mapped[int | None] = mapped_column(Millis)
    """Since when it gets no messages and cannot sign in; `active` is then false."""
    merged_into_id: Mapped[int | None] = mapped_column(BigIntKey)
    """The account that took over its communications, numbers and attributes."""
    language: Mapped[str] = mapped_column(Text, default="", server_default=text("'en'"))
    """The code of the one that was chosen; "" for that of the portal. The default of the server is of release 7."""
    signed_in_at_ms: Mapped[int | None] = mapped_column(Millis)
    """When somebody last signed in; None for never, or before release 9."""
    external_id_folded: Mapped[str] = mapped_column(Text, default=_computed_from("external_id", of=fold_case))
    """Makes account numbers unique regardless of case."""
    email_folded: Mapped[str] = mapped_column(Text, default=_computed_from("email", of=fold_case))
    search_folded: Mapped[str] = mapped_column(Text, default=_computed_from(*_SEARCHED_COLUMNS, of=build_search_text))

    @property
    def roles(self) -> list[Role]:
        return [Role(name) for name in ROLES[: ROLES.index(self.role) + 1]]


@event.listens_for(Account, "before_update")
def _refresh_folded_columns(_mapper: object, _connection: object, account: Account) -> None:
    if any(attributes.get_history(account, name).has_changes() for name in _SEARCHED_COLUMNS):
        account.external_id_folded, account.email_folded = fold_case(account.external_id), fold_case(account.email)
        account.search_folded = build_search_text(account.name, account.email, account.external_id)


def insert_account_rows(rows: Sequence[Mapping[str, Any]]) -> None:
    """For many accounts at once, which takes less than half the time of `insert(Account)`. None of them may exist."""
    db.session.connection().execute(insert(Account), list(map(_with_defaults, rows)))


def _with_defaults(row: Mapping[str, Any]) -> dict[str, Any]:
    """Computing them here, and not as defaults of the columns, is what saves the time."""
    name, email, external_id = (row[column] for column in _SEARCHED_COLUMNS)
    folded = {"external_id_folded": fold_case(external_id), "email_folded": fold_case(email)}
    return {**row, **folded, "search_folded": build_search_text(name, email, external_id), "active": True}


def find_by_external_id(external_id: str) -> Account | None:
    """Regardless of case."""
    return db.session.scalar(select(Account).where(Account.external_id_folded == fold_case(external_id)))


def find_by_identity(fs_uniquifier: str) -> Account | None:
    return db.session.scalar(select(Account).where(Account.fs_uniquifier == fs_uniquifier))


def ids_with_merged(account_id: int) -> list[int]:
    """The account, and those that were merged into it: what was said to them was said to the same person."""
    return [account_id, *(account.id for account in merged_accounts(account_id))]


def merged_accounts(account_id: int) -> list[Account]:
    """Those that were merged into it, in order of their ids."""
    query = select(Account).where(Account.merged_into_id == account_id, Account.deactivated_at_ms.is_not(None))
    return list(db.session.scalars(query.order_by(Account.id)))


@dataclass(frozen=True)
class AccountRef:
    """An account's id, and its account number as stored."""

    id: int
    external_id: str
    is_erased: bool = False
    role: str = "user"


def find_by_external_ids(external_ids: Sequence[str]) -> dict[str, AccountRef]:
    """The existing accounts by the given account numbers, regardless of case."""
    folded = {external_id: fold_case(external_id) for external_id in external_ids}
    query = select(Account.external_id_folded, Account.id, Account.external_id, Account.erased_at_ms, Account.role)
    rows = db.session.execute(query.where(in_list(Account.external_id_folded, list(folded.values()))))
    accounts = {
        row.external_id_folded: AccountRef(row.id, row.external_id, bool(row.erased_at_ms), row.role) for row in rows
    }
    return {external_id: accounts[key] for external_id, key in folded.items() if key in accounts}


def find_by_sign_in_name(name: str) -> list[Account]:
    """The account with this account number, else up to `MAX_ACCOUNTS_PER_EMAIL` accounts with this email, oldest first.

    Ignores case and invisible characters.
    """
    spellings = {text_input.clean_code(name), normalise_sign_in_name(name)}
    folded = {fold_case(spelling) for spelling in spellings}
    exact, any_case = Account.external_id.in_(spellings), Account.external_id_folded.in_(folded)
    # A single query for every name, so that its time does not reveal which accounts exist.
    rank = case((exact, 0), (any_case, 1), else_=2)
    condition = or_(any_case, Account.email_folded.in_(folded))
    query = select(Account, rank).where(condition).order_by(rank, Account.id).limit(MAX_ACCOUNTS_PER_EMAIL + 2)
    rows = db.session.execute(query).all()
    by_external_id = [account for account, account_rank in rows if account_rank < 2]
    return by_external_id[:1] or [account for account, _rank in rows][:MAX_ACCOUNTS_PER_EMAIL]


def most_accounts_per_email() -> int:
    """The largest number of accounts that share an email: from 1 to `MAX_ACCOUNTS_PER_EMAIL`."""
    counts = select(func.count()).select_from(Account).group_by(Account.email_folded)
    largest = db.session.scalar(counts.order_by(func.count().desc()).limit(1))
    return min(MAX_ACCOUNTS_PER_EMAIL, largest or 1)


def emails_of(account_ids: Collection[int]) -> dict[int, str]:
    """The email addresses of the existing accounts, by id. In batches, since a query has limited parameters."""
    ids = list(account_ids)
    emails: dict[int, str] = {}
    for start in range(0, len(ids), _BATCH_SIZE):
        query = select(Account.id, Account.email).where(Account.id.in_(ids[start : start + _BATCH_SIZE]))
        emails |= {account_id: email for account_id, email in db.session.execute(query)}
    return emails


def administrators() -> list[Account]:
    """Who may work in the administration, in order of name."""
    query = select(Account).where(Account.role.in_(ROLES[1:]), Account.active == True)  # noqa: E712  SQL, not Python
    return list(db.session.scalars(query.order_by(Account.name, Account.id)))


def lock_active_accounts(role: str) -> set[int]:
    """The ids of the active accounts with this role, which nobody else changes before the transaction ends."""
    query = select(Account.id).where(Account.role == role, Account.active == True)  # noqa: E712  SQL, not Python
    return set(db.session.scalars(query.order_by(Account.id).with_for_update()))


def lock_accounts(*account_ids: int) -> list[Account]:
    """In order of the given ids, without those that do not exist. Inside a transaction.

    If one is a system administrator, all of those are locked first: two who remove each other would else deadlock.
    """
    of_ids = Account.id.in_(account_ids)
    if db.session.scalar(select(Account.id).where(of_ids, Account.role == ROLES[-1]).limit(1)):
        lock_active_accounts(ROLES[-1])
    locked = select(Account).where(of_ids).order_by(Account.id).with_for_update()
    found = {account.id: account for account in db.session.scalars(locked.execution_options(populate_existing=True))}
    return [found[account_id] for account_id in account_ids if account_id in found]


def account_types() -> list[str]:
    return list(db.session.scalars(select(Account.account_type).distinct().order_by(Account.account_type)))


def time_zones() -> list[str]:
    """Those that accounts have."""
    return list(db.session.scalars(select(Account.timezone).distinct().order_by(Account.timezone)))


class Recipient(NamedTuple):
    """The account data that a message needs. Lighter than `Account`, since there may be 100,000 of them.

    `attributes` are its values by key, if `with_attributes` has read them.
    """

    id: int
    name: str
    email: str
    external_id: str
    account_type: str
    timezone: str
    language: str = "en"
    attributes: Mapping[str, str] = MappingProxyType({})


_RECIPIENT_FIELDS = ("id", "name", "email", "external_id", "account_type", "timezone", "language")
RECIPIENT_COLUMNS = tuple(getattr(Account, name) for name in _RECIPIENT_FIELDS)
