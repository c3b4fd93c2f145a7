"""What a schedule needs cannot be taken away from it."""

import pytest
from flask import Flask

from portal.operations.attribute_uses import attribute_uses
from portal.schedules import schedule_changes
from portal.schedules.running import run_due_schedules
from portal.schedules.tables.schedules import schedules_with_audience
from portal.sends.audience_saving import change_saved_audience, create_saved_audience
from tests.support import scenario
from tests.support.schedules.schedule_scenario import (
    add_date_attribute,
    add_once,
    add_person,
    add_relative,
    at_ms,
    run_states,
    sends,
)

pytestmark = pytest.mark.usefixtures("app")
_NOW_MS = at_ms("2027-01-01T12:00")


@pytest.fixture(autouse=True)
def template_and_people(app: Flask) -> None:
    scenario.add_template()
    add_date_attribute()
    add_person("P-1")
    add_person("P-2", account_type="Provider")


def test_the_date_of_a_schedule_is_in_use_until_the_schedule_ends() -> None:
    schedule_id = add_relative("7", _NOW_MS)
    assert [use.description for use in attribute_uses("expires_on")] == ["schedule “Reminder”"]
    assert attribute_uses("other") == []
    schedule_changes.end_schedule(schedule_id, None, _NOW_MS)
    assert attribute_uses("expires_on") == []


def test_an_attribute_in_a_condition_of_a_schedule_is_in_use() -> None:
    condition = {"field": "attribute.expires_on", "operator": "is_set", "value": ""}
    add_once("2027-01-02", _NOW_MS, audience={"conditions": [condition], "match": "all"})
    assert [use.kind for use in attribute_uses("expires_on")] == ["schedule"]


def test_a_saved_audience_is_in_use_and_read_when_a_run_begins() -> None:
    audience_id = create_saved_audience("Some", {"account_type": "Practitioner"}, None, _NOW_MS)
    schedule_id = add_once("2027-01-02", _NOW_MS, audience={"saved_audience": audience_id})
    assert [schedule.name for schedule in schedules_with_audience(audience_id)] == ["Reminder"]
    change_saved_audience(audience_id, "Some", {"account_type": "Provider"}, 1, None, _NOW_MS)
    run_due_schedules(at_ms("2027-01-02T09:00"))
    assert run_states(schedule_id) == [("2027-01-02", "sent")]
    assert [send.audience for send in sends()] == [{"account_type": "Provider"}]


def test_a_schedule_may_wait_for_an_audience_of_nobody() -> None:
    condition = {"field": "attribute.expires_on", "operator": "is_set", "value": ""}
    schedule_id = add_once("2027-01-02", _NOW_MS, audience={"conditions": [condition], "match": "all"})
    run_due_schedules(at_ms("2027-01-02T09:00"))
    assert run_states(schedule_id) == [("2027-01-02", "empty")]
