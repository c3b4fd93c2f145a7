"""Three past sends for the demo. Together their texts end in every final state."""

import secrets
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from sqlalchemy import select

from portal.accounts.tables.accounts import Account
from portal.consent import recording
from portal.consent.rules.consent_state import EventKind
from portal.content.links import communication_url, new_link_token
from portal.content.rendering import render_message
from portal.content.rules.text_rules import notification_text
from portal.content.tables.templates import Template, TemplateVersion
from portal.content.text_content import organisation_names
from portal.core.extensions import Base, db
from portal.core.rules.delivery_status import DeliveryState
from portal.core.rules.limits import quiet_hours
from portal.core.rules.routing import RoutingDecision, Switches
from portal.core.transaction import transaction
from portal.messages.rules.attempt_outcome import AttemptOutcome
from portal.messages.tables.communications import Attempt, Communication, Delivery, Receipt
from portal.sends.rules.send_state import SendState
from portal.sends.send_preview import RoutingQuery, decide_recipients
from portal.sends.tables.sends import Send

Row = TypeVar("Row", bound=Base)
_DAY_MS = 86_400_000
_PAST_SENDS: tuple[tuple[str, int, dict[str, str | int], int], ...] = (
    ("payment-received", 41, {"amount": "$185.00"}, 9),
    ("audit-selected", 24, {"due_date": 30}, 14),
    ("renewal-due-60", 3, {"expiry_date": 60}, 30),
)
"""Template key, age in days, data, number of recipients. A number in the data is a date so many days after the send."""

_EXCEPTIONAL_STATES = {
    DeliveryState.SENT: "",
    DeliveryState.UNDELIVERED: "30003",
    DeliveryState.FAILED: "30008",
    DeliveryState.OPTED_OUT: "21610",
    DeliveryState.REJECTED: "21614",
    DeliveryState.CANCELED: "",
    DeliveryState.EXPIRED: "",
}
"""The last send has one text in each of these states; the values are error codes. All other texts are delivered."""


def load_past_sends(now_ms: int) -> None:
    with transaction() as session:
        accounts = list(session.scalars(select(Account).order_by(Account.id)))
        for key, days, data, count in _PAST_SENDS:
            at_ms = now_ms - days * _DAY_MS
            values = {name: value if isinstance(value, str) else _date(value, at_ms) for name, value in data.items()}
            _add_past_send(key, accounts[:count], values, at_ms)
        # From somebody to whom no text went afterwards.
        stopped_at_ms, not_in_any_send = now_ms - 10 * _DAY_MS, accounts[_PAST_SENDS[-1][-1] :]
        number = next(
            routing.phone for _, routing in reversed(_route_texts(not_in_any_send, True)) if routing.will_send
        )
        recording.record(number or "", EventKind.STOP, "handset", stopped_at_ms, stopped_at_ms, text="STOP")


def _date(days: int, at_ms: int) -> str:
    day = datetime.fromtimestamp(at_ms / 1000, UTC) + timedelta(days=days)
    return f"{day:%B} {day.day}, {day.year}"


def _add_past_send(key: str, accounts: Sequence[Account], data: dict[str, str], at_ms: int) -> None:
    version = db.session.scalars(select(TemplateVersion).join(Template).where(Template.key == key)).one()
    send = _add_row(
        Send,
        template_version_id=version.id,
        audience={"external_ids": [account.external_id for account in accounts]},
        data=data,
        state=SendState.DONE,
        recipients=len(accounts),
        fan_out_cursor=accounts[-1].id,
        created_at_ms=at_ms,
        fanned_out_at_ms=at_ms + 1_000,
        finished_at_ms=at_ms + 40_000,
    )
    text_count = 0
    routed = _route_texts(accounts, version.sms_enabled, version.template.topic_id)
    for index, (account, decision) in enumerate(routed):
        communication = _add_communication(send, version, account, at_ms + index, read=index % 3 == 0)
        _add_email(communication, account, at_ms)
        state = _final_state(key, text_count) if decision.will_send else DeliveryState.SKIPPED
        text_count += decision.will_send
        _add_text(communication, decision, state, at_ms + text_count * 1_000)


def _route_texts(
    accounts: Sequence[Account], sms_enabled: bool, topic_id: int | None = None
) -> list[tuple[Account, RoutingDecision]]:
    switches, lookup = Switches(feature_on=True), quiet_hours.no_quiet_hours
    query = RoutingQuery(switches, sms_enabled, lookup, None, topic_id=topic_id)
    return list(decide_recipients(list(accounts), query))


