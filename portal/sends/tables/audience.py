"""The recipients of an audience."""

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import starmap
from typing import Any

from sqlalchemy import ColumnElement, Select, false, func, not_, select

from portal.accounts.account_language import recipient_language
from portal.accounts.tables.accounts import RECIPIENT_COLUMNS, Account, Recipient, find_by_external_ids
from portal.accounts.tables.attributes import has_values
from portal.core.extensions import db
from portal.core.keyset import Keyset, Slice
from portal.core.statements import in_list
from portal.core.translation import LANGUAGES
from portal.sends.tables import resends, rounds, schedule_recipients
from portal.sends.tables.condition_members import count_members, next_members
from portal.sends.tables.condition_queries import is_sqlite, matches_conditions
from portal.sends.tables.recipient_files import RecipientRow
from portal.sends.tables.value_combinations import has_combination

_OF_CONDITIONS = {"conditions", "match", "as_of", "staff", "external_ids"}
"""What an audience of nothing but conditions may hold (`guarded` adds the list)."""
_DENSE = 1_000
"""With so many recipients, the next page is soon found among all accounts."""
_LATER_KINDS = ("conditions", "recipient_file", "round_of", "schedule_run", "resend")


def recipients_after(audience: Mapping[str, Any], after_id: int, limit: int) -> list[Recipient]:
    """The next recipients by id."""
    query = in_audience(select(*RECIPIENT_COLUMNS), audience, one_by_one=True).where(Account.id > after_id)
    rows = db.session.connection().execute(query.order_by(Account.id).limit(limit)).all()
    return list(starmap(Recipient, rows))


def count_recipients(audience: Mapping[str, Any]) -> int:
    if _is_only_conditions(audience):
        return count_members(audience, _candidates(audience))
    return db.session.scalar(in_audience(select(func.count(Account.id)), audience)) or 0


def count_by_language(audience: Mapping[str, Any]) -> dict[str, int]:
    """The people by the language that they read."""
    query = in_audience(select(Account.language, func.count(Account.id)), audience)
    counts: Counter[str] = Counter()
    for chosen, count in db.session.execute(query.group_by(Account.language)):
        counts[recipient_language(chosen).code] += count
    return dict(counts)


def count_deactivated(audience: Mapping[str, Any]) -> int:
    """Who would be in the audience if their accounts were active. An erased account is nobody's."""
    query = in_audience(select(func.count(Account.id)), audience, are_active=False)
    return db.session.scalar(query.where(Account.erased_at_ms.is_(None))) or 0


def people_page(audience: Mapping[str, Any], total: int, keyset: Keyset) -> Slice[Account]:
    """Of the `total` recipients by id, as `keyset` continues."""
    is_dense = audience.get("match") == "any" and total >= _DENSE and is_sqlite()
    if is_dense or not _is_only_conditions(audience):
        return keyset.fetch(in_audience(select(Account), audience, one_by_one=is_dense))

    def read(beyond: ColumnElement[bool] | None, descending: bool, limit: int) -> list[Account]:
        candidates = _candidates(audience) if beyond is None else _candidates(audience).where(beyond)
        ids = next_members(audience, candidates, descending, limit)
        accounts = select(Account).where(Account.id.in_(ids))
        return list(db.session.scalars(accounts.order_by(Account.id.desc() if descending else Account.id)))

    return keyset.fetch_with(read)


def _is_only_conditions(audience: Mapping[str, Any]) -> bool:
    return "conditions" in audience and audience.keys() <= _OF_CONDITIONS


def _candidates(audience: Mapping[str, Any]) -> Select[Any]:
    """The ids of all active accounts that the audience allows."""
    query = select(Account.id).where(Account.active == True)  # noqa: E712  SQL, not Python
    return query.where(Account.role == "user") if audience.get("staff") is False else query


def is_empty(audience: Mapping[str, Any]) -> bool:
    return db.session.scalar(in_audience(select(Account.id), audience).limit(1)) is None


