"""Conditions in SQL choose the same accounts as their plain meaning, on both databases."""

import operator
import random
from collections.abc import Callable, Mapping
from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from portal.accounts.tables.accounts import Account
from portal.core.errors import InvalidInput
from portal.core.extensions import db
from portal.core.keyset import Keyset
from portal.core.rules.case_folding import fold_case
from portal.core.rules.delivery_status import STATES as DELIVERY_STATES
from portal.sends import fan_out
from portal.sends.audience_resolution import resolve_audience
from portal.sends.rules.audience_conditions import OPERATORS, SMS_STATES, ConditionField
from portal.sends.send_creation import create_send, plan_send
from portal.sends.tables.audience import count_recipients, in_audience, people_page, recipients_after
from portal.sends.tables.audience_estimate import routing_groups
from portal.sends.tables.condition_queries import condition_fields
from portal.sends.tables.sends import Send
from tests.sends import audience_people as population
from tests.sends.audience_people import ATTRIBUTES, NOTES, NOW_MS, REGIONS, TODAY, TOPICS, TYPES, ZONES, Person
from tests.support import scenario

pytestmark = pytest.mark.usefixtures("app")
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "on": operator.eq,
    "before": operator.lt,
    "after": operator.gt,
    "equals": operator.eq,
    "at_least": operator.ge,
    "at_most": operator.le,
}


def is_true(condition: dict[str, Any], person: Person) -> bool:
    """What a condition means, without SQL."""
    name, compare, wanted = str(condition["field"]), str(condition["operator"]), condition["value"]
    if name == "send":
        return was_not_reached(person)
    if name == "topic":
        return (wanted in person.topics_off) is (compare == "texts_off")
    if not name.startswith("attribute."):
        wanted = wanted if isinstance(wanted, list) else [wanted]
        return bool(getattr(person, name) in wanted) != (compare == "is_not")
    value = person.attributes.get(name.removeprefix("attribute."), "")
    if compare in ("is_set", "not_set"):
        return bool(value) is (compare == "is_set")
    if compare == "is_not":
        return fold_case(value) != fold_case(wanted) if value else True
    return bool(value) and is_value_true(name.removeprefix("attribute."), compare, value, wanted)


def is_value_true(key: str, compare: str, value: str, wanted: Any) -> bool:
    if compare in ("next_days", "past_days"):
        distance = (date.fromisoformat(value) - TODAY).days
        return 0 <= (distance if compare == "next_days" else -distance) <= int(wanted)
    if compare in _COMPARE:
        read = float if ATTRIBUTES[key] == "number" else date.fromisoformat
        return _COMPARE[compare](read(value), read(wanted))
    if compare == "contains":
        return fold_case(wanted) in fold_case(value)
    return fold_case(value) in map(fold_case, wanted if isinstance(wanted, list) else [wanted])


def was_not_reached(person: Person) -> bool:
    if person.deliveries is None:
        return False
    email, text = (DELIVERY_STATES[state] for state in person.deliveries)
    return email.final and email != "handed_off" and text.final and text != "delivered"


def random_audience(first: dict[str, Any], chance: random.Random) -> dict[str, Any]:
    """One condition, and up to three others."""
    fields = list(condition_fields().values())
    others = [chance.choice(fields) for _ in range(chance.randint(0, 3))]
    conditions = [first, *(random_condition(field, chance.choice(OPERATORS[field.kind]), chance) for field in others)]
    return {"conditions": conditions, "match": chance.choice(("all", "any")), "staff": chance.random() < 0.5}


def random_condition(field: ConditionField, compare: str, chance: random.Random) -> dict[str, Any]:
    if compare == "any_of":
        return {"field": field.name, "operator": compare, "value": [random_value(field, compare, chance)] * 2}
    return {"field": field.name, "operator": compare, "value": random_value(field, compare, chance)}


def random_value(field: ConditionField, compare: str, chance: random.Random) -> str:
    if compare in ("next_days", "past_days"):
        return str(chance.randint(0, 40))
    values: dict[str, Any] = {
        "account_type": TYPES,
        "timezone": ZONES,
        "sms_state": list(SMS_STATES),
        "send": ("1",),
        "topic": TOPICS,
        "attribute.expires_on": [(TODAY + timedelta(days=days)).isoformat() for days in (-30, -1, 0, 1, 25)],
        "attribute.credits": ("0", "2.5", "-3", "7"),
        "attribute.region": [*REGIONS, "nORTH"],
        "attribute.note": [*filter(None, NOTES), "50 %", "PAID", "école", "a%b", "b"],
    }
    return str(chance.choice(values[field.name]))


def chosen(audience: dict[str, Any]) -> set[int]:
    return set(db.session.scalars(in_audience(select(Account.id), resolve_audience(audience, NOW_MS))))


