"""Sends of templates that name attributes."""

from typing import Any

import pytest
from sqlalchemy import select

from portal.accounts.account_attributes import set_attributes
from portal.accounts.attribute_checks import AttributeInUse
from portal.accounts.attribute_management import add_attribute, remove_attribute
from portal.accounts.rules.attribute_values import AttributeDefinition, AttributeKind
from portal.content.message_templates import attribute_fields, required_attributes
from portal.content.tables.templates import find_template, find_template_version
from portal.core.errors import InvalidInput
from portal.core.extensions import db
from portal.messages.tables.communications import Communication
from portal.operations.attribute_uses import attribute_uses
from portal.sends import fan_out, send_approval, send_creation
from portal.sends.send_creation import SendPlan
from tests.support import scenario

pytestmark = pytest.mark.usefixtures("app")
NOW_MS = 1_764_000_000_000
SUBJECT = "Your license expires on {{ expires_on | date }}"


@pytest.fixture
def people() -> int:
    """Three people, of whom the first has no date. The id of the attribute."""
    scenario.configure_gateway()
    scenario.create_accounts(3, with_sms=3)
    attribute_id = add_attribute(AttributeDefinition("expires_on", "Expires on", AttributeKind.DATE), None, NOW_MS)
    add_attribute(AttributeDefinition("note", "Note", AttributeKind.TEXT), None, NOW_MS)
    set_attributes(2, {"expires_on": "2027-05-28"}, None, NOW_MS)
    set_attributes(3, {"expires_on": "2027-06-01", "note": "soon"}, None, NOW_MS)
    return attribute_id


def subjects_by_account() -> dict[int, str]:
    rows = db.session.execute(select(Communication.account_id, Communication.subject))
    return {account_id: subject for account_id, subject in rows}


def test_message_has_the_values_of_its_recipient(people: int) -> None:
    scenario.create_expanded_send(scenario.add_template(subject=SUBJECT))
    subjects = subjects_by_account()
    assert subjects[2] == "Your license expires on May 28, 2027"
    assert subjects[3] == "Your license expires on June 1, 2027"


@pytest.mark.parametrize("subject", [SUBJECT, "Until {{ expires_on }}"])
def test_account_without_a_value_gets_no_message_and_others_do(people: int, subject: str) -> None:
    scenario.create_expanded_send(scenario.add_template(subject=subject))
    reasons = {delivery.state: delivery.reason for delivery in scenario.deliveries("email")}
    assert reasons["rejected"].endswith("for this account: The account has no value for “expires on”.")
    assert scenario.count_states("email") == {"rejected": 1, "ready": 2}
    assert scenario.count_states("sms") == {"rejected": 1, "ready": 2}


def test_template_that_no_filter_can_fill_for_one_account_is_still_sent(people: int) -> None:
    scenario.create_expanded_send(scenario.add_template(subject='Note: {{ note | default: "2027-01-01" | date }}'))
    assert scenario.count_states("email") == {"rejected": 1, "ready": 2}


def test_plan_shows_the_message_of_somebody_who_has_the_value(people: int) -> None:
    key = scenario.add_template(subject=SUBJECT, sms_enabled=False)
    plan = send_creation.plan_send(key, {"all": True}, {}, NOW_MS)
    assert plan.sample.subject == "Your license expires on May 28, 2027"


def test_plan_counts_people_without_a_value_apart(people: int) -> None:
    plan = plan_for("{{ expires_on }} {{ note }}", {"all": True})
    assert (plan.emails, plan.texts, plan.without_message) == (1, 1, 2)
    assert plan.missing_values == {"expires_on": 1, "note": 2}


def test_plan_without_anybody_who_has_the_value_has_no_message(people: int) -> None:
    plan = plan_for(SUBJECT, {"external_ids": ["P-0"]})
    assert (plan.emails, plan.texts, plan.segments, plan.reasons, plan.forecast) == (0, 0, 0, [], None)
    assert (plan.missing_values, plan.sample_recipient, plan.sample.subject) == ({"expires_on": 1}, "", "")


def plan_for(subject: str, audience: dict[str, Any]) -> SendPlan:
    return send_creation.plan_send(scenario.add_template(subject=subject), audience, {}, scenario.now_ms())


def test_template_tells_its_attributes(people: int) -> None:
    scenario.add_template(subject=SUBJECT, body="{% if note %}{{ note }}{% endif %}")
    template = find_template("renewal")
    assert template is not None
    version = find_template_version(template)
    assert (attribute_fields(version), required_attributes(version)) == (("expires_on", "note"), ("expires_on",))


def test_template_without_attributes_reads_none(people: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("portal.accounts.tables.attributes.values_of", None)
    monkeypatch.setattr("portal.sends.tables.audience.has_values", None)
    key = scenario.add_template()
    assert send_creation.plan_send(key, {"all": True}, {}, NOW_MS).emails == 3
    scenario.create_expanded_send(key)
    assert scenario.count_states("email") == {"ready": 3}


def test_template_cannot_name_an_attribute_that_does_not_exist(people: int) -> None:
    with pytest.raises(InvalidInput, match="there is no merge field “expired_on”"):
        scenario.add_template(subject="{{ expired_on }}")


def test_attribute_of_a_send_that_is_not_filled_in_yet_stays(people: int) -> None:
    send_id = send_creation.create_send(scenario.add_template(subject=SUBJECT), {"all": True}, {}, None, NOW_MS)
    scenario.save_template(subject="No date")
    with pytest.raises(AttributeInUse, match=f"send {send_id}"):
        remove_attribute(people, attribute_uses, 2, None, NOW_MS)
    fan_out.fan_out_send(send_id, scenario.now_ms)
    remove_attribute(people, attribute_uses, 2, None, NOW_MS)


def test_attribute_of_a_send_that_awaits_approval_stays(people: int) -> None:
    scenario.configure_gateway(SendApprovalRecipients="1")
    with_date = {"field": "attribute.expires_on", "operator": "is_set", "value": ""}
    audience = {"conditions": [with_date], "match": "all"}
    send_id = send_creation.create_send(scenario.add_template(subject="No date"), audience, {}, 2, NOW_MS)
    with pytest.raises(AttributeInUse, match=f"send {send_id}"):
        remove_attribute(people, attribute_uses, 3, None, NOW_MS)
    send_approval.withdraw_send(send_id, 2, NOW_MS)
    remove_attribute(people, attribute_uses, 3, None, NOW_MS)
