"""Saved audiences: names, changes, archiving, and what a send keeps of them."""

from typing import Any

import pytest
from sqlalchemy import select

from portal.accounts.attribute_checks import AttributeUse
from portal.core.audit_log import AuditEntry
from portal.core.errors import ActionRefused, InvalidInput
from portal.core.extensions import db
from portal.operations.attribute_uses import attribute_uses
from portal.sends import audience_saving, fan_out
from portal.sends.audience_resolution import audience_problem
from portal.sends.audience_saving import AudienceChanged
from portal.sends.send_creation import create_send
from portal.sends.tables.saved_audiences import SavedAudience, find_saved_audience
from portal.sends.tables.sends import Send
from tests.sends import audience_people as population
from tests.support import scenario

pytestmark = pytest.mark.usefixtures("app")
GONE = {"field": "attribute.x", "operator": "is", "value": "y"}
EVERYONE: dict[str, Any] = {"all": True, "staff": False}


def test_send_keeps_the_definition_of_the_moment() -> None:
    scenario.configure_gateway()
    scenario.create_accounts(3)
    scenario.add_template()
    audience_id = audience_saving.create_saved_audience("Two", {"external_ids": ["p-0", "P-1"]}, None, 1)
    send_id = create_send("renewal", {"saved_audience": audience_id}, {}, None, scenario.now_ms())
    audience_saving.change_saved_audience(audience_id, "All", EVERYONE, 1, None, 2)
    fan_out.fan_out_send(send_id, scenario.now_ms)
    assert db.session.get_one(Send, send_id).audience == {"external_ids": ["P-0", "P-1"]}
    assert len(scenario.deliveries("email")) == 2


@pytest.mark.parametrize("audience_id", [True, "1", 0, 2**63, 10**25, [1], {"a": 1}, None])
@pytest.mark.parametrize("kind", ["saved_audience", "schedule_run", "recipient_file", "round_of"])
def test_audience_with_an_id_that_no_row_can_have_is_refused(kind: str, audience_id: Any) -> None:
    outcome = {"outcome": "unreached", "until_ms": 1} if kind == "round_of" else {}
    assert audience_problem({kind: audience_id, **outcome}, 1)


def test_name_is_unique_until_the_audience_is_archived() -> None:
    audience_id = audience_saving.create_saved_audience(" The  North ", EVERYONE, None, 1)
    with pytest.raises(InvalidInput) as refused:
        audience_saving.create_saved_audience("the north", EVERYONE, None, 1)
    assert list(refused.value.errors) == ["name"]
    other_id = audience_saving.create_saved_audience("South", EVERYONE, None, 1)
    with pytest.raises(InvalidInput):
        audience_saving.change_saved_audience(other_id, "THE NORTH", EVERYONE, 1, None, 2)
    audience_saving.archive_saved_audience(audience_id, [], None, 3)
    audience_saving.create_saved_audience("the north", EVERYONE, None, 4)
    found = find_saved_audience("The North")
    assert found is not None
    assert found.id not in (audience_id, other_id)


@pytest.mark.parametrize(
    ("name", "definition", "field"),
    [
        ("", EVERYONE, "name"),
        ("x" * 121, EVERYONE, "name"),
        ("Nobody", {}, "audience"),
        ("Nested", {"saved_audience": 1}, "audience"),
        (
            "Gone",
            {"conditions": [{"field": "attribute.x", "operator": "is", "value": "y"}], "match": "all"},
            "audience",
        ),
    ],
)
def test_incomplete_audience_is_refused_at_its_field(name: str, definition: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        audience_saving.create_saved_audience(name, definition, None, 1)
    assert list(refused.value.errors) == [field]


def test_second_of_two_edits_is_refused() -> None:
    audience_id = audience_saving.create_saved_audience("North", EVERYONE, None, 1)
    audience_saving.change_saved_audience(audience_id, "Far north", EVERYONE, 1, None, 2)
    with pytest.raises(AudienceChanged):
        audience_saving.change_saved_audience(audience_id, "Near north", EVERYONE, 1, None, 3)
    assert db.session.get_one(SavedAudience, audience_id).name == "Far north"


def test_audience_in_use_is_not_archived() -> None:
    audience_id = audience_saving.create_saved_audience("North", EVERYONE, None, 1)
    with pytest.raises(ActionRefused, match="This audience is in use: the schedule “Renewals”"):
        audience_saving.archive_saved_audience(audience_id, ["the schedule “Renewals”"], None, 2)
    assert db.session.get_one(SavedAudience, audience_id).archived_at_ms is None


@pytest.mark.parametrize("missing_id", [77, 2**70, "1", None])
def test_missing_audience_sends_to_nobody(missing_id: Any) -> None:
    scenario.configure_gateway()
    scenario.create_accounts(1)
    scenario.add_template()
    with pytest.raises(InvalidInput) as refused:
        create_send("renewal", {"saved_audience": missing_id}, {}, None, scenario.now_ms())
    assert refused.value.errors["audience"].startswith("This saved audience is archived or does not exist.")


def test_archived_audience_is_no_longer_sent_to() -> None:
    scenario.configure_gateway()
    scenario.create_accounts(1)
    scenario.add_template()
    audience_id = audience_saving.create_saved_audience("North", EVERYONE, None, 1)
    audience_saving.archive_saved_audience(audience_id, [], None, 2)
    with pytest.raises(InvalidInput):
        create_send("renewal", {"saved_audience": audience_id}, {}, None, scenario.now_ms())


def test_audit_log_tells_of_every_change() -> None:
    audience_id = audience_saving.create_saved_audience("North", EVERYONE, None, 1)
    audience_saving.change_saved_audience(audience_id, "South", EVERYONE, 1, None, 2)
    for _twice in range(2):
        audience_saving.archive_saved_audience(audience_id, [], None, 3)
    entries = db.session.execute(select(AuditEntry.action, AuditEntry.subject).order_by(AuditEntry.id)).all()
    assert [tuple(entry) for entry in entries] == [
        ("audience_created", "audience North"),
        ("audience_changed", "audience South"),
        ("audience_archived", "audience South"),
    ]


def test_saved_audience_is_a_use_of_the_attributes_it_names() -> None:
    population.create_attributes()
    db.session.commit()
    north = {"field": "attribute.region", "operator": "any_of", "value": ["North"]}
    audience_id = audience_saving.create_saved_audience("North", {"conditions": [north], "match": "all"}, None, 1)
    use = AttributeUse("audience", "North", audience_id)
    assert attribute_uses("region") == attribute_uses("region", "north") == [use]
    assert attribute_uses("region", "South") == attribute_uses("credits") == []
    audience_saving.archive_saved_audience(audience_id, [], None, 2)
    assert attribute_uses("region") == []
