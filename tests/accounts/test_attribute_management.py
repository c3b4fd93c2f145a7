"""Attributes are declared once, and what is in use stays."""

from dataclasses import replace

import pytest
from sqlalchemy import select

from portal.accounts.account_attributes import set_attributes
from portal.accounts.attribute_checks import AttributeInUse
from portal.accounts.attribute_management import add_attribute, change_attribute, remove_attribute
from portal.accounts.rules.attribute_values import AttributeDefinition, AttributeKind
from portal.accounts.tables.accounts import Recipient
from portal.accounts.tables.attributes import (
    AttributeValue,
    all_attributes,
    count_values,
    find_attribute,
    values_of,
    with_attributes,
)
from portal.content.message_templates import draft_of
from portal.content.tables.templates import find_template, find_template_version
from portal.content.template_drafts import save_draft
from portal.core.audit_log import AuditEntry
from portal.core.errors import ActionRefused, InvalidInput
from portal.core.extensions import db
from portal.operations.attribute_uses import attribute_uses
from portal.sends.audience_saving import create_saved_audience
from tests.support import scenario

pytestmark = pytest.mark.usefixtures("app")
NOW_MS = 1_764_000_000_000
REGION = AttributeDefinition("region", "Region", AttributeKind.CHOICE, ("North", "South"))
EXPIRES_ON = AttributeDefinition("expires_on", "Expires on", AttributeKind.DATE)
CREDITS = AttributeDefinition("credits", "Credits", AttributeKind.NUMBER)


@pytest.fixture
def region_id() -> int:
    scenario.create_accounts(2)
    return add_attribute(REGION, None, NOW_MS)


def change(attribute_id: int, changed: AttributeDefinition, base: AttributeDefinition | None = None) -> None:
    change_attribute(attribute_id, changed, attribute_uses, None, NOW_MS, base)


def errors_of_change(
    attribute_id: int, changed: AttributeDefinition, base: AttributeDefinition | None = None
) -> dict[str, str]:
    with pytest.raises(InvalidInput) as caught:
        change(attribute_id, changed, base)
    return caught.value.errors


def set_region(account_id: int, value: str, base: dict[str, str] | None = None) -> None:
    set_attributes(account_id, {"region": value}, None, NOW_MS, base)


def audit() -> list[tuple[str, str, dict[str, object]]]:
    entries = db.session.scalars(select(AuditEntry).order_by(AuditEntry.id))
    return [(entry.action, entry.subject, entry.detail) for entry in entries]


def test_declared_attributes_are_listed_by_label() -> None:
    for attribute in (REGION, EXPIRES_ON, CREDITS):
        add_attribute(attribute, None, NOW_MS)
    assert [attribute.definition for attribute in all_attributes()] == [CREDITS, EXPIRES_ON, REGION]


