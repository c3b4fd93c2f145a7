"""Handsets and accounts with phone numbers, for tests of consent. The tests pass in every time."""

import itertools
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import func, insert, select

from portal.accounts.account_management import NewAccount, create_account
from portal.accounts.tables.accounts import Account
from portal.accounts.tables.phone_numbers import PhoneNumber, PhoneState
from portal.consent import account_phones, inbound_processing, inbound_sync, invitations, recording
from portal.consent.rules.consent_state import EventKind, LedgerEvent
from portal.consent.tables import ledger as consent_ledger
from portal.consent.tables.inbound_messages import InboundMessage
from portal.consent.tables.ledger import ConsentEvent
from portal.core.actor import Actor
from portal.core.extensions import db
from portal.core.transaction import transaction
from portal.delivery.receipts import record_receipt
from portal.messages.tables.communications import Attempt, Communication, Delivery
from tests.support import consent_decision_table as cases
from tests.support import scenario, servers

MINUTE_MS = 60_000
_SID_NUMBERS = itertools.count(1)


def iso_time(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms // 1000, UTC).isoformat()


def new_sid() -> str:
    return f"SM{next(_SID_NUMBERS):032x}"


def new_account(external_id: str, role: str = "user") -> int:
    email = f"{external_id.lower()}@example.org"
    new = NewAccount(external_id, f"Person {external_id}", email, "Practitioner", role)
    return create_account(new, scenario.now_ms())


def create_sharing_accounts(number: str, at_ms: int, *external_ids: str) -> list[int]:
    """Create accounts that all have the number, and return their ids."""
    ids = [new_account(external_id) for external_id in external_ids]
    for account_id in ids:
        account_phones.add_number(account_id, number, "", at_ms)
    return ids


def table_account_id(index: int, account: int) -> int:
    """The id of account A (1) or B (2) of the scenario's number at `index`."""
    return 2 * index + account


def create_account_pairs(count: int) -> None:
    """Create accounts A and B for each of the scenario's first numbers, with the ids of `table_account_id`."""
    rows = [
        {
            "id": table_account_id(index, account),
            "external_id": f"{'AB'[account - 1]}-{index}",
            "name": "Somebody",
            "email": f"{index}@example.org",
            "account_type": "Practitioner",
            "role": "user",
            "timezone": "UTC",
            "active": True,
            "fs_uniquifier": f"{index}-{account}",
            "created_at_ms": 0,
        }
        for index in range(count)
        for account in (1, 2)
    ]
    with transaction() as session:
        session.execute(insert(Account), rows)


def write_ledger(histories: list[cases.NumberHistory]) -> None:
    """Write the events of each number straight into the ledger."""
    phones, events = [], []
    for index, history in enumerate(histories):
        phones += [
            {
                "account_id": table_account_id(index, account),
                "number": scenario.phone_number(index),
                "label": "",
                "created_at_ms": added_ms,
            }
            for account, added_ms in history.number_added_ms_by_account.items()
        ]
        events += [
            _event_values(event, index, history.removed_number_added_ms)
            for event in history.events
            if event.kind != EventKind.ADDED
        ]
    with transaction() as session:
        session.execute(insert(PhoneNumber), phones)
        consent_ledger.append(*events)
        recording.recompute([scenario.phone_number(index) for index in range(len(histories))], scenario.now_ms())


def _event_values(event: LedgerEvent, index: int, removed_number_added_ms: dict[int, int]) -> dict[str, Any]:
    is_removal = event.kind == EventKind.REMOVED
    return {
        "number": scenario.phone_number(index),
        "kind": event.kind,
        "source": "test",
        "account_id": table_account_id(index, event.account_id) if event.account_id else None,
        "detail": {"added_at_ms": removed_number_added_ms[event.id]} if is_removal else _detail(event),
        "occurred_at_ms": event.at_ms,
        "recorded_at_ms": event.at_ms,
    }


def _detail(event: LedgerEvent) -> dict[str, Any]:
    return {"error_code": event.error_code} | ({"cannot_clear_stop": True} if event.cannot_clear_stop else {})


def receive_text(body: str, number: str, at_ms: int, sid: str = "", **fields: str) -> str | None:
    """Receive a webhook at that time and return the answer. `fields` are further or other form fields."""
    form = {"MessageSid": sid or new_sid(), "From": number, "To": servers.FROM_NUMBER, "Body": body, **fields}
    answer = inbound_processing.receive_inbound(form, at_ms)
    db.session.remove()
    return answer


def phone_id(account_id: int, number: str) -> int:
    query = select(PhoneNumber.id).where(PhoneNumber.account_id == account_id, PhoneNumber.number == number)
    id = db.session.scalars(query).one()
    db.session.rollback()
    return id


def make_actor(account_id: int, ip: str = "198.51.100.7", by_admin: bool = False) -> Actor:
    return Actor(account_id, ip, "a browser", by_admin)


def invite(account_id: int, number: str, at_ms: int, by: Actor | None = None) -> int:
    """Return the id of the event in the ledger. Raises as the action does."""
    prompt = invitations.opt_in_prompt(number).fingerprint
    db.session.rollback()
    return invitations.invite(phone_id(account_id, number), by or make_actor(account_id), prompt, at_ms)


def request_while_stopped(account_id: int, number: str, at_ms: int, by: Actor | None = None) -> str:
    """Request texts while the number is stopped, and return the message."""
    try:
        invite(account_id, number, at_ms, by)
    except invitations.RequestRecorded as recorded:
        db.session.remove()
        return recorded.message
    raise AssertionError("an invitation was sent to a stopped number")


def receive_error_receipt(account_id: int, number: str, code: str, at_ms: int) -> None:
    """Receive a receipt with this error code for a text to the number that was accepted just before."""
    sid = new_sid()
    attempt_id = _create_accepted_sms(account_id, number, sid, at_ms)
    record_receipt({"MessageSid": sid, "MessageStatus": "undelivered", "ErrorCode": code}, attempt_id, at_ms)
    db.session.remove()


def _create_accepted_sms(account_id: int, number: str, sid: str, at_ms: int) -> str:
    times = {"due_at_ms": at_ms, "state_changed_at_ms": at_ms, "created_at_ms": at_ms}
    content = {"subject": "s", "body": "b", "token": sid, "created_at_ms": at_ms}
    with transaction() as session:
        communication = Communication(account_id=account_id, **content)
        session.add(communication)
        session.flush()
        delivery = Delivery(communication_id=communication.id, channel="sms", state="accepted", address=number, **times)
        session.add(delivery)
        session.flush()
        values = {"outcome": "accepted", "started_at_ms": at_ms, "slot_at_ms": at_ms, "lease_until_ms": at_ms}
        session.add(Attempt(id=f"t{sid}", delivery_id=delivery.id, destination=number, provider_id=sid, **values))
        delivery.attempt_id = f"t{sid}"
    return f"t{sid}"


def stored_consent_state(number: str) -> tuple[str | None, bool, bool]:
    """The stored account that gets the number's texts, whether it is stopped, and whether it is unreachable."""
    db.session.remove()
    query = select(Account.external_id).join(PhoneNumber, PhoneNumber.account_id == Account.id)
    recipients = list(
        db.session.scalars(
            query.where(PhoneNumber.number == number, PhoneNumber.receives_sms == True)  # noqa: E712  SQL, not Python
        )
    )
    assert len(recipients) <= 1
    state = db.session.get(PhoneState, number)
    stopped, unreachable = (state.stopped_at_ms, state.unreachable_at_ms) if state else (None, None)
    return recipients[0] if recipients else None, stopped is not None, unreachable is not None


def ledger_events(number: str) -> list[tuple[str, str]]:
    """The kind and the source of the number's events, in order of writing."""
    query = select(ConsentEvent.kind, ConsentEvent.source).where(ConsentEvent.number == number)
    return [(row.kind, row.source) for row in db.session.execute(query.order_by(ConsentEvent.id))]


def ledger_kinds(number: str) -> list[str]:
    return [kind for kind, _source in ledger_events(number)]


def inbound_messages(number: str) -> list[InboundMessage]:
    db.session.remove()
    return list(
        db.session.scalars(
            select(InboundMessage).where(InboundMessage.from_number == number).order_by(InboundMessage.id)
        )
    )


def texts_of_kind(kind: str) -> list[tuple[str, str, str]]:
    """The number, state and reason of the texts of a kind, oldest first."""
    db.session.remove()
    query = select(Delivery).join(Communication).where(Communication.kind == kind, Delivery.channel == "sms")
    return [(row.address, row.state, row.reason) for row in db.session.scalars(query.order_by(Delivery.id))]


def notified_accounts(kind: str) -> list[str]:
    """The account numbers of the recipients of a kind of communication, oldest first."""
    query = select(Account.external_id).join(Communication, Communication.account_id == Account.id)
    return list(db.session.scalars(query.where(Communication.kind == kind).order_by(Communication.id)))


def seed_provider_messages(simulator: servers.SimulatorClient, texts: list[tuple[str, int]], number: str) -> list[str]:
    """Put texts from the handset into Twilio's list without webhooks, oldest first, and return their ids."""
    messages = [
        {"from": number, "to": servers.FROM_NUMBER, "body": body, "direction": "inbound", "at_ms": at_ms}
        for body, at_ms in texts
    ]
    return list(simulator.call_api("POST", "/simulator/seed", {"messages": messages})["sids"])


def count_rows(table: type[Any]) -> int:
    return db.session.scalar(select(func.count()).select_from(table)) or 0


def run_inbound_checks(at_ms: int) -> None:
    """Run the part of maintenance that concerns texts from handsets."""
    db.session.remove()
    inbound_sync.resolve_uncertain_order(lambda: at_ms)
    inbound_sync.fetch_missed_inbound(lambda: at_ms)
    db.session.remove()


def ledger_texts(number: str) -> list[tuple[str, int]]:
    """The texts in the number's ledger in order of time, and how often their provider id is in it."""
    db.session.remove()
    query = select(ConsentEvent, InboundMessage).join(
        InboundMessage, InboundMessage.provider_id == ConsentEvent.message_sid
    )
    rows = sorted(
        db.session.execute(query.where(ConsentEvent.number == number)).all(),
        key=lambda row: (row[1].order_at_ms, row[1].order_rank, row[0].id),
    )
    sids = [event.message_sid for event, _message in rows]
    return [(event.text, sids.count(event.message_sid)) for event, _message in rows]


def ordered_inbound_messages(number: str) -> list[InboundMessage]:
    return sorted(inbound_messages(number), key=lambda reply: (reply.order_at_ms, reply.order_rank, reply.id))
