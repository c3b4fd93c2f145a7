"""Queries for the dashboard: what the totals of deliveries and the ledger say about days and months."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, SQLColumnExpression, case, func, literal, select

from portal.consent.rules.consent_state import EventKind
from portal.consent.tables.ledger import ConsentEvent
from portal.content.tables.templates import Template, TemplateVersion
from portal.core.extensions import db
from portal.core.rules.delivery_status import DeliveryState
from portal.messages.tables.delivery_totals import HOUR_MS, DeliveryTotal
from portal.monitoring.rules.day_hours import HourSpan
from portal.sends.tables.sends import Send

BILLED_STATES = (
    DeliveryState.ACCEPTED,
    DeliveryState.SENT,
    DeliveryState.NO_RECEIPT,
    DeliveryState.DELIVERED,
    DeliveryState.UNDELIVERED,
)
"""States of texts that the provider has taken, for which it charges."""


def messages_by_day(spans: Sequence[HourSpan], until_hour: int | None) -> list[list[Any]]:
    """Rows of the number of the day, channel, state and count."""
    total = DeliveryTotal
    rows = select(_index(total.hour, spans).label("day"), total.channel, total.state, total.count)
    rows = rows.where(*_in_hours(total.hour, spans[0].first_hour, until_hour))
    return _sum_up(rows.subquery(), "day", "channel", "state")


def segments_by_template(first_hours: Sequence[int], since_hour: int, until_hour: int | None) -> list[list[Any]]:
    """Rows of the name of the template ("" for texts without a send), number of the month, and segments charged."""
    total = DeliveryTotal
    send_id = (total.send_id + 0).label("send_id")  # an expression, or SQLite reads all sends in the order of the key
    by_send = (
        select(send_id, _month(first_hours).label("month"), func.sum(total.segments).label("count"))
        .where(*_in_hours(total.hour, since_hour, until_hour), total.channel == "sms", total.state.in_(BILLED_STATES))
        .group_by(send_id, "month")
        .subquery()
    )
    rows = (
        select(func.coalesce(Template.name, "").label("name"), by_send.c.month, by_send.c.count)
        .outerjoin(Send, Send.id == by_send.c.send_id)
        .outerjoin(TemplateVersion, TemplateVersion.id == Send.template_version_id)
        .outerjoin(Template, Template.id == TemplateVersion.template_id)
    )
    return _sum_up(rows.subquery(), "name", "month")


def consent_by_day(kinds: Sequence[EventKind], spans: Sequence[HourSpan], until_hour: int | None) -> list[list[Any]]:
    """Rows of the number of the day, kind of event and count."""
    at_ms, until_ms = ConsentEvent.occurred_at_ms, None if until_hour is None else until_hour * HOUR_MS
    rows = select(_index(at_ms // HOUR_MS, spans).label("day"), ConsentEvent.kind, _ONE)
    rows = rows.where(ConsentEvent.kind.in_(kinds), *_in_hours(at_ms, spans[0].first_hour * HOUR_MS, until_ms))
    return _sum_up(rows.subquery(), "day", "kind")


_ONE = literal(1).label("count")


def _in_hours(column: Any, since: int, until: int | None) -> list[ColumnElement[bool]]:
    return [column >= since, *([] if until is None else [column < until])]


def _sum_up(rows: Any, *names: str) -> list[list[Any]]:
    """Grouped outside of the query with the expressions, which PostgreSQL would not recognize as the same."""
    key = [rows.c[name] for name in names]
    result = db.session.execute(select(*key, func.sum(rows.c.count)).group_by(*key))
    return [[*values, int(count)] for *values, count in result if count]


def _index(hour: SQLColumnExpression[int], spans: Sequence[HourSpan]) -> ColumnElement[int]:
    """The number of the day in which an hour is."""
    first, *later = (span.index + (hour - span.first_hour) // span.hours for span in spans)
    if not later:
        return first
    starts = [hour >= span.first_hour for span in spans[1:]]
    return case(*reversed(list(zip(starts, later, strict=True))), else_=first)


def _month(first_hours: Sequence[int]) -> ColumnElement[int]:
    later = [(DeliveryTotal.hour >= hour, number) for number, hour in enumerate(first_hours) if number]
    return case(*reversed(later), else_=0)
