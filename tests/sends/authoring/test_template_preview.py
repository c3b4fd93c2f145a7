"""Previews for real people, and what a version's texts would take for them."""

from decimal import Decimal

import pytest
from flask import Flask
from sqlalchemy import select, update

from portal.accounts.account_attributes import set_attributes
from portal.accounts.tables.accounts import Account, Recipient
from portal.content.message_templates import TemplateDraft
from portal.content.tables.templates import Template
from portal.core.extensions import db
from portal.sends.authoring.template_comparison import TextTotals, text_totals
from portal.sends.authoring.template_preview import people_of, preview_for, recipient_with_longest_subject
from portal.sends.tables.past_recipients import (
    find_recipient,
    neighboring_recipient,
    past_recipients,
    search_recipients,
)
from tests.support import scenario

pytestmark = pytest.mark.usefixtures("app")
DRAFT = TemplateDraft("renewal", "Renewal", "Due, {{ name }}", "Pay {{ data.fee }}.", sms_enabled=True)


@pytest.fixture(autouse=True)
def gateway_and_people(app: Flask) -> None:
    scenario.configure_gateway()
    scenario.create_accounts(4, with_sms=3)


def person(external_id: str) -> Recipient:
    account_id = db.session.scalars(select(Account.id).where(Account.external_id == external_id)).one()
    recipient = find_recipient(account_id)
    assert recipient
    return recipient


def change(external_id: str, **values: object) -> None:
    db.session.execute(update(Account).where(Account.external_id == external_id).values(**values))
    db.session.commit()


def template_id() -> int:
    return db.session.scalars(select(Template.id)).one()


def test_preview_has_the_values_of_the_person_and_samples_of_the_send() -> None:
    preview = preview_for(DRAFT, person("P-2"))
    assert (preview.subject, preview.text) == ("Due, Person 2", "Pay [fee].\n")
    assert preview_for(DRAFT, None).subject == "Due, Jordan Rivera"


def test_value_that_a_filter_cannot_use_is_an_error_of_the_preview() -> None:
    draft = TemplateDraft("x", "X", "Due", "{{ name | date: '%Y' }}")
    assert "Person 2" in preview_for(draft, person("P-2")).errors["body"]


def test_attribute_of_the_person_is_filled_in_and_a_missing_one_is_named() -> None:
    scenario.add_attributes()
    set_attributes(person("P-2").id, {"region": "North"}, None, scenario.now_ms())
    draft = TemplateDraft("x", "X", "Due in {{ region }}", "Body")
    assert preview_for(draft, person("P-2")).subject == "Due in North"
    assert "no value for “region”" in preview_for(draft, person("P-1")).errors["subject"]


def test_next_and_previous_go_around_all_active_accounts() -> None:
    change("P-1", active=False)
    names, current = [], person("P-0")
    for _step in range(3):
        current = neighboring_recipient(current.id, True) or current
        names.append(current.external_id)
    assert names == ["P-2", "P-3", "P-0"]
    assert (neighboring_recipient(current.id, False) or current).external_id == "P-3"


def test_search_finds_active_people_by_name_or_number() -> None:
    change("P-1", active=False)
    assert [row.external_id for row in search_recipients("person", 8)] == ["P-0", "P-2", "P-3"]
    assert [row.external_id for row in search_recipients("p-3", 8)] == ["P-3"]


def test_people_of_a_template_are_those_who_got_it_last() -> None:
    scenario.add_template()
    assert [row.external_id for row in people_of(template_id(), 100)] == ["P-0", "P-1", "P-2", "P-3"]
    scenario.create_expanded_send(audience={"external_ids": ["P-1", "P-3"]})
    assert [row.external_id for row in people_of(template_id(), 100)] == ["P-1", "P-3"]
    scenario.create_expanded_send(audience={"external_ids": ["P-0", "P-1"]})
    assert [row.external_id for row in past_recipients(template_id(), 100)] == ["P-0", "P-1", "P-3"]
    assert [row.external_id for row in past_recipients(template_id(), 2)] == ["P-0", "P-1"]


def test_longest_subject_is_found_among_the_people_of_the_template() -> None:
    change("P-2", name="Wilhelmina Featherstonehaugh-Cholmondeley")
    longest = recipient_with_longest_subject(DRAFT, None)
    assert longest
    assert longest.external_id == "P-2"
    assert recipient_with_longest_subject(TemplateDraft("x", "X", "{{ nobody }}", "B"), None) is None


def test_totals_count_the_texts_of_those_who_get_one() -> None:
    change("P-1", name="Żółw")
    people = people_of(None, 100)
    assert text_totals(DRAFT, people, Decimal("0.0079")) == TextTotals(3, 3, 0, 1, 0, Decimal("0.0237"))
    assert text_totals(DRAFT, people, None).price is None


def test_version_by_email_only_has_no_texts() -> None:
    draft = TemplateDraft("x", "X", "Due", "Body")
    assert text_totals(draft, people_of(None, 100), Decimal("0.01")) == TextTotals(0, 0, 0, 0, 0, Decimal("0.00"))
