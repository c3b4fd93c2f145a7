"""Accounts of every kind for tests of audiences: attributes, phone numbers in every state, an earlier send."""

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

from portal.accounts.tables.accounts import Account
from portal.accounts.tables.attributes import Attribute, AttributeValue
from portal.accounts.tables.phone_numbers import PhoneNumber, PhoneState
from portal.content.message_templates import TemplateDraft, create_template
from portal.content.tables.topics import Topic, TopicOptOut
from portal.core.extensions import db
from portal.core.rules.case_folding import fold_case
from portal.core.rules.delivery_status import DeliveryState
from portal.core.rules.routing import RecipientPhone, Switches, route_text
from portal.messages.tables.communications import Communication, Delivery
from portal.sends.rules.send_state import SendState
from portal.sends.tables.sends import Send

TODAY = date(2027, 3, 1)
NOW_MS = 1_803_859_200_000
TYPES, ZONES = ("Practitioner", "Provider", "Clerk"), ("UTC", "America/New_York", "Asia/Tokyo")
ATTRIBUTES = {"expires_on": "date", "credits": "number", "region": "choice", "note": "text"}
REGIONS = ["North", "South", "East % side"]
NOTES = ("Paid in full", "paid", "Owes 50 %", "a_b", "ÉCOLE", "")
TOPICS = ("1", "2")
STATES = tuple(state.value for state in DeliveryState if state != DeliveryState.NO_RECEIPT)
_STORED_NUMBERS = ("0", "1", "2.5", "-3", "12")


@dataclass
class Person:
    """What a test knows of an account. `deliveries` are the states of its email and its text in the earlier send."""

    id: int
    account_type: str
    timezone: str
    role: str
    active: bool
    attributes: dict[str, str] = field(default_factory=dict)
    phones: list[RecipientPhone] = field(default_factory=list)
    deliveries: tuple[str, str] | None = None
    topics_off: set[str] = field(default_factory=set)

    @property
    def sms_state(self) -> str:
        """As the one decision about texts gives it."""
        decision = route_text(Switches(feature_on=True), True, self.phones)
        return str(decision.reason) if decision.reason else "gets_texts"


def create_attributes() -> dict[str, int]:
    """Their ids by key."""
    rows = [
        Attribute(key=key, label=key, kind=kind, choices=REGIONS if kind == "choice" else [], created_at_ms=NOW_MS)
        for key, kind in ATTRIBUTES.items()
    ]
    db.session.add_all(rows)
    db.session.flush()
    return {row.key: row.id for row in rows}


def set_attribute(account_id: int, attribute_id: int, kind: str, value: str) -> None:
    """As the import of accounts stores it."""
    columns = {"value": value, "comparable": fold_case(value), "number": float(value) if kind == "number" else None}
    db.session.add(AttributeValue(account_id=account_id, attribute_id=attribute_id, **columns))


def create_people(count: int, chance: random.Random) -> list[Person]:
    """Accounts with random properties, and a send that reached some of them."""
    create_template(TemplateDraft("earlier", "Earlier", "Hello", "Hello."), None, NOW_MS)
    attribute_ids, people = create_attributes(), []
    for number in range(count):
        columns: dict[str, Any] = {
            "account_type": chance.choice(TYPES),
            "timezone": chance.choice(ZONES),
            "role": chance.choice(("user", "user", "user", "admin", "sysadmin")),
            "active": chance.random() < 0.9,
        }
        account = add_account(f"P-{number}", **columns)
        person = Person(account.id, **columns)
        for key, attribute_id in attribute_ids.items():
            if value := _random_value(key, chance):
                person.attributes[key] = value
                set_attribute(account.id, attribute_id, ATTRIBUTES[key], value)
        people.append(person)
    _give_phones(people, chance)
    _send_to_some(people, chance)
    _switch_topics_off(people, chance)
    db.session.commit()
    return people


def add_account(external_id: str, **columns: Any) -> Account:
    common = {"name": external_id, "email": f"{external_id}@example.org", "created_at_ms": NOW_MS}
    account = Account(external_id=external_id, fs_uniquifier=external_id, **common, **columns)
    db.session.add(account)
    db.session.flush()
    return account


def _random_value(key: str, chance: random.Random) -> str:
    if chance.random() < 0.3:
        return ""
    if key == "expires_on":
        return (TODAY + timedelta(days=chance.randint(-40, 40))).isoformat()
    values: Mapping[str, Any] = {"credits": _STORED_NUMBERS, "region": REGIONS, "note": NOTES}
    return str(chance.choice(values[key]))


def _give_phones(people: list[Person], chance: random.Random) -> None:
    """Numbers are shared, and each receives texts for one account at most."""
    numbers = [f"+1202555{index:04d}" for index in range(max(4, len(people)))]
    states = {number: chance.choice(("", "", "stopped", "unreachable", "both")) for number in numbers}
    for number, state in states.items():
        stopped = NOW_MS if state in ("stopped", "both") else None
        unreachable = NOW_MS if state in ("unreachable", "both") else None
        if state or chance.random() < 0.5:
            db.session.add(PhoneState(number=number, stopped_at_ms=stopped, unreachable_at_ms=unreachable))
    receiver: dict[str, int] = {}
    owned = {person.id: chance.sample(numbers, chance.choice((0, 1, 1, 2, 3))) for person in people}
    rows: list[PhoneNumber] = []
    for person in people:
        for number in owned[person.id]:
            receives = number not in receiver and chance.random() < 0.5
            if receives:
                receiver[number] = person.id
            rows.append(PhoneNumber(account_id=person.id, number=number, receives_sms=receives, created_at_ms=NOW_MS))
    db.session.add_all(rows)
    db.session.flush()
    by_id = {person.id: person for person in people}
    for row in sorted(rows, key=lambda row: (not row.receives_sms, row.id)):
        state = states[row.number]
        phone = RecipientPhone(
            row.number,
            row.receives_sms,
            receives_sms_elsewhere=not row.receives_sms and row.number in receiver,
            is_opted_out=state in ("stopped", "both"),
            is_unreachable=state in ("unreachable", "both"),
        )
        by_id[row.account_id].phones.append(phone)


def _switch_topics_off(people: list[Person], chance: random.Random) -> None:
    """The topics have the ids 1 and 2."""
    for name in ("Exams", "Fees"):
        db.session.add(Topic(name=name, description=name, created_at_ms=NOW_MS))
    db.session.flush()
    for person in people:
        person.topics_off = {topic for topic in TOPICS if chance.random() < 0.3}
        for topic in person.topics_off:
            db.session.add(TopicOptOut(account_id=person.id, topic_id=int(topic), switched_off_at_ms=NOW_MS))


def _send_to_some(people: list[Person], chance: random.Random) -> None:
    """The send has the id 1."""
    db.session.add(Send(template_version_id=1, audience={"all": True}, state=SendState.SENDING, created_at_ms=NOW_MS))
    db.session.flush()
    for person in people:
        if chance.random() < 0.3:
            continue
        person.deliveries = chance.choice(STATES), chance.choice(STATES)
        texts = {"subject": "Hello", "body": "Hello.", "token": f"t{person.id}"}
        communication = Communication(send_id=1, account_id=person.id, created_at_ms=NOW_MS, **texts)
        times = dict.fromkeys(("due_at_ms", "state_changed_at_ms", "created_at_ms"), NOW_MS)
        communication.deliveries = [
            Delivery(send_id=1, channel=channel, state=state, **times)
            for channel, state in zip(("email", "sms"), person.deliveries, strict=True)
        ]
        db.session.add(communication)
