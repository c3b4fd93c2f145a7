"""Handsets and the people who put their numbers on accounts, for tests of consent. Every time is handed in."""

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
from portal.content.content_blocks import render_block
from portal.content.rules import content_block_checks
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
    """As files write a moment."""
    return datetime.fromtimestamp(at_ms // 1000, UTC).isoformat()


def new_sid() -> str:
    return f"SM{next(_SID_NUMBERS):032x}"


def new_account(external_id: str) -> int:
    """The id of a new account."""
    email = f"{external_id.lower()}@example.org"
    return create_account(NewAccount(external_id, f"Person {external_id}", email, "Practitioner"), scenario.now_ms())


def create_sharing_accounts(number: str, at_ms: int, *external_ids: str) -> list[int]:
    """New accounts that all carry the number; their ids."""
    ids = [new_account(external_id) for external_id in external_ids]
    for account_id in ids:
        account_phones.add_number(account_id, number, "", at_ms)
    return ids


def table_account_id(place: int, who: int) -> int:
    """Of the account A (1) or B (2) of one of the world's numbers."""
    return 2 * place + who


def create_account_pairs(numbers: int) -> None:
    """An A and a B for each of the world's first numbers, with ids that `account_id` knows."""
    rows = [
        {
            "id": table_account_id(place, who),
            "external_id": f"{'AB'[who - 1]}-{place}",
            "name": "Somebody",
            "email": f"{place}@example.org",
            "account_type": "Practitioner",
            "role": "user",
            "timezone": "UTC",
            "active": True,
            "fs_uniquifier": f"{place}-{who}",
            "created_at_ms": 0,
        }
        for place in range(numbers)
        for who in (1, 2)
    ]
    with transaction() as session:
        session.execute(insert(Account), rows)


def write_ledger(stories: list[cases.NumberHistory]) -> None:
    """What happened at each number so far, straight into the ledger."""
    carried, events = [], []
    for place, story in enumerate(stories):
        phone_number = scenario.phone_number(place)
        for who, since_ms in story.number_added_ms_by_account.items():
            own = {
                "table_account_id": table_account_id(place, who),
                "number": phone_number,
                "label": "",
                "created_at_ms": since_ms,
            }
            carried.append(own)
        events += [
            _row(event, place, story.removed_number_added_ms) for event in story.events if event.kind != EventKind.ADDED
        ]
    with transaction() as session:
        session.execute(insert(PhoneNumber), carried)
        consent_ledger.append(*events)
        recording.recompute_many([scenario.phone_number(place) for place in range(len(stories))], scenario.now_ms())


def _row(event: LedgerEvent, place: int, had: dict[int, int]) -> dict[str, Any]:
    return {
        "phone_number": scenario.phone_number(place),
        "kind": event.kind,
        "source": "test",
        "table_account_id": table_account_id(place, event.table_account_id) if event.table_account_id else None,
        "detail": {"added_at_ms": had[event.id]} if event.kind == EventKind.REMOVED else _detail(event),
        "occurred_at_ms": event.at_ms,
        "recorded_at_ms": event.at_ms,
    }


def _detail(event: LedgerEvent) -> dict[str, Any]:
    return {"error_code": event.error_code} | ({"cannot_clear_stop": True} if event.cannot_clear_stop else {})


def receive_text(body: str, number: str, at_ms: int, sid: str = "", **more: str) -> str | None:
    """A webhook at that time; what it is answered."""
    form = {"MessageSid": sid or new_sid(), "From": number, "To": servers.FROM_NUMBER, "Body": body, **more}
    answer = inbound_processing.receive_inbound(form, at_ms)
    db.session.remove()
    return answer


def phone_id(account_id: int, number: str) -> int:
    query = select(PhoneNumber.id).where(PhoneNumber.account_id == account_id, PhoneNumber.number == number)
    found = db.session.scalars(query).one()
    db.session.rollback()
    return found


def make_actor(account_id: int, ip: str = "198.51.100.7", by_admin: bool = False) -> Actor:
    return Actor(account_id, ip, "a browser", by_admin)


def invite(account_id: int, number: str, at_ms: int, by: Actor | None = None) -> int:
    """The id of the event in the ledger. Raises as the action does."""
    version = render_block(content_block_checks.OPT_IN_PROMPT).version
    return invitations.invite(phone_id(account_id, number), by or make_actor(account_id), version, at_ms)


def request_while_stopped(account_id: int, number: str, at_ms: int, by: Actor | None = None) -> str:
    """An invitation asked for while the number is stopped; what is told."""
    try:
        invite(account_id, number, at_ms, by)
    except invitations.RequestRecorded as kept:
        db.session.remove()
        return kept.message
    raise AssertionError("an invitation left for a stopped number")


def receive_error_receipt(account_id: int, number: str, code: str, at_ms: int) -> None:
    """A receipt with this code for a text to the number that was accepted just before."""
    sid = new_sid()
    attempt_id = _create_accepted_sms(account_id, number, sid, at_ms)
    record_receipt({"MessageSid": sid, "MessageStatus": "undelivered", "ErrorCode": code}, attempt_id, at_ms)
    db.session.remove()


def _create_accepted_sms(account_id: int, number: str, sid: str, at_ms: int) -> str:
    times = {"due_at_ms": at_ms, "state_changed_at_ms": at_ms, "created_at_ms": at_ms}
    words = {"subject": "s", "body": "b", "token": sid, "created_at_ms": at_ms}
    with transaction() as session:
        communication = Communication(account_id=account_id, **words)
        session.add(communication)
        session.flush()
        delivery = Delivery(communication_id=communication.id, channel="sms", state="accepted", address=number, **times)
        session.add(delivery)
        session.flush()
        moment = {"outcome": "accepted", "started_at_ms": at_ms, "slot_at_ms": at_ms, "lease_until_ms": at_ms}
        session.add(Attempt(id=f"t{sid}", delivery_id=delivery.id, destination=number, provider_id=sid, **moment))
        delivery.attempt_id = f"t{sid}"
    return f"t{sid}"


def stored_consent_state(number: str) -> tuple[str | None, bool, bool]:
    """As the tables hold it: the account that holds the number's texts, whether it is stopped, whether it is dead."""
    db.session.remove()
    query = select(Account.external_id).join(PhoneNumber, PhoneNumber.account_id == Account.id)
    holders = list(
        db.session.scalars(
            query.where(PhoneNumber.number == number, PhoneNumber.receives_sms == True)  # noqa: E712  SQL, not Python
        )
    )
    assert len(holders) <= 1
    handset = db.session.get(PhoneState, number)
    stopped, dead = (handset.stopped_at_ms, handset.unreachable_at_ms) if handset else (None, None)
    return holders[0] if holders else None, stopped is not None, dead is not None


def ledger_events(number: str) -> list[tuple[str, str]]:
    """Kind and source of the number's events, in order of writing."""
    query = select(ConsentEvent.kind, ConsentEvent.source).where(ConsentEvent.number == number)
    return [(row.kind, row.source) for row in db.session.execute(query.order_by(ConsentEvent.id))]


def ledger_kinds(number: str) -> list[str]:
    return [kind for kind, _source in ledger_events(number)]


def inbound_messages(number: str) -> list[InboundMessage]:
    db.session.remove()
    return list(db.session.scalars(select(InboundMessage).where(InboundMessage.from_number == number)))


def texts_of_kind(kind: str) -> list[tuple[str, str, str]]:
    """Number, state and reason of the texts of a kind, oldest first."""
    db.session.remove()
    query = select(Delivery).join(Communication).where(Communication.kind == kind, Delivery.channel == "sms")
    return [(row.address, row.state, row.reason) for row in db.session.scalars(query.order_by(Delivery.id))]


def notified_accounts(kind: str) -> list[str]:
    """Account numbers of those who were written to, oldest first."""
    query = select(Account.external_id).join(Communication, Communication.account_id == Account.id)
    return list(db.session.scalars(query.where(Communication.kind == kind).order_by(Communication.id)))


def seed_provider_messages(simulator: servers.SimulatorClient, said: list[tuple[str, int]], number: str) -> list[str]:
    """What Twilio has in its list from the handset, oldest first; no webhook tells of it. Their ids."""
    messages = [
        {"from": number, "to": servers.FROM_NUMBER, "body": body, "direction": "inbound", "at_ms": at_ms}
        for body, at_ms in said
    ]
    return list(simulator.call_api("POST", "/simulator/seed", {"messages": messages})["sids"])


def count_rows(table: type[Any]) -> int:
    return db.session.scalar(select(func.count()).select_from(table)) or 0


def run_inbound_checks(at_ms: int) -> None:
    """One turn of the sweep, as far as it concerns texts from handsets."""
    db.session.remove()
    inbound_sync.resolve_uncertain_order(lambda: at_ms)
    inbound_sync.fetch_missed_inbound(lambda: at_ms)
    db.session.remove()


def ledger_texts(number: str) -> list[tuple[str, int]]:
    """The words of the number's ledger in order of time, and how often each of Twilio's ids is in it."""
    db.session.remove()
    query = select(ConsentEvent, InboundMessage).join(
        InboundMessage, InboundMessage.provider_id == ConsentEvent.message_sid
    )
    rows = db.session.execute(query.where(ConsentEvent.number == number)).all()
    rows.sort(key=lambda row: (row[1].order_at_ms, row[1].order_rank, row[0].id))
    sids = [event.message_sid for event, _message in rows]
    return [(event.text, sids.count(event.message_sid)) for event, _message in rows]


def ordered_inbound_messages(number: str) -> list[InboundMessage]:
    return sorted(inbound_messages(number), key=lambda reply: (reply.order_at_ms, reply.order_rank, reply.id))