def unknown_external_ids(external_ids: Sequence[str]) -> list[str]:
    accounts = find_by_external_ids(external_ids)
    return [external_id for external_id in external_ids if external_id not in accounts]


def guarded(audience: Mapping[str, Any]) -> dict[str, Any]:
    """As a send stores it: a kind that the previous release does not know has an empty list of accounts beside it.

    A worker of that release then sends to nobody. Without the list it would send to everyone.
    """
    return {**audience, "external_ids": []} if any(kind in audience for kind in _LATER_KINDS) else dict(audience)


def in_audience(query: Any, audience: Mapping[str, Any], one_by_one: bool = False, are_active: bool = True) -> Any:
    """Narrow a query of accounts to the active ones of the audience; to nobody, if it is of no kind known here.

    Unless they `are_active`, to those of it that are deactivated.

    `audience` is `{"all": True}`, `{"account_type": …}`, `{"external_ids": […]}` or
    `{"conditions": […], "match": …, "as_of": …}`, with `"staff": False` if administrators are left out.
    `one_by_one` suits a query of the next few accounts of a large audience (`matches_conditions`).
    """
    active = Account.active == True  # noqa: E712  SQL, not Python
    query = _narrow(query.where(active if are_active else Account.deactivated_at_ms.is_not(None)), audience)
    if "schedule_run" in audience:
        return query.where(Account.id.in_(schedule_recipients.people_of_run(audience["schedule_run"])))
    if audience.get("staff") is False:
        query = query.where(Account.role == "user")
    if "account_type" in audience:
        return query.where(Account.account_type == audience["account_type"])
    if "conditions" in audience:
        return query.where(matches_conditions(audience, one_by_one))
    return _in_stored_people(query, audience)


def _reads_any(languages: Sequence[str]) -> ColumnElement[bool]:
    """Who has chosen none, or one that the portal does not speak, reads that of the portal."""
    if recipient_language("").code in languages:
        return Account.language.not_in([code for code in LANGUAGES if code not in languages])
    return Account.language.in_(languages)


def _narrow(query: Any, audience: Mapping[str, Any]) -> Any:
    """By what suits any kind of audience and is never stored with it.

    `with_values` are those who have a value for each of some attributes, `without_values` all others;
    `with_combination` are those with some combinations of values, `without_combination` all others. `with_language`
    are those who read a language, `without_languages` those who read none of some.
    """
    if "with_language" in audience:
        query = query.where(_reads_any([audience["with_language"]]))
    if "without_languages" in audience:
        query = query.where(~_reads_any(audience["without_languages"]))
    if "due" in audience:
        query = query.where(schedule_recipients.is_due(audience["due"]))
    if "with_combination" in audience:
        query = query.where(has_combination(audience["with_combination"]))
    if "without_combination" in audience:
        query = query.where(not_(has_combination(audience["without_combination"])))
    if "with_values" in audience:
        query = query.where(has_values(audience["with_values"]))
    return query.where(not_(has_values(audience["without_values"]))) if "without_values" in audience else query


def _in_stored_people(query: Any, audience: Mapping[str, Any]) -> Any:
    """People whom other rows name, those of an earlier send or of a file, before the list that is beside them."""
    if "resend" in audience:
        return query.where(resends.is_recipient(audience["resend"], audience["source_send"]))
    if "round_of" in audience:
        return query.where(rounds.is_member(audience["round_of"], audience["outcome"], audience["until_ms"]))
    if "recipient_file" in audience:
        # EXISTS, because SQLite would collect a list of all rows again for each chunk of the fan-out.
        rows = select(RecipientRow.row_number).filter_by(file_id=audience["recipient_file"], is_good=True)
        return query.where(rows.where(RecipientRow.account_id == Account.id).exists())
    if "external_ids" in audience:
        return query.where(in_list(Account.external_id, audience["external_ids"]))
    return query if "all" in audience else query.where(false())
