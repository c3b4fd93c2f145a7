"""The rows of an export: communications with what became of their email and their text."""

from typing import NamedTuple

from sqlalchemy import func, select
from sqlalchemy.orm import aliased

from portal.accounts.tables.accounts import Account
from portal.content.tables.templates import Template, TemplateVersion
from portal.core.extensions import db
from portal.messages.tables.communications import Communication, Delivery
from portal.records.rules.search_line import SearchQuery
from portal.records.tables.search_conditions import matching
from portal.sends.tables.sends import Send

_EMAIL, _TEXT = aliased(Delivery), aliased(Delivery)


class ExportRow(NamedTuple):
    """An address is that of the recipient, as it was then. What a channel lacks is None."""

    id: int
    created_at_ms: int
    kind: str
    send_id: int | None
    template_key: str | None
    template_name: str | None
    account_number: str
    account_name: str
    subject: str
    opened_at_ms: int | None
    email_address: str | None
    email_state: str | None
    email_reason: str | None
    email_changed_at_ms: int | None
    phone: str | None
    text_state: str | None
    text_reason: str | None
    text_changed_at_ms: int | None
    text_check_at_ms: int | None
    segments: int | None


def newest_id() -> int:
    return db.session.scalar(select(func.max(Communication.id))) or 0


def rows_below(search: SearchQuery, with_sms: bool, below_id: int, limit: int) -> list[ExportRow]:
    """The newest rows with a smaller id. One statement, so that each row is as it was at one moment."""
    ids = matching(search, with_sms).with_only_columns(Communication.id).where(Communication.id < below_id)
    page = ids.order_by(Communication.id.desc()).limit(limit).subquery()
    query = (
        select(
            Communication.id,
            Communication.created_at_ms,
            Communication.kind,
            Communication.send_id,
            Template.key,
            Template.name,
            Account.external_id,
            Account.name,
            Communication.subject,
            Communication.opened_at_ms,
            *(_EMAIL.address, _EMAIL.state, _EMAIL.reason, _EMAIL.state_changed_at_ms),
            *(_TEXT.address, _TEXT.state, _TEXT.reason, _TEXT.state_changed_at_ms, _TEXT.due_at_ms, _TEXT.segments),
        )
        .join(page, page.c.id == Communication.id)
        .join(Account, Account.id == Communication.account_id)
        .outerjoin(Send, Send.id == Communication.send_id)
        .outerjoin(TemplateVersion, TemplateVersion.id == Send.template_version_id)
        .outerjoin(Template, Template.id == TemplateVersion.template_id)
        .outerjoin(_EMAIL, (_EMAIL.communication_id == Communication.id) & (_EMAIL.channel == "email"))
        .outerjoin(_TEXT, (_TEXT.communication_id == Communication.id) & (_TEXT.channel == "sms"))
        .order_by(Communication.id.desc())
    )
    return [ExportRow._make(row) for row in db.session.execute(query)]
