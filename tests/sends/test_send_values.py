"""Values of a send are validated before it is created; errors name the recipient, the field and the value."""

import pytest
from flask import Flask

from portal.consent import account_import
from portal.core.errors import InvalidInput
from portal.core.extensions import db
from portal.messages.tables.communications import Communication, Delivery
from portal.sends import fan_out, send_creation
from portal.sends.tables import audience_estimate
from portal.sends.tables.sends import Send
from tests.support import scenario

pytestmark = pytest.mark.usefixtures("app")
ALL = {"all": True}
DATE = '{{ data.when | date: "%B %-d, %Y" }}'


@pytest.fixture(autouse=True)
def gateway_and_recipients(app: Flask) -> None:
    scenario.configure_gateway()
    scenario.create_accounts(3, with_sms=1)


def creation_errors(key: str, data: dict[str, str]) -> dict[str, str]:
    """The errors of planning and of creating the send, which are the same."""
    errors = []
    for action in (
        lambda: send_creation.plan_send(key, ALL, data, scenario.now_ms()),
        lambda: create_test_send(key, data),
    ):
        with pytest.raises(InvalidInput) as error:
            action()
        errors.append(error.value.errors)
    assert errors[0] == errors[1]
    assert db.session.query(Send).count() == 0
    return errors[0]


def create_test_send(key: str, data: dict[str, str]) -> int:
    return send_creation.create_send(key, ALL, data, None, scenario.now_ms())


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (DATE, "May 2027"),
        (DATE, "05/06/2027"),
        ("{{ data.when | plus: 25 }}", "1,250"),
        ("{{ data.when | round }}", "$5"),
    ],
)
def test_value_that_a_filter_rejects_is_reported_at_its_field(body: str, value: str) -> None:
    scenario.add_template("due", body=body)
    problem = creation_errors("due", {"when": value})
    assert list(problem) == ["data.when"]
    assert f"“{value}”, given for data.when, is not a" in problem["data.when"]


def test_value_error_for_one_recipient_names_the_recipient() -> None:
    scenario.add_template("due", body=f'Hello {{% if external_id == "P-2" %}}{DATE}{{% endif %}}')
    problem = creation_errors("due", {"when": "May 2027"})
    assert problem["data.when"].startswith(
        "For Person 2, P-2: “May 2027”, given for data.when, is not a complete date."
    )


def test_account_field_error_names_the_recipient() -> None:
    scenario.add_template(
        "due", body='{{ external_id | remove: "P-" | plus: 1 }} and {{ name | remove: "Person 2" | size }}'
    )
    assert send_creation.plan_send("due", ALL, {}, scenario.now_ms()).emails == 3
    scenario.add_template("odd", body="{{ external_id | plus: 1 }}")
    problem = creation_errors("odd", {})
    assert "For Person 0, P-0: " in problem["template"]
    assert "“P-0”, given for external_id, is not a number" in problem["template"]


def test_value_error_at_fan_out_is_stored_as_the_reason() -> None:
    scenario.add_template("due", body="{{ data.when }}")
    send_id = create_test_send("due", {"when": "May 2027"})
    db.session.get_one(Send, send_id).version.body = DATE
    db.session.commit()
    fan_out.fan_out_send(send_id, scenario.now_ms)
    deliveries = list(db.session.query(Delivery))
    assert {delivery.state for delivery in deliveries} == {"rejected"}
    assert all("“May 2027”, given for data.when, is not a complete date" in delivery.reason for delivery in deliveries)


@pytest.mark.parametrize(
    ("data", "output"),
    [({}, "no fee"), ({"fee": ""}, "no fee"), ({"fee": "  "}, "no fee"), ({"fee": " 5 USD"}, "5 USD")],
)
def test_field_with_a_default_may_be_blank(data: dict[str, str], output: str) -> None:
    scenario.add_template(
        "fee", subject='Fee: {{ data.fee | default: "no fee" }}', body="{% if data.fee %}{{ data.fee }}{% endif %}!"
    )
    assert send_creation.plan_send("fee", ALL, data, scenario.now_ms()).sample.subject == f"Fee: {output}"
    fan_out.fan_out_send(create_test_send("fee", data), scenario.now_ms)
    assert {row.subject for row in db.session.query(Communication)} == {f"Fee: {output}"}


def test_invisible_characters_are_removed_from_values() -> None:
    scenario.add_template("due", body="Due {{ data.when }}")
    send_id = create_test_send(
        "due", {"when\u200b": "\ufeffMay\u00a028,\u202f2027\u200b", "note": "👨\u200d👩\u200d👧\r\ne\u0301"}
    )
    assert db.session.get_one(Send, send_id).data == {"when": "May 28, 2027", "note": "👨\u200d👩\u200d👧\né"}


@pytest.mark.parametrize("blank", ["\u200b", "\u00a0 \ufeff", "\u2060\n"])
def test_value_of_invisible_characters_is_blank(blank: str) -> None:
    scenario.add_template("due", body="{{ data.when }}")
    assert creation_errors("due", {"when": blank}) == {"data.when": "The template needs a value for “when”."}


def test_blank_required_field_is_reported() -> None:
    scenario.add_template("fee", body="{{ data.fee }}{% if data.note %}{{ data.note }}{% endif %}")
    assert creation_errors("fee", {"note": "x"}) == {"data.fee": "The template needs a value for “fee”."}


def test_blank_that_leaves_a_gap_names_the_recipient() -> None:
    scenario.add_template("fee", body="Hello {% if external_id == 'P-1' %}{{ data.fee }}{% endif %}")
    assert creation_errors("fee", {}) == {"data.fee": "For Person 1, P-1: The template needs a value for “fee”."}


def test_mistyped_field_name_is_reported() -> None:
    scenario.add_template("fee", body="{{ data.fee | default: 'none' }}")
    assert creation_errors("fee", {"fe": "5"}) == {"data.fe": "The template has no field “fe”. Its fields are fee."}
    assert create_test_send("fee", {"fee": "5", "other": "x"})


def test_sample_is_even_and_includes_every_account_type() -> None:
    scenario.create_more_accounts(20)
    rare = "Z-1,Zed,z@example.org,Rare,user,UTC,,,"
    account_import.import_accounts("\n".join([scenario.ACCOUNT_CSV_HEADER, rare]).encode(), scenario.now_ms())
    sample = [recipient.external_id for recipient in audience_estimate.sample_recipients(ALL, 6)]
    assert {"P-0", "Z-1"} <= set(sample)
    assert 6 <= len(sample) <= 8
    assert len(audience_estimate.sample_recipients(ALL, 1_000)) == 24
