"""What a search asks for, as conditions on communications."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, exists, not_, or_, select

from portal.content.tables.templates import Template, TemplateVersion
from portal.core.extensions import db
from portal.core.rules.case_folding import fold_for_search
from portal.core.rules.delivery_status import AWAITING_RECEIPT, NO_FURTHER_CHECK_MS, DeliveryState, StateGroup
from portal.messages.tables.communication_history import visible_kinds
from portal.messages.tables.communications import Communication, Delivery
from portal.messages.tables.transitions import DELIVERY_CHANNELS
from portal.records.rules.search_line import SearchQuery
from portal.records.tables.word_search import recipient_condition, word_condition
from portal.sends.tables.sends import Send


def matching(query: SearchQuery, with_sms: bool) -> Select[Communication]:
    """Every communication that matches. Without `with_sms`, only emails count, and what went by email."""
    return select(Communication).where(*conditions_of(query, with_sms))


def conditions_of(query: SearchQuery, with_sms: bool) -> list[ColumnElement[bool]]:
    conditions = visible_kinds(with_sms)
    conditions += [word_condition(word) for word in query.words]
    conditions += [recipient_condition(word) for word in query.recipients]
    if query.send_ids:
        conditions.append(Communication.send_id.in_(query.send_ids))
    if query.templates:
        conditions.append(Communication.send_id.in_(sends_of_templates(query.templates)))
    if query.is_about_delivery:
        conditions.append(_delivery_condition(query, with_sms))
    if query.after_ms is not None:
        conditions.append(Communication.created_at_ms >= query.after_ms)
    if query.before_ms is not None:
        conditions.append(Communication.created_at_ms < query.before_ms)
    return conditions


def _delivery_condition(query: SearchQuery, with_sms: bool) -> ColumnElement[bool]:
    """One delivery has the channel, the status, the code and the number."""
    match = exists().where(
        Delivery.communication_id == Communication.id, Delivery.channel.in_(visible_channels(query, with_sms))
    )
    if query.groups:
        match = match.where(or_(*map(in_group, query.groups)))
    if query.codes:
        match = match.where(Delivery.error_code.in_(query.codes))
    if query.numbers:
        match = match.where(Delivery.channel == "sms", Delivery.address.in_(query.numbers))
    return match


def visible_channels(query: SearchQuery, with_sms: bool) -> tuple[str, ...]:
    """While texts are hidden, a status is that of the email."""
    visible = DELIVERY_CHANNELS if with_sms else ("email",)
    return tuple(channel for channel in visible if not query.channels or channel in query.channels)


def in_group(group: StateGroup) -> ColumnElement[bool]:
    """The group of `delivery_status.displayed_state` as a condition."""
    no_receipt = and_(Delivery.state.in_(AWAITING_RECEIPT), Delivery.due_at_ms >= NO_FURTHER_CHECK_MS)
    if group == StateGroup.NO_RECEIPT:
        return no_receipt
    return and_(Delivery.state.in_(states_of(group)), not_(no_receipt))


def states_of(group: StateGroup) -> tuple[DeliveryState, ...]:
    if group == StateGroup.NO_RECEIPT:
        return AWAITING_RECEIPT
    return tuple(state for state in DeliveryState if state.group == group)


def sends_of_templates(names: Sequence[str]) -> Select[int]:
    """Of the templates with such a key, or with this text in their name; there are few templates."""
    templates = db.session.execute(select(Template.id, Template.key, Template.name)).all()
    chosen = [row.id for row in templates if any(_is_template(row, name) for name in names)]
    return select(Send.id).join(Send.version).where(TemplateVersion.template_id.in_(chosen))


def _is_template(row: Any, name: str) -> bool:
    return fold_for_search(row.key) == name or name in fold_for_search(row.name)