@pytest.mark.parametrize(
    ("draft", "field"),
    [
        (AttributeDefinition("name", "Nickname", "text"), "key"),
        (AttributeDefinition("region", "Area", "text"), "key"),
        (AttributeDefinition("area", "REGION", "text"), "label"),
        (AttributeDefinition("area", " ", "text"), "label"),
        (AttributeDefinition("area", "x" * 61, "text"), "label"),
        (AttributeDefinition("area", "Area", "list"), "kind"),
        (AttributeDefinition("area", "Area", "choice", (" ",)), "choices"),
        (AttributeDefinition("area", "Area", "choice", ("x" * 101,)), "choices"),
        (AttributeDefinition("area", "Area", "choice", tuple(map(str, range(101)))), "choices"),
    ],
)
def test_wrong_declaration_is_refused_at_its_field(region_id: int, draft: AttributeDefinition, field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        add_attribute(draft, None, NOW_MS)
    assert list(caught.value.errors) == [field]


def test_there_are_fifty_attributes_at_most() -> None:
    for number in range(50):
        add_attribute(AttributeDefinition(f"a{number}", f"A {number}", "text"), None, NOW_MS)
    with pytest.raises(InvalidInput, match="50 attributes at most"):
        add_attribute(REGION, None, NOW_MS)


def test_values_are_read_for_many_accounts_at_once(region_id: int) -> None:
    add_attribute(CREDITS, None, NOW_MS)
    set_attributes(1, {"region": "south", "credits": "12.50"}, None, NOW_MS)
    assert values_of([1, 2]) == {1: {"region": "South", "credits": "12.5"}}
    assert values_of([1, 2], ["credits"]) == {1: {"credits": "12.5"}}


def test_recipients_get_blank_values_for_the_attributes_asked_for(region_id: int) -> None:
    set_region(1, "North")
    people = [Recipient(number, "A", "a@example.org", "P", "T", "UTC") for number in (1, 2)]
    with_region, with_none = with_attributes(people, ["region"]), with_attributes(people, [])
    assert [person.attributes for person in with_region] == [{"region": "North"}, {"region": ""}]
    assert [person.attributes for person in with_none] == [{}, {}]


def test_value_is_removed_by_a_blank_one(region_id: int) -> None:
    set_region(1, "North")
    set_region(1, "")
    assert count_values() == {}


def test_change_of_a_value_is_audited_with_old_and_new(region_id: int) -> None:
    scenario.forget_audit_entries()
    for value in ("north", "South", "south", ""):
        set_region(1, value)
    changes = [{"to": "North"}, {"from": "North", "to": "South"}, {"from": "South"}]
    assert audit() == [
        ("attribute_set", "account P-0", {"attribute": "Region", "account_id": 1, **change}) for change in changes
    ]


@pytest.mark.parametrize(("key", "value"), [("region", "East"), ("nothing", "x")])
def test_invalid_value_is_refused_at_its_field(region_id: int, key: str, value: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        set_attributes(1, {key: value}, None, NOW_MS)
    assert list(caught.value.errors) == [key]


def test_value_that_somebody_changed_meanwhile_is_not_overwritten(region_id: int) -> None:
    set_region(1, "South")
    with pytest.raises(InvalidInput, match="Somebody changed this to “South”"):
        set_region(1, "North", base={"region": ""})
    assert values_of([1]) == {1: {"region": "South"}}


def test_untouched_field_keeps_what_somebody_else_wrote(region_id: int) -> None:
    set_region(1, "South")
    set_region(1, "North", base={"region": "North"})
    assert values_of([1]) == {1: {"region": "South"}}


def test_label_and_choices_can_change(region_id: int) -> None:
    changed = AttributeDefinition("region", "Office", AttributeKind.CHOICE, ("South", "West"))
    change(region_id, changed)
    assert [attribute.definition for attribute in all_attributes()] == [changed]
    assert audit()[-1] == (
        "attribute_changed",
        "attribute region",
        {"from": "Region, North / South", "to": "Office, South / West"},
    )


def test_choice_that_accounts_have_stays(region_id: int) -> None:
    set_region(1, "North")
    errors = errors_of_change(region_id, AttributeDefinition("region", "Region", "choice", ("South",)))
    assert errors == {"choices": "“North” is in use, so it cannot go: 1 account. Keep it, or change those first."}


def test_choice_that_a_template_compares_with_stays(region_id: int) -> None:
    scenario.add_template(body='{% if region == "north" %}Up{% endif %}')
    errors = errors_of_change(region_id, AttributeDefinition("region", "Region", "choice", ("East",)))
    assert errors == {
        "choices": "“North” is in use, so it cannot go: template “Renewal”. Keep it, or change those first."
    }


def test_choice_in_another_case_keeps_its_values(region_id: int) -> None:
    set_region(1, "North")
    change(region_id, AttributeDefinition("region", "Region", "choice", ("NORTH", "South")))
    assert values_of([1]) == {1: {"region": "NORTH"}}


def test_key_that_nothing_names_can_change(region_id: int) -> None:
    set_region(1, "North")
    change(region_id, AttributeDefinition("area", "Region", "choice", ("North", "South")))
    assert values_of([1]) == {1: {"area": "North"}}


def test_key_that_a_template_names_stays(region_id: int) -> None:
    scenario.add_template(subject="For {{ region }}")
    errors = errors_of_change(region_id, AttributeDefinition("area", "Region", "choice", ("North", "South")))
    assert errors == {"key": "“region” is named in template “Renewal”, so the key cannot change. Change those first."}


def test_kind_stays_while_accounts_have_values(region_id: int) -> None:
    set_region(1, "North")
    errors = errors_of_change(region_id, AttributeDefinition("region", "Region", "text"))
    assert errors == {"kind": "1 account has a value, so the kind cannot change."}
    set_region(1, "")
    change(region_id, AttributeDefinition("region", "Region", "text"))


def test_older_edit_does_not_overwrite_a_newer_one(region_id: int) -> None:
    change(region_id, AttributeDefinition("region", "Office", "choice", ("North", "South")), base=REGION)
    errors = errors_of_change(region_id, AttributeDefinition("region", "Area", "choice", ("North",)), base=REGION)
    assert list(errors) == ["base"]


def test_attribute_in_use_is_not_removed(region_id: int) -> None:
    scenario.add_template(subject="For {{ region }}")
    with pytest.raises(AttributeInUse, match="“Region” is in use: template “Renewal”"):
        remove_attribute(region_id, attribute_uses, 99, None, NOW_MS)
    assert find_attribute("region") is not None


def test_version_that_is_no_longer_current_is_no_use(region_id: int) -> None:
    scenario.add_template(subject="For {{ region }}")
    scenario.save_template(subject="For everybody")
    assert attribute_uses("region") == []


def test_removal_takes_the_values_that_were_confirmed(region_id: int) -> None:
    set_region(1, "North")
    with pytest.raises(ActionRefused, match="1 account has a value for “Region”"):
        remove_attribute(region_id, attribute_uses, 0, None, NOW_MS)
    remove_attribute(region_id, attribute_uses, 1, None, NOW_MS)
    assert all_attributes() == []
    assert db.session.scalars(select(AttributeValue)).all() == []
    assert audit()[-1] == ("attribute_removed", "attribute region", {"accounts": 1})


def test_saved_audience_keeps_what_its_conditions_name(region_id: int) -> None:
    condition = {"field": "attribute.region", "operator": "is", "value": "North"}
    create_saved_audience("Northerners", {"match": "all", "conditions": [condition]}, None, NOW_MS)
    with pytest.raises(AttributeInUse, match="audience “Northerners”"):
        remove_attribute(region_id, attribute_uses, 0, None, NOW_MS)
    errors = errors_of_change(region_id, AttributeDefinition("region", "Region", "choice", ("South",)))
    assert "“North” is in use, so it cannot go: audience “Northerners”." in errors["choices"]


def test_draft_keeps_what_it_names(region_id: int) -> None:
    scenario.add_template()
    template = find_template("renewal")
    assert template is not None
    draft = replace(draft_of(find_template_version(template)), subject="For {{ region }}")
    save_draft(template.id, draft, None, NOW_MS, base_version=1, saved_ms=0)
    with pytest.raises(AttributeInUse, match="the draft of template “Renewal”"):
        remove_attribute(region_id, attribute_uses, 0, None, NOW_MS)