def assert_counted_paged_and_read(audience: Mapping[str, Any], expected: list[int]) -> None:
    """Neither the count nor a page asks about one account after the other, but the fan-out does."""
    assert count_recipients(audience) == len(expected), audience
    middle = expected[len(expected) // 2] if expected else 0
    pages = {
        Keyset((Account.id,), 5): expected[:5],
        Keyset((Account.id,), 5, after_id=middle): [id for id in expected if id > middle][:5] or expected[:5],
        Keyset((Account.id,), 5, before_id=middle): [id for id in expected if id < middle][-5:] or expected[:5],
    }
    for keyset, ids in pages.items():
        assert [account.id for account in people_page(audience, len(expected), keyset).rows] == ids, audience
    following = [recipient.id for recipient in recipients_after(audience, middle, len(expected) + 1)]
    assert following == [id for id in expected if id > middle], audience


@pytest.mark.parametrize("seed", [1, 2])
def test_sql_of_random_conditions_equals_their_meaning(seed: int) -> None:
    chance = random.Random(seed)
    people, sizes = population.create_people(60, chance), set()
    pairs = [(field, compare) for field in condition_fields().values() for compare in OPERATORS[field.kind]]
    for field, compare in pairs * 2:
        audience = random_audience(random_condition(field, compare, chance), chance)
        join = all if audience["match"] == "all" else any
        expected = {
            person.id
            for person in people
            if person.active
            and (audience["staff"] or person.role == "user")
            and join(is_true(condition, person) for condition in audience["conditions"])
        }
        assert chosen(audience) == expected, audience
        assert_counted_paged_and_read(resolve_audience(audience, NOW_MS), sorted(expected))
        db.session.rollback()  # PostgreSQL ends a transaction that takes longer than the portal ever needs
        sizes.add(len(expected))
    assert len(sizes) > 20, "the conditions hardly differ"


def test_every_sms_state_is_the_decision_about_texts() -> None:
    people = population.create_people(120, random.Random(3))
    for state in SMS_STATES:
        audience = {"conditions": [{"field": "sms_state", "operator": "is", "value": state}], "match": "all"}
        expected = {person.id for person in people if person.active and person.sms_state == state}
        assert expected, f"nobody is in the state {state}"
        assert chosen(audience) == expected, state
        assert_counted_paged_and_read(resolve_audience(audience | {"staff": True}, NOW_MS), sorted(expected))


def test_counts_by_routing_agree_with_the_audience() -> None:
    """The preview joins phone numbers to the audience, whose conditions read phone numbers too."""
    population.create_people(60, random.Random(4))
    condition = {"field": "sms_state", "operator": "is_not", "value": "no_number"}
    audience = resolve_audience({"conditions": [condition], "match": "all"}, NOW_MS)
    assert sum(count for _group, count in routing_groups(audience, 3, NOW_MS)) == count_recipients(audience) > 0


def test_relative_days_count_from_the_creation_of_the_send(monkeypatch: pytest.MonkeyPatch) -> None:
    """The fan-out may run on a later day: its chunks stay the same."""
    monkeypatch.setattr(fan_out, "CHUNK_SIZE", 1)
    scenario.configure_gateway()
    scenario.add_template()
    ids = population.create_attributes()
    for number, day in enumerate(("2027-02-28", "2027-03-01", "2027-03-08", "2027-03-09")):
        account = population.add_account(f"P-{number}", account_type="T", timezone="UTC")
        population.set_attribute(account.id, ids["expires_on"], "date", day)
    db.session.commit()
    audience = {
        "conditions": [{"field": "attribute.expires_on", "operator": "next_days", "value": "7"}],
        "match": "all",
    }
    send_id = create_send("renewal", audience, {}, None, NOW_MS)
    fan_out.fan_out_send(send_id, lambda: NOW_MS + 3 * 86_400_000)
    addresses = [delivery.address for delivery in scenario.deliveries("email")]
    assert addresses == ["P-1@example.org", "P-2@example.org"]
    assert db.session.get_one(Send, send_id).audience["as_of"] == "2027-03-01"


def test_condition_that_nobody_understands_chooses_nobody() -> None:
    scenario.configure_gateway()
    scenario.create_accounts(2)
    scenario.add_template()
    known = {"field": "timezone", "operator": "is", "value": "UTC"}
    gone = {"field": "attribute.gone", "operator": "is", "value": "x"}
    audience = {"conditions": [known, gone], "match": "any"}
    assert chosen({"conditions": [known], "match": "any"}) != set()
    assert chosen(audience) == set()
    for act in (
        lambda: plan_send("renewal", audience, {}, NOW_MS),
        lambda: create_send("renewal", audience, {}, None, NOW_MS),
    ):
        with pytest.raises(InvalidInput) as refused:
            act()
        assert refused.value.errors["audience"].startswith("There is no field “gone” any more.")


def test_audience_of_no_known_kind_is_nobody() -> None:
    scenario.create_accounts(2)
    assert recipients_after({"star_sign": "Leo"}, 0, 10) == []


def test_empty_audience_is_said_at_its_field() -> None:
    scenario.configure_gateway()
    scenario.create_accounts(2)
    scenario.add_template()
    condition = {"field": "timezone", "operator": "is", "value": "Asia/Tokyo"}
    with pytest.raises(InvalidInput) as refused:
        create_send("renewal", {"conditions": [condition], "match": "all"}, {}, None, NOW_MS)
    assert refused.value.errors == {"audience": "Nobody is in this audience at the moment, so nothing was sent."}


def test_administrators_are_left_out_only_if_the_audience_says_so() -> None:
    population.add_account("P-1", account_type="T", timezone="UTC")
    population.add_account("A-1", account_type="T", timezone="UTC", role="admin")
    db.session.commit()
    sizes = [count_recipients(audience) for audience in ({"all": True}, {"all": True, "staff": False})]
    assert sizes == [2, 1]
    assert count_recipients({"account_type": "T", "staff": False}) == 1