def _final_state(key: str, text_index: int) -> DeliveryState:
    """Every third text of the last send ends in an exceptional state until each has occurred."""
    index, remainder = divmod(text_index, 3)
    if key == _PAST_SENDS[-1][0] and remainder == 1 and index < len(_EXCEPTIONAL_STATES):
        return list(_EXCEPTIONAL_STATES)[index]
    return DeliveryState.DELIVERED


def _add_communication(send: Send, version: TemplateVersion, account: Account, at_ms: int, read: bool) -> Communication:
    token = new_link_token()
    rendered = render_message(version, account, send.data, token)
    return _add_row(
        Communication,
        send_id=send.id,
        account_id=account.id,
        subject=rendered.subject,
        body=rendered.body,
        language=rendered.language,
        token=token,
        created_at_ms=at_ms,
        read_at_ms=at_ms + 3_600_000 if read else None,
    )


def _add_email(communication: Communication, account: Account, at_ms: int) -> None:
    values = {"address": account.email, "attempt_count": 1}
    delivery = _add_delivery(communication, "email", DeliveryState.HANDED_OFF, at_ms + 2_000, **values)
    _add_attempt(delivery, AttemptOutcome.ACCEPTED, at_ms + 2_000)


def _add_text(communication: Communication, decision: RoutingDecision, state: DeliveryState, at_ms: int) -> None:
    values: dict[str, Any] = {"address": decision.phone}
    if state == DeliveryState.SKIPPED:
        _add_delivery(communication, "sms", state, at_ms, reason=str(decision.reason or ""), **values)
        return
    code, was_sent = _EXCEPTIONAL_STATES.get(state, ""), state not in (DeliveryState.CANCELED, DeliveryState.EXPIRED)
    url = communication_url(communication.token)
    fitted = notification_text(communication.subject, url, organisation_names())
    values |= {"body": fitted.text, "segments": fitted.size.segments, "error_code": code}
    delivery = _add_delivery(communication, "sms", state, at_ms + 4_000, attempt_count=int(was_sent), **values)
    if state in (DeliveryState.OPTED_OUT, DeliveryState.REJECTED):
        _add_attempt(delivery, AttemptOutcome.REJECTED, at_ms, code)
    elif was_sent:
        _add_accepted_attempt(delivery, state, code, at_ms)


def _add_accepted_attempt(delivery: Delivery, state: DeliveryState, code: str, at_ms: int) -> None:
    attempt = _add_attempt(delivery, AttemptOutcome.ACCEPTED, at_ms, provider_id=f"SM{secrets.token_hex(16)}")
    delivery.provider_id = attempt.provider_id
    for index, status in enumerate(dict.fromkeys((DeliveryState.SENT, state)), start=1):
        error_code = code if status == state else ""
        _add_row(
            Receipt,
            provider_id=attempt.provider_id,
            status=status,
            error_code=error_code,
            attempt_id=attempt.id,
            delivery_id=delivery.id,
            raw={"MessageStatus": status, "ErrorCode": error_code},
            received_at_ms=at_ms + 2_000 * index,
            applied=True,
        )


def _add_delivery(
    communication: Communication, channel: str, state: DeliveryState, at_ms: int, **values: Any
) -> Delivery:
    return _add_row(
        Delivery,
        communication_id=communication.id,
        send_id=communication.send_id,
        channel=channel,
        state=state,
        due_at_ms=2**53,
        state_changed_at_ms=at_ms,
        created_at_ms=communication.created_at_ms,
        **values,
    )


def _add_attempt(
    delivery: Delivery, outcome: AttemptOutcome, at_ms: int, code: str = "", provider_id: str | None = None
) -> Attempt:
    return _add_row(
        Attempt,
        id=secrets.token_urlsafe(12),
        delivery_id=delivery.id,
        destination=delivery.address,
        started_at_ms=at_ms,
        slot_at_ms=at_ms,
        lease_until_ms=at_ms + 60_000,
        finished_at_ms=at_ms + 120,
        outcome=outcome,
        error_code=code,
        provider_id=provider_id,
    )


def _add_row(table: type[Row], **values: Any) -> Row:
    row = table(**values)
    db.session.add(row)
    db.session.flush()
    return row
