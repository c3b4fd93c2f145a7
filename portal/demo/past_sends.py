"""A past for the demo: three sends of the last weeks, in which every state a delivery can end in occurs."""

import secrets
from collections.abc import Sequence
from typing import Any

from sqlalchemy import select

from portal.accounts.tables.accounts import Account
from portal.consent import recording
from portal.consent.rules.consent_state import EventKind
from portal.content.links import communication_url, new_link_token
from portal.content.rendering import render_message
from portal.content.tables.templates import Template, TemplateVersion
from portal.core.extensions import db
from portal.core.rules.routing import RoutingDecision
from portal.core.transaction import transaction
from portal.demo.recipients import decide_routes
from portal.messages.rules import sms_segments
from portal.messages.tables.communications import Attempt, Communication, Delivery, Receipt
from portal.sends.tables.sends import Send

_DAY_MS = 86_400_000
_PAST_SENDS = (
    ("payment-received", 41, {"amount": "$185.00"}, 9),
    ("audit-selected", 24, {"due_date": "December 18, 2026"}, 14),
    ("renewal-due-60", 3, {"expiry_date": "January 20, 2027"}, 30),
)
"""Template, days ago, what it said, to how many."""

_OUTCOMES: tuple[tuple[str, str], ...] = (
    ("sent", ""),
    ("undelivered", "30003"),
    ("failed", "30008"),
    ("opted_out", "21610"),
    ("rejected", "21614"),
    ("canceled", ""),
    ("expired", ""),
)
"""Every ending but the common one, which is to arrive: each befalls one text, of the last send."""
_REJECTED_STATES = ("opted_out", "rejected")
_UNSENT_STATES = ("canceled", "expired")


def load_past_sends(now_ms: int) -> None:
    with transaction() as session:
        people = list(session.scalars(select(Account).order_by(Account.id)))
        for key, days, data, number in _PAST_SENDS:
            _add_past_send(key, people[:number], data, now_ms - days * _DAY_MS)
        _add_opt_out(people[-1], now_ms - 10 * _DAY_MS)


def _add_past_send(key: str, people: Sequence[Account], data: dict[str, str], at_ms: int) -> None:
    version = db.session.scalars(select(TemplateVersion).join(Template).where(Template.key == key)).one()
    external_ids = [account.external_id for account in people]
    send = Send(
        template_version_id=version.id,
        audience={"external_ids": external_ids},
        data=data,
        state="done",
        recipients=len(people),
        fan_out_cursor=people[-1].id,
        created_at_ms=at_ms,
        fanned_out_at_ms=at_ms + 1_000,
        finished_at_ms=at_ms + 40_000,
    )
    db.session.add(send)
    db.session.flush()
    texted = 0
    for place, (account, decision) in enumerate(decide_routes(people, version.sms_enabled)):
        communication = _add_communication(send, version, account, at_ms + place, read=place % 3 == 0)
        _add_email(communication, account, at_ms)
        ending = _outcome_for(key, texted) if decision.will_send else ("skipped", "")
        texted += decision.will_send
        _add_text(communication, decision, ending, at_ms + texted * 1_000)


def _outcome_for(key: str, place: int) -> tuple[str, str]:
    """Every third text of the last send ends otherwise, as long as there are other endings."""
    odd, rest = divmod(place, 3)
    if key == _PAST_SENDS[-1][0] and rest == 1 and odd < len(_OUTCOMES):
        return _OUTCOMES[odd]
    return "delivered", ""


def _add_communication(send: Send, version: TemplateVersion, account: Account, at_ms: int, read: bool) -> Communication:
    token = new_link_token()
    rendered = render_message(version, account, send.data, token)
    row = Communication(
        send_id=send.id,
        account_id=account.id,
        subject=rendered.subject,
        body=rendered.body,
        token=token,
        created_at_ms=at_ms,
        read_at_ms=at_ms + 3_600_000 if read else None,
    )
    db.session.add(row)
    db.session.flush()
    return row


def _add_email(communication: Communication, account: Account, at_ms: int) -> None:
    delivery = _add_delivery(
        communication, "email", "handed_off", at_ms + 2_000, address=account.email, attempt_count=1
    )
    _add_attempt(delivery, account.email, "accepted", "", at_ms + 2_000)


def _add_text(communication: Communication, decision: RoutingDecision, ending: tuple[str, str], at_ms: int) -> None:
    state, code = ending
    if state == "skipped":
        _add_delivery(communication, "sms", state, at_ms, address=decision.phone, reason=str(decision.reason or ""))
        return
    fitted = sms_segments.fit_one_segment(communication.subject, communication_url(communication.token))
    extra: dict[str, Any] = {
        "address": decision.phone,
        "body": fitted.text,
        "segments": fitted.size.segments,
        "error_code": code,
        "attempt_count": 0 if state in _UNSENT_STATES else 1,
    }
    delivery = _add_delivery(communication, "sms", state, at_ms + 4_000, **extra)
    if state not in _UNSENT_STATES:
        _add_attempt_and_receipts(delivery, state, code, at_ms)


def _add_attempt_and_receipts(delivery: Delivery, state: str, code: str, at_ms: int) -> None:
    if state in _REJECTED_STATES:
        _add_attempt(delivery, delivery.address, "rejected", code, at_ms)
        return
    attempt = _add_attempt(delivery, delivery.address, "accepted", "", at_ms)
    delivery.provider_id = attempt.provider_id
    for place, status in enumerate(dict.fromkeys(("sent", state))):
        final_code = code if status == state else ""
        _add_receipt(delivery, attempt, status, final_code, at_ms + 2_000 * (place + 1))


def _add_delivery(communication: Communication, channel: str, state: str, at_ms: int, **extra: Any) -> Delivery:
    row = Delivery(
        communication_id=communication.id,
        send_id=communication.send_id,
        channel=channel,
        state=state,
        due_at_ms=2**53,
        state_changed_at_ms=at_ms,
        created_at_ms=communication.created_at_ms,
        **extra,
    )
    db.session.add(row)
    db.session.flush()
    return row


def _add_attempt(delivery: Delivery, to: str, outcome: str, code: str, at_ms: int) -> Attempt:
    sid = f"SM{secrets.token_hex(16)}" if delivery.channel == "sms" and outcome == "accepted" else None
    row = Attempt(
        id=secrets.token_urlsafe(12),
        delivery_id=delivery.id,
        destination=to,
        started_at_ms=at_ms,
        slot_at_ms=at_ms,
        lease_until_ms=at_ms + 60_000,
        finished_at_ms=at_ms + 120,
        outcome=outcome,
        error_code=code,
        provider_id=sid,
    )
    db.session.add(row)
    db.session.flush()
    return row


def _add_receipt(delivery: Delivery, attempt: Attempt, status: str, code: str, at_ms: int) -> None:
    db.session.add(
        Receipt(
            provider_id=attempt.provider_id or "",
            status=status,
            error_code=code,
            attempt_id=attempt.id,
            delivery_id=delivery.id,
            raw={"MessageStatus": status, "ErrorCode": code},
            received_at_ms=at_ms,
            applied=True,
        )
    )


def _add_opt_out(account: Account, at_ms: int) -> None:
    """One number that said STOP, so that the reason can be seen at work."""
    number = decide_routes([account], True)[0][1].phone or "+12025550131"
    recording.record(number, EventKind.STOP, "handset", at_ms, at_ms, text="STOP")
