"""The communications of one person, as they search them.

Everything but the words is read from `ix_communication_account`, so that only the rows of a page are read.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, func, select, update
from sqlalchemy.orm import load_only

from portal.content.tables.templates import Template, TemplateVersion
from portal.core.extensions import db
from portal.core.rules.case_folding import fold_long_text
from portal.core.statements import updated_count
from portal.messages.tables.communication_history import visible_kinds, with_deliveries
from portal.messages.tables.communications import Communication
from portal.sends.tables.sends import Send

_NEWEST = 500
"""The templates of so many communications are offered."""


@dataclass(frozen=True)
class HistoryFilter:
    """`words` are in the subject or the body, `since_ms` and `until_ms` are the ends of a year."""

    words: str = ""
    is_unread: bool = False
    since_ms: int | None = None
    until_ms: int | None = None
    template_id: int | None = None


def history_page(
    account_id: int, wanted: HistoryFilter, before: int | None, limit: int, with_sms: bool
) -> list[Communication]:
    """Newest first, with deliveries and attempts."""
    query = _own(account_id, with_sms).where(*_conditions(wanted)).order_by(Communication.id.desc())
    ids = _ids_with_words(query, fold_long_text(wanted.words).split(), before, limit)
    found = with_deliveries(ids)
    return [found[id] for id in ids if id in found]


def _ids_with_words(query: Select[int], words: Sequence[str], before: int | None, limit: int) -> list[int]:
    """Letters are compared here, because each database folds others, and SQLite only those of English."""
    ids: list[int] = []
    columns: list[Any] = [Communication.id, *([Communication.subject, Communication.body] if words else [])]
    while len(ids) < limit:
        page = query if before is None else query.where(Communication.id < before)
        rows = db.session.execute(page.with_only_columns(*columns).limit(limit)).all()
        ids += [id for id, *texts in rows if _has_words(words, texts)]
        if len(rows) < limit:
            break
        before = rows[-1].id
    return ids[:limit]


def _has_words(words: Sequence[str], texts: Sequence[str]) -> bool:
    folded = fold_long_text("\n".join(texts)) if words else ""
    return all(word in folded for word in words)


def first_and_last_ms(account_id: int) -> tuple[int, int] | None:
    """When the oldest and the newest communication were made; None if there is none."""
    query = select(Communication.created_at_ms).where(Communication.account_id == account_id).limit(1)
    first = db.session.scalar(query.order_by(Communication.id))
    last = db.session.scalar(query.order_by(Communication.id.desc()))
    return None if first is None or last is None else (first, last)


def recent_templates(account_id: int) -> Sequence[Template]:
    """Of the newest communications of the person, by name."""
    newest = select(Communication.send_id).where(Communication.account_id == account_id)
    send_ids = newest.order_by(Communication.id.desc()).limit(_NEWEST).subquery()
    template_ids = (
        select(TemplateVersion.template_id)
        .join(Send, Send.template_version_id == TemplateVersion.id)
        .join(send_ids, send_ids.c.send_id == Send.id)
    )
    query = select(Template).options(load_only(Template.id, Template.name)).where(Template.id.in_(template_ids))
    return db.session.scalars(query.order_by(func.lower(Template.name), Template.id)).all()


def unread_ids(account_id: int, through_id: int, limit: int, with_sms: bool) -> list[int]:
    query = _own(account_id, with_sms).where(Communication.read_at_ms.is_(None), Communication.id <= through_id)
    return list(db.session.scalars(query.order_by(Communication.id.desc()).limit(limit)))


def mark_all_read(ids: Sequence[int], now_ms: int) -> None:
    """Inside a transaction. Nobody has opened them by that."""
    query = update(Communication).where(Communication.id.in_(ids), Communication.read_at_ms.is_(None))
    updated_count(query.values(read_at_ms=now_ms, is_only_marked_read=True))


def _own(account_id: int, with_sms: bool) -> Select[int]:
    return select(Communication.id).where(Communication.account_id == account_id, *visible_kinds(with_sms))


def _conditions(wanted: HistoryFilter) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if wanted.is_unread:
        conditions.append(Communication.read_at_ms.is_(None))
    if wanted.since_ms is not None:
        conditions.append(Communication.created_at_ms >= wanted.since_ms)
    if wanted.until_ms is not None:
        conditions.append(Communication.created_at_ms < wanted.until_ms)
    if wanted.template_id is not None:
        conditions.append(_is_of_template(wanted.template_id))
    return conditions


def _is_of_template(template_id: int) -> ColumnElement[bool]:
    versions = select(TemplateVersion.id).where(TemplateVersion.template_id == template_id)
    send = select(Send.id).where(Send.id == Communication.send_id, Send.template_version_id.in_(versions))
    return send.exists()
